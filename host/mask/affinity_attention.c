// Attention as affinity between places. MCTformer (Xu et al., "Multi-class Token Transformer for Weakly Supervised
// Semantic Segmentation", CVPR 2022) multiplies class maps with the patch-to-patch attention of a transformer, averaged
// over heads and blocks, and TransCAM (Li et al., "TransCAM: Transformer attention-based CAM refinement for Weakly
// Supervised Semantic Segmentation", J. Visual Communication and Image Representation, 2023) does so with a CAM of
// convolutions. Here the transformer may be another network than the classifier. Rows are divided by their sums, since
// what the class token and registers get is left out. AFA (Ru et al., "Learning Affinity from Attention", CVPR 2022)
// adds the transpose, which did no better (docs/maps.md). affinity.c applies the matrix.
#include "mask/map_blocks.h"

tagmask_status tm_attention_affinity(tm_work *work, tm_slice matrix, uint32_t tokens, const tm_tensor *affinity,
                                     tm_error *err) {
    struct {
        uint32_t tokens, places;
    } push = {tokens, (uint32_t)affinity->shape.dim[1]};
    tm_map_call call = {.shader = "cam/attention_affinity",
                        .bindings = {matrix, affinity->slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = push.places,
                        .flops_per_element = 2.0 * push.places};
    return tm_map_dispatch(work, &call, err);
}

static tagmask_status record(const tm_views_context *context, tm_work *work, tm_view *view, tm_error *err) {
    const tm_pack *pack = tm_engine_pack(context->engine, view->role);
    const tm_host_tensor picture = {TM_FLOAT32, {4, {1, 3, view->height, view->width}}, NULL};
    const tm_engine_attention *attention;
    uint32_t tokens, columns, rows;
    tm_plan *plan;
    TM_TRY(tm_engine_attention_get(context->engine, view->option, &attention, err));
    TM_TRY(tm_graph_plan(attention->graph, &picture, 1, &plan, err));
    TM_TRY(tm_plan_output_linear(plan, 0, err));
    tm_tensor input = tm_plan_input(plan, 0), matrix = tm_plan_output(plan, 0), *kept = &view->outputs[0];
    TM_TRY(tm_engine_attention_grid(pack, &matrix, view->width, view->height, &tokens, &columns, &rows, err));
    TM_TRY(tm_view_record_input(context, work, view, &input, err));
    TM_TRY(tm_plan_record(plan, work->recorder, err));
    uint64_t places = (uint64_t)columns * rows;
    *kept =
        (tm_tensor){TM_FLOAT32, TM_LINEAR, {4, {1, (int64_t)places, rows, columns}}, {NULL, 0, places * places * 4}};
    TM_TRY(tm_buffer_create(work->gpu, kept->slice.size, TM_MEMORY_DEVICE, &kept->slice.buffer, err));
    view->output_count = 1;
    return tm_attention_affinity(work, matrix.slice, tokens, kept, err);
}

static tagmask_status make(const tm_views_context *context, tm_view *view, tm_error *err) {
    tm_work work;
    TM_TRY(tm_work_begin(&work, context->engine->device->gpu, context->scratch, err));
    return tm_work_close(&work, record(context, &work, view, err), err);
}

const tm_map_method tm_map_affinity = {.name = "affinity", .needs = TM_MAP_ATTENTION, .make = make};
