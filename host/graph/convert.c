// Changes of layout: shaders nn/to_c4 and nn/to_linear.
#include "graph/plan.h"

#define GROUP 64

typedef struct push {
    uint32_t channels, blocks, area, count;  // count: vec4 elements of the C4 tensor
} push;

tagmask_status tm_record_conversion(tm_recorder *recorder, const tm_tensor *from, const tm_tensor *to, tm_error *err) {
    bool packs = to->layout == TM_C4;
    const tm_tensor *c4 = packs ? to : from;
    size_t vectors = tm_layout_bytes(&c4->shape, TM_C4) / 16;
    if (vectors > UINT32_MAX) return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "a tensor is too large to convert");
    if (!vectors) return TAGMASK_OK;
    push p = {(uint32_t)c4->shape.dim[1], (uint32_t)((c4->shape.dim[1] + 3) / 4),
              (uint32_t)(c4->shape.dim[2] * c4->shape.dim[3]), (uint32_t)vectors};
    tm_pipeline *pipeline;
    TM_TRY(tm_pipeline_get(tm_recorder_gpu(recorder), packs ? "nn/to_c4" : "nn/to_linear", NULL, 0, &pipeline, err));
    // Groups beyond the x limit continue in y.
    const tm_gpu_info *info = tm_gpu_get_info(tm_recorder_gpu(recorder));
    uint32_t groups = tm_div_up(p.count, GROUP), x = TM_MIN(groups, info->max_groups[0]);
    tm_dispatch_info dispatch = {.pipeline = pipeline,
                                 .bindings = {from->slice, to->slice},
                                 .push = &p,
                                 .push_size = sizeof p,
                                 .groups = {x, tm_div_up(groups, x), 1},
                                 .divisible = true,
                                 .label = packs ? "to_c4" : "to_linear"};
    return tm_dispatch(recorder, &dispatch, err);
}
