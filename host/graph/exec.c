// Binding a plan to the arena, recording it, and the convenience of running it on host tensors.
#include <stdlib.h>
#include <string.h>

#include "graph/plan.h"
#include "ops/host_eval.h"

// ---- Binding.
tm_slice tm_plan_slice_at(const tm_plan *plan, int32_t storage, uint64_t bytes) {
    const tm_storage *s = &plan->storages[tm_plan_root(plan, storage)];
    uint64_t size = tm_align_up(TM_MAX(bytes, (uint64_t)16), 16);
    if (s->constant) return (tm_slice){s->fixed.buffer, s->fixed.offset, size};
    return (tm_slice){plan->buffer ? tm_arena_buffer_get(plan->buffer) : NULL, s->offset, size};
}

tm_tensor tm_plan_tensor_at(const tm_plan *plan, int32_t tensor) {
    const tm_plan_tensor *t = &plan->tensors[tensor];
    return (tm_tensor){t->dtype, t->layout, t->shape,
                       tm_plan_slice_at(plan, t->storage, tm_layout_bytes(&t->shape, t->layout))};
}

static tm_tensor absent(const tm_host_tensor *host) {
    return (tm_tensor){host->dtype, TM_LINEAR, host->shape, {0}};
}

tagmask_status tm_plan_bind(tm_plan *plan, tm_error *err) {
    tm_graph *graph = plan->graph;
    if (!graph->gpu) return TAGMASK_OK;
    if (!plan->steps) TM_TRY(tm_plan_lower(plan, err));  // a change of its layouts failed half-way
    TM_TRY(tm_activations_reserve(graph->activations, plan->stats.activation_bytes, &plan->buffer, err));
    if (plan->bound == plan->buffer) return TAGMASK_OK;
    for (size_t s = 0; s < plan->step_count; s++) {
        const tm_step *step = &plan->steps[s];
        if (!step->item) continue;
        tm_op_ctx *ctx = step->item->ctx;
        for (size_t i = 0; i < ctx->input_count; i++)
            ctx->gin[i] = step->in_tensor[i] >= 0 ? tm_plan_tensor_at(plan, step->in_tensor[i]) : absent(&ctx->in[i]);
        for (size_t i = 0; i < ctx->output_count; i++)
            ctx->gout[i] =
                step->out_tensor[i] >= 0 ? tm_plan_tensor_at(plan, step->out_tensor[i]) : absent(&ctx->out[i]);
        ctx->scratch = step->scratch >= 0 ? tm_plan_slice_at(plan, step->scratch, ctx->scratch_bytes) : (tm_slice){0};
    }
    plan->bound = plan->buffer;
    return TAGMASK_OK;
}

tm_tensor tm_plan_input(const tm_plan *plan, size_t i) {
    const tm_plan_value *value = &plan->values[plan->graph->inputs[i]];
    return value->host.data ? absent(&value->host) : tm_plan_tensor_at(plan, value->tensor[TM_LINEAR]);
}

tm_tensor tm_plan_output(const tm_plan *plan, size_t i) {
    const tm_plan_value *value = &plan->values[plan->graph->outputs[i]];
    return value->host.data ? absent(&value->host) : tm_plan_tensor_at(plan, value->tensor[value->native]);
}

const tm_host_tensor *tm_plan_output_host(const tm_plan *plan, size_t i) {
    const tm_plan_value *value = &plan->values[plan->graph->outputs[i]];
    return value->host.data ? &value->host : NULL;
}

// ---- Recording.
// What fails below the rule, in the recorder, does not know the node.
static tagmask_status record_item(const tm_item *item, tm_recorder *recorder, tm_error *err) {
    const tm_node *node = &item->node;
    tagmask_status status = node->op->record(item->ctx, recorder, err);
    if (status != TAGMASK_OK && err && !strstr(err->message, "node '"))
        tm_fail_prefix(err, "node '%.200s' (%.60s)", node->name, node->op_type);
    TM_TRY(status);
    return tm_check_attributes(node, err);
}

static tagmask_status record_steps(tm_plan *plan, size_t first, tm_recorder *recorder, tm_error *err) {
    if (!plan->buffer || !plan->bound)
        return tm_fail(err, TAGMASK_ERROR_INTERNAL, "the plan is not bound to a device: plan the network again");
    TM_TRY(tm_arena_buffer_keep(plan->buffer, recorder, err));
    TM_TRY(tm_alarm_begin(plan, recorder, err));
    for (size_t s = first; s < plan->step_count; s++) {
        const tm_step *step = &plan->steps[s];
        if (step->split) {
            TM_TRY(tm_split_record(plan, step, recorder, err));
        } else if (step->item) {
            TM_TRY(record_item(step->item, recorder, err));
        } else {
            tm_tensor from = tm_plan_tensor_at(plan, step->from), to = tm_plan_tensor_at(plan, step->to);
            TM_TRY(tm_record_conversion(recorder, &from, &to, err));
        }
    }
    return tm_alarm_end(plan, recorder, err);
}

static tagmask_status record_from(tm_plan *plan, size_t first, tm_recorder *recorder, tm_error *err) {
    tagmask_status status = record_steps(plan, first, recorder, err);
    if (status != TAGMASK_OK) tm_fail_prefix(err, "%.300s", plan->graph->name);
    return status;
}

tagmask_status tm_plan_record(tm_plan *plan, tm_recorder *recorder, tm_error *err) {
    return record_from(plan, 0, recorder, err);
}

tagmask_status tm_plan_record_gradient(tm_plan *plan, tm_recorder *recorder, tm_error *err) {
    if (!plan->graph->repeats)
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "the network was not loaded to record its gradients repeatedly");
    return record_from(plan, plan->backward, recorder, err);
}

// ---- Running on host tensors.
static tagmask_status upload_inputs(tm_plan *plan, const tm_host_tensor *inputs, tm_recorder *recorder, tm_error *err) {
    const tm_graph *graph = plan->graph;
    for (size_t i = 0; i < graph->input_count; i++) {
        tm_tensor to = tm_plan_input(plan, i);
        size_t bytes = tm_layout_bytes(&to.shape, TM_LINEAR);
        if (!to.slice.buffer || !bytes) continue;
        if (!inputs[i].data)
            return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "input '%.200s' has no data", graph->input_infos[i].name);
        uint32_t *words = malloc(bytes);
        tagmask_status status =
            words ? tm_to_words(&inputs[i], words, graph->input_infos[i].name, err) : tm_memory_fail(err);
        to.slice.size = bytes;
        if (status == TAGMASK_OK) status = tm_upload(recorder, to.slice, words, err);
        free(words);
        if (status != TAGMASK_OK) return status;
    }
    return TAGMASK_OK;
}

// words[i]: where output i is read back to; NULL for host values and empty tensors.
static tagmask_status read_outputs(tm_plan *plan, tm_recorder *recorder, uint32_t **words, tm_error *err) {
    for (size_t i = 0; i < plan->graph->output_count; i++) {
        tm_tensor from = tm_plan_output(plan, i);
        from.slice.size = tm_layout_bytes(&from.shape, from.layout);
        if (!from.slice.buffer || !from.slice.size) continue;
        words[i] = malloc(from.slice.size);
        if (!words[i]) return tm_memory_fail(err);
        TM_TRY(tm_readback(recorder, from.slice, words[i], err));
    }
    return TAGMASK_OK;
}

static tagmask_status make_output(const tm_plan *plan, size_t i, const uint32_t *words, tm_host_tensor *output,
                                  tm_error *err) {
    const tm_host_tensor *host = tm_plan_output_host(plan, i);
    tm_tensor tensor = tm_plan_output(plan, i);
    size_t count = 0;
    tm_shape_count(&tensor.shape, &count);
    *output = (tm_host_tensor){tensor.dtype, tensor.shape, malloc(TM_MAX(count, (size_t)1) * 8)};
    if (!output->data) return tm_memory_fail(err);
    if (host) {
        memcpy(output->data, host->data, count * tm_dtype_size(host->dtype));
    } else if (words && tensor.layout == TM_C4) {
        uint32_t *linear = malloc(count * 4);
        if (!linear) return tm_memory_fail(err);
        tm_words_from_c4(words, linear, &tensor.shape);
        tm_from_words(linear, output);
        free(linear);
    } else if (words) {
        tm_from_words(words, output);
    }
    return TAGMASK_OK;
}

static tagmask_status run_plan(tm_plan *plan, const tm_host_tensor *inputs, uint32_t **words, tm_error *err) {
    tm_recorder *recorder;
    TM_TRY(tm_recorder_begin(plan->graph->gpu, &recorder, err));
    tagmask_status status = upload_inputs(plan, inputs, recorder, err);
    if (status == TAGMASK_OK) status = tm_plan_record(plan, recorder, err);
    if (status == TAGMASK_OK) status = read_outputs(plan, recorder, words, err);
    if (status == TAGMASK_OK) return tm_recorder_finish(recorder, err);
    tm_recorder_abandon(recorder);
    return status;
}

static tagmask_status run(tm_graph *graph, const tm_host_tensor *inputs, size_t count, tm_host_tensor *outputs,
                          tm_error *err) {
    tm_plan *plan;
    TM_TRY(tm_graph_plan(graph, inputs, count, &plan, err));
    uint32_t **words = tm_calloc(graph->output_count, sizeof *words);
    tm_host_tensor *made = tm_calloc(graph->output_count, sizeof *made);
    tagmask_status status = words && made ? run_plan(plan, inputs, words, err) : tm_memory_fail(err);
    for (size_t i = 0; status == TAGMASK_OK && i < graph->output_count; i++)
        status = make_output(plan, i, words[i], &made[i], err);
    for (size_t i = 0; i < graph->output_count; i++) {
        if (words) free(words[i]);
        if (status == TAGMASK_OK)
            outputs[i] = made[i];
        else if (made)
            free(made[i].data);
    }
    free(words);
    free(made);
    return status;
}

tagmask_status tm_graph_run(tm_graph *graph, const tm_host_tensor *inputs, size_t count, tm_host_tensor *outputs,
                            tm_error *err) {
    if (!graph->gpu) return tm_fail(err, TAGMASK_ERROR_INTERNAL, "the network was loaded without a device");
    return run(graph, inputs, count, outputs, err);
}
