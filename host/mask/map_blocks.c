#include "mask/map_blocks.h"

#include <stdlib.h>

tagmask_status tm_block_record(tm_work *work, const tm_block *block, const tm_block_step *step, tm_slice source,
                               tm_slice target, tm_error *err) {
    struct {
        uint32_t tokens, first_head, heads;
        float keep, take;
    } push = {block->tokens, step->first_head, step->heads, step->keep, step->take};
    tm_map_call call = {
        .shader = "cam/attention_step",
        .constants = {step->gradients},
        .constant_count = 1,
        .bindings = {block->probabilities, step->gradients ? block->gradients : block->probabilities, source, target},
        .push = &push,
        .push_size = sizeof push,
        .elements = block->tokens,
        .flops_per_element = 3.0 * block->tokens * step->heads};
    return tm_map_dispatch(work, &call, err);
}

// ---- The network's blocks

static tagmask_status find_block(const tm_pack *pack, const tm_plan *plan, const tm_engine_network *network, size_t at,
                                 bool gradients, tm_block *block, tm_error *err) {
    tm_tensor found = tm_plan_output(plan, network->blocks[at].probabilities);
    *block = (tm_block){.probabilities = found.slice};
    TM_TRY(tm_attention_shape(pack, at, &found.shape, &block->heads, &block->tokens, err));
    if (found.dtype != TM_FLOAT32 || !found.slice.buffer)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "%s: attention block %zu does not depend on the photo",
                       pack->model_path, at + 1);
    if (gradients) block->gradients = tm_plan_output(plan, network->blocks[at].gradient).slice;
    return TAGMASK_OK;
}

static tagmask_status check_head(const tm_view *view, const tm_block *block, tm_block_step *step, tm_error *err) {
    step->heads = block->heads;
    if (!view->option) return TAGMASK_OK;
    if (view->option > block->heads)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "preset head: %u; the attention block has %u heads",
                       view->option, block->heads);
    step->first_head = view->option - 1;
    step->heads = 1;
    return TAGMASK_OK;
}

// Where the tokens begin to count: at the class token, before the patches, or everywhere.
static tagmask_status upload_query(tm_work *work, uint32_t tokens, bool has_class, tm_slice to, tm_error *err) {
    float *query = tm_calloc(tokens, sizeof *query);
    if (!query) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for %u tokens", tokens);
    for (uint32_t i = 0; i < tokens; i++) query[i] = has_class ? (i == 0) : 1 / (float)tokens;
    tagmask_status status = tm_upload(work->recorder, to, query, err);
    free(query);
    return status;
}

static tagmask_status record_steps(tm_work *work, const tm_pack *pack, tm_view *view, const tm_plan *plan,
                                   const tm_engine_network *network, tm_block_step step, tm_map *map, tm_error *err) {
    tm_block block;
    tm_slice tokens[2];
    uint32_t columns, rows;
    TM_TRY(find_block(pack, plan, network, network->block_count - 1, step.gradients, &block, err));
    const tm_token_source source = {pack, view->width, view->height};
    TM_TRY(tm_token_find(&source, block.tokens, &columns, &rows, err));
    uint32_t all = block.tokens, others = all - columns * rows;
    for (int i = 0; i < 2; i++) {
        TM_TRY(tm_scratch_alloc(work->scratch, (uint64_t)all * 4, &tokens[i], err));
        tokens[i].size = (uint64_t)all * 4;
    }
    TM_TRY(upload_query(work, all, others > 0, tokens[0], err));
    for (size_t b = network->block_count; b-- > 0;) {
        TM_TRY(find_block(pack, plan, network, b, step.gradients, &block, err));
        if (block.tokens != all)
            return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                           "%s: attention block %zu has %u tokens, the last one %u; expected as many in each",
                           pack->model_path, b + 1, block.tokens, all);
        TM_TRY(check_head(view, &block, &step, err));
        TM_TRY(tm_block_record(work, &block, &step, tokens[0], tokens[1], err));
        tm_slice last = tokens[0];
        tokens[0] = tokens[1];
        tokens[1] = last;
    }
    TM_TRY(tm_scratch_map(work, columns, rows, map, err));
    tm_slice patches = {tokens[0].buffer, tokens[0].offset + (uint64_t)others * 4, map->slice.size};
    return tm_copy(work->recorder, patches, map->slice, err);
}

static tagmask_status record(const tm_views_context *context, tm_work *work, tm_view *view, const tm_block_step *step,
                             tm_error *err) {
    tagmask_engine *engine = context->engine;
    const tm_engine_network *network;
    tm_plan *plan;
    tm_map map;
    TM_TRY(tm_engine_network_get(engine, view->method->network, view->layer, &network, err));
    TM_TRY(tm_map_plan(engine, network, view, &plan, err));
    for (size_t b = 0; b < network->block_count; b++) {
        TM_TRY(tm_plan_output_linear(plan, network->blocks[b].probabilities, err));
        if (step->gradients) TM_TRY(tm_plan_output_linear(plan, network->blocks[b].gradient, err));
    }
    TM_TRY(tm_map_record_plan(context, work, view, plan, step->gradients, err));
    TM_TRY(record_steps(work, &engine->classifier, view, plan, network, *step, &map, err));
    return tm_view_keep_map(work, view, &map, err);
}

tagmask_status tm_map_make_of_blocks(const tm_views_context *context, tm_view *view, const tm_block_step *step,
                                     tm_error *err) {
    tm_work work;
    TM_TRY(tm_work_begin(&work, context->engine->device->gpu, context->scratch, err));
    return tm_work_close(&work, record(context, &work, view, step, err), err);
}
