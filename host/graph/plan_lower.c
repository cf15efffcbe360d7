// Layouts, conversions between them, and which tensors share memory: items become steps.
#include <stdlib.h>
#include <string.h>

#include "graph/plan.h"
#include "ops/host_eval.h"

// ---- Storages and tensors.
static tagmask_status add_storage(tm_plan *plan, uint64_t bytes, int32_t *index, tm_error *err) {
    void *storages = plan->storages;
    if (!tm_grow(&storages, &plan->storage_capacity, plan->storage_count + 1, sizeof *plan->storages))
        return tm_memory_fail(err);
    plan->storages = storages;
    // Texel buffers of four floats read whole elements, so the last one must exist.
    plan->storages[plan->storage_count] = (tm_storage){
        .bytes = tm_align_up(TM_MAX(bytes, (uint64_t)16), 16), .first = INT32_MAX, .last = -1, .merged = -1};
    *index = (int32_t)plan->storage_count++;
    return TAGMASK_OK;
}

static tagmask_status add_tensor(tm_plan *plan, int32_t storage, tm_dtype dtype, tm_layout layout,
                                 const tm_shape *shape, int32_t *index, tm_error *err) {
    void *tensors = plan->tensors;
    if (!tm_grow(&tensors, &plan->tensor_capacity, plan->tensor_count + 1, sizeof *plan->tensors))
        return tm_memory_fail(err);
    plan->tensors = tensors;
    plan->tensors[plan->tensor_count] = (tm_plan_tensor){storage, dtype, layout, *shape};
    *index = (int32_t)plan->tensor_count++;
    return TAGMASK_OK;
}

static tagmask_status add_value_tensor(tm_plan *plan, int32_t value, tm_layout layout, tm_error *err) {
    tm_plan_value *v = &plan->values[value];
    int32_t storage = -1;
    TM_TRY(add_storage(plan, tm_layout_bytes(&v->host.shape, layout), &storage, err));
    return add_tensor(plan, storage, v->host.dtype, layout, &v->host.shape, &v->tensor[layout], err);
}

static void touch(tm_plan *plan, int32_t tensor, int32_t step) {
    tm_storage *storage = &plan->storages[plan->tensors[tensor].storage];
    storage->first = TM_MIN(storage->first, step);
    storage->last = TM_MAX(storage->last, step);
}

static tm_step *add_step(tm_plan *plan, const tm_item *item) {
    tm_step *step = &plan->steps[plan->step_count++];
    *step = (tm_step){.item = item, .from = -1, .to = -1, .scratch = -1};
    return step;
}

// Memory that only this step uses, its pieces' included.
static tagmask_status add_scratch(tm_plan *plan, tm_step *step, tm_error *err) {
    TM_TRY(tm_split_make(plan, step, err));
    uint64_t bytes = tm_split_scratch(step);
    if (!bytes) return TAGMASK_OK;
    TM_TRY(add_storage(plan, bytes, &step->scratch, err));
    plan->storages[step->scratch].first = plan->storages[step->scratch].last = (int32_t)(step - plan->steps);
    return TAGMASK_OK;
}

// ---- Conversions.
// The two layouts hold the same bytes where there is one pixel and no padding between images.
static bool same_bytes(const tm_shape *shape, tm_layout from) {
    bool one_pixel = shape->dim[2] == 1 && shape->dim[3] == 1;
    return one_pixel && (shape->dim[1] % 4 == 0 || (from == TM_C4 && shape->dim[0] == 1));
}

static tagmask_status ensure_constant(tm_plan *plan, int32_t value, tm_layout layout, tm_error *err) {
    void *uploads = plan->uploads;
    if (!tm_grow(&uploads, &plan->upload_capacity, plan->upload_count + 1, sizeof *plan->uploads))
        return tm_memory_fail(err);
    plan->uploads = uploads;
    TM_TRY(add_value_tensor(plan, value, layout, err));
    int32_t tensor = plan->values[value].tensor[layout];
    plan->storages[plan->tensors[tensor].storage].constant = true;
    plan->uploads[plan->upload_count++] = (struct tm_upload){value, tensor};
    return TAGMASK_OK;
}

// Makes sure that `value` is there in `layout`, by a conversion if need be.
static tagmask_status ensure(tm_plan *plan, int32_t value, tm_layout layout, tm_error *err) {
    tm_plan_value *v = &plan->values[value];
    if (v->tensor[layout] >= 0) return TAGMASK_OK;
    if (v->host.data) return ensure_constant(plan, value, layout, err);
    tm_layout other = layout == TM_LINEAR ? TM_C4 : TM_LINEAR;
    int32_t from = v->tensor[other];
    if (from < 0 || v->host.shape.rank != 4)
        return tm_fail(err, TAGMASK_ERROR_INTERNAL, "'%.200s' is not there in the layout asked for",
                       plan->graph->values[value].name);
    if (same_bytes(&v->host.shape, other))
        return add_tensor(plan, plan->tensors[from].storage, v->host.dtype, layout, &v->host.shape, &v->tensor[layout],
                          err);
    TM_TRY(add_value_tensor(plan, value, layout, err));
    int32_t at = (int32_t)plan->step_count;
    tm_step *step = add_step(plan, NULL);
    step->from = from;
    step->to = v->tensor[layout];
    touch(plan, step->from, at);
    touch(plan, step->to, at);
    return add_scratch(plan, step, err);
}

// ---- Items.
bool tm_item_reads(const tm_plan *plan, const tm_item *item, size_t i) {
    const tm_node *node = &item->node;
    if (node->inputs[i] < 0) return false;
    if (i >= 32) return true;
    if (node->op->shape_inputs >> i & 1) return false;
    if (node->op->host_inputs >> i & 1 && plan->values[node->inputs[i]].host.data) return false;
    return !(node->prepared && node->op->constant_inputs >> i & 1);
}

static tagmask_status choose_layouts(tm_plan *plan, const tm_item *item, tm_layout *in, tm_layout *out, tm_error *err) {
    const tm_node *node = &item->node;
    const tm_op_ctx *ctx = item->ctx;
    for (size_t i = 0; i < node->input_count; i++)
        in[i] = node->inputs[i] >= 0 && node->op->layout ? plan->values[node->inputs[i]].native : TM_LINEAR;
    for (size_t i = 0; i < node->output_count; i++) out[i] = TM_LINEAR;
    if (node->op->layout) node->op->layout(item->ctx, in, out);
    bool fits = true;
    for (size_t i = 0; i < node->input_count; i++)
        fits = fits && (in[i] == TM_LINEAR || !tm_item_reads(plan, item, i) || ctx->in[i].shape.rank == 4);
    for (size_t i = 0; i < node->output_count; i++) fits = fits && (out[i] == TM_LINEAR || ctx->out[i].shape.rank == 4);
    if (!fits) return tm_op_fail(ctx, err, TAGMASK_ERROR_INTERNAL, "layout C4 was chosen for a tensor not of rank 4");
    return TAGMASK_OK;
}

static tagmask_status lower_view(tm_plan *plan, const tm_item *item, const tm_layout *in, const tm_layout *out,
                                 tm_error *err) {
    const tm_node *node = &item->node;
    int32_t from = plan->values[node->inputs[0]].tensor[in[0]];
    tm_plan_value *to = &plan->values[node->outputs[0]];
    if (in[0] != out[0] ||
        tm_layout_bytes(&plan->tensors[from].shape, in[0]) != tm_layout_bytes(&to->host.shape, out[0]))
        return tm_op_fail(item->ctx, err, TAGMASK_ERROR_INTERNAL, "a view changes the layout or size of its input");
    return add_tensor(plan, plan->tensors[from].storage, to->host.dtype, out[0], &to->host.shape, &to->tensor[out[0]],
                      err);
}

static tagmask_status lower_outputs(tm_plan *plan, tm_step *step, const tm_layout *out, tm_error *err) {
    const tm_item *item = step->item;
    int32_t at = (int32_t)(step - plan->steps);
    for (size_t i = 0; i < item->node.output_count; i++) {
        int32_t value = item->node.outputs[i];
        step->out_tensor[i] = -1;
        if (value < 0) continue;
        TM_TRY(add_value_tensor(plan, value, out[i], err));
        step->out_tensor[i] = plan->values[value].tensor[out[i]];
        touch(plan, step->out_tensor[i], at);
    }
    return add_scratch(plan, step, err);
}

static tagmask_status lower_item(tm_plan *plan, const tm_item *item, tm_error *err) {
    const tm_node *node = &item->node;
    size_t n = node->input_count, m = node->output_count;
    tm_layout *layouts = tm_arena_alloc(&plan->memory, (n + m) * sizeof *layouts);
    int32_t *tensors = tm_arena_alloc(&plan->memory, (n + m) * sizeof *tensors);
    item->ctx->gin = tm_arena_alloc(&plan->memory, n * sizeof *item->ctx->gin);
    item->ctx->gout = tm_arena_alloc(&plan->memory, m * sizeof *item->ctx->gout);
    if (!layouts || !tensors || !item->ctx->gin || !item->ctx->gout) return tm_memory_fail(err);
    TM_TRY(choose_layouts(plan, item, layouts, layouts + n, err));
    for (size_t i = 0; i < n; i++)
        if (tm_item_reads(plan, item, i)) TM_TRY(ensure(plan, node->inputs[i], layouts[i], err));
    for (size_t i = 0; i < m; i++)
        if (node->outputs[i] >= 0) plan->values[node->outputs[i]].native = layouts[n + i];
    if (node->op->is_view || item->ctx->view) return lower_view(plan, item, layouts, layouts + n, err);
    plan->stats.flops += item->ctx->flops;
    int32_t at = (int32_t)plan->step_count;
    tm_step *step = add_step(plan, item);
    step->in_tensor = tensors;
    step->out_tensor = tensors + n;
    for (size_t i = 0; i < n; i++) {
        step->in_tensor[i] = tm_item_reads(plan, item, i) ? plan->values[node->inputs[i]].tensor[layouts[i]] : -1;
        if (step->in_tensor[i] >= 0) touch(plan, step->in_tensor[i], at);
    }
    return lower_outputs(plan, step, layouts + n, err);
}

// ---- In place: a result takes the memory of an input that dies with it.
static bool can_take(const tm_plan *plan, const tm_step *step, size_t i, int32_t at) {
    if (step->in_tensor[i] < 0 || step->out_tensor[0] < 0) return false;
    const tm_plan_tensor *in = &plan->tensors[step->in_tensor[i]], *out = &plan->tensors[step->out_tensor[0]];
    int32_t root = tm_plan_root(plan, in->storage);
    const tm_storage *storage = &plan->storages[root];
    if (storage->constant || storage->last != at || in->layout != out->layout) return false;
    if (tm_layout_bytes(&in->shape, in->layout) != tm_layout_bytes(&out->shape, out->layout)) return false;
    if (plan->storages[out->storage].bytes > storage->bytes) return false;
    // Another view of the same memory would be overwritten while it is read.
    for (size_t k = 0; k < step->item->node.input_count; k++) {
        int32_t other = step->in_tensor[k];
        if (other >= 0 && other != step->in_tensor[i] && tm_plan_root(plan, plan->tensors[other].storage) == root)
            return false;
    }
    return true;
}

static void merge_in_place(tm_plan *plan) {
    for (size_t s = 0; s < plan->step_count; s++) {
        const tm_step *step = &plan->steps[s];
        uint32_t mask = step->item ? step->item->node.op->alias_inputs : 0;
        for (size_t i = 0; mask && i < step->item->node.input_count && i < 32; i++) {
            if (!(mask >> i & 1) || !can_take(plan, step, i, (int32_t)s)) continue;
            int32_t root = tm_plan_root(plan, plan->tensors[step->in_tensor[i]].storage);
            tm_storage *merged = &plan->storages[plan->tensors[step->out_tensor[0]].storage];
            merged->merged = root;
            plan->storages[root].last = merged->last;
            break;
        }
    }
}

// ---- Repetition: what steps of gradient rules read of the steps before them stays.
static void hold_for_repetition(tm_plan *plan) {
    int32_t boundary = (int32_t)plan->backward, end = (int32_t)plan->step_count;
    for (size_t i = 0; plan->graph->repeats && i < plan->storage_count; i++) {
        tm_storage *storage = &plan->storages[i];
        if (storage->first < boundary && storage->last >= boundary) storage->last = end;
    }
}

// ---- All of it.
static tagmask_status lower_inputs(tm_plan *plan, tm_error *err) {
    const tm_graph *graph = plan->graph;
    for (size_t v = 0; v < graph->value_count; v++)
        if (graph->values[v].kept && graph->values[v].data) TM_TRY(ensure_constant(plan, (int32_t)v, TM_LINEAR, err));
    for (size_t i = 0; i < graph->input_count; i++) {
        if (plan->values[graph->inputs[i]].host.data) continue;
        TM_TRY(add_value_tensor(plan, graph->inputs[i], TM_LINEAR, err));
        touch(plan, plan->values[graph->inputs[i]].tensor[TM_LINEAR], -1);
    }
    return TAGMASK_OK;
}

static tagmask_status lower_results(tm_plan *plan, tm_error *err) {
    const tm_graph *graph = plan->graph;
    for (size_t i = 0; i < graph->output_count; i++) {
        tm_plan_value *v = &plan->values[graph->outputs[i]];
        if (v->host.data) continue;
        if (plan->linear_output[i]) {
            TM_TRY(ensure(plan, graph->outputs[i], TM_LINEAR, err));
            v->native = TM_LINEAR;
        }
    }
    for (size_t i = 0; i < graph->output_count; i++) {
        const tm_plan_value *v = &plan->values[graph->outputs[i]];
        if (!v->host.data) touch(plan, v->tensor[v->native], (int32_t)plan->step_count);
    }
    return TAGMASK_OK;
}

static tagmask_status lower_all(tm_plan *plan, tm_error *err) {
    const tm_graph *graph = plan->graph;
    size_t steps = 2 * (graph->node_count + graph->input_count + graph->value_count) + 1;
    plan->steps = tm_arena_alloc(&plan->memory, steps * sizeof *plan->steps);
    if (!plan->steps) return tm_memory_fail(err);
    TM_TRY(lower_inputs(plan, err));
    plan->backward = SIZE_MAX;
    for (size_t n = 0; n < graph->node_count; n++) {
        if (plan->items[n].live && plan->items[n].node.backward)
            plan->backward = TM_MIN(plan->backward, plan->step_count);
        if (plan->items[n].live) TM_TRY(lower_item(plan, &plan->items[n], err));
    }
    TM_TRY(lower_results(plan, err));
    plan->backward = TM_MIN(plan->backward, plan->step_count);
    hold_for_repetition(plan);
    merge_in_place(plan);
    uint64_t alignment = graph->gpu ? tm_gpu_get_info(graph->gpu)->buffer_alignment : 256;
    TM_TRY(tm_plan_place(plan, TM_MAX(alignment, (uint64_t)16), err));
    plan->stats.dispatches = plan->step_count;
    if (!graph->gpu) return TAGMASK_OK;
    TM_TRY(tm_alarm_make(plan, err));
    return tm_plan_upload(plan, err);
}

tagmask_status tm_plan_lower(tm_plan *plan, tm_error *err) {
    tagmask_status status = lower_all(plan, err);
    if (status != TAGMASK_OK) tm_plan_unlower(plan);
    return status;
}

void tm_plan_unlower(tm_plan *plan) {
    for (size_t v = 0; plan->values && v < plan->graph->value_count; v++) {
        plan->values[v].tensor[0] = plan->values[v].tensor[1] = -1;
        plan->values[v].native = TM_LINEAR;
    }
    tm_buffer_destroy(plan->constants);
    plan->constants = NULL;
    tm_alarm_free(plan);
    free(plan->tensors);
    free(plan->storages);
    free(plan->uploads);
    tm_arena_free(&plan->memory);
    plan->memory = (tm_arena){0};
    plan->steps = NULL;
    plan->tensors = NULL;
    plan->storages = NULL;
    plan->uploads = NULL;
    plan->step_count = plan->tensor_count = plan->tensor_capacity = plan->storage_count = plan->storage_capacity = 0;
    plan->upload_count = plan->upload_capacity = 0;
    plan->bound = NULL;
    plan->stats = (tm_plan_stats){0};
}
