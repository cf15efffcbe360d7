#include "mask/fusion.h"

static tm_map view_map(const tm_view *view) {
    const tm_tensor *tensor = &view->outputs[0];
    tm_map map = {tensor->slice, (uint32_t)tensor->shape.dim[3], (uint32_t)tensor->shape.dim[2]};
    return map;
}

// The raw map of a view as a tight plane: a C4 tensor of one channel holds it in every fourth float.
static tagmask_status plain_map(tm_work *work, const tm_view *view, tm_map *map, tm_error *err) {
    *map = view_map(view);
    if (view->outputs[0].layout == TM_LINEAR) return TAGMASK_OK;
    tm_map tight;
    TM_TRY(tm_scratch_map(work, map->width, map->height, &tight, err));
    struct {
        uint32_t count;
    } push = {tm_map_count(map)};
    tm_map_call call = {.shader = "image/first_channel",
                        .bindings = {map->slice, tight.slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = push.count};
    TM_TRY(tm_map_dispatch(work, &call, err));
    *map = tight;
    return TAGMASK_OK;
}

tagmask_status tm_saliency_record(tm_work *work, tm_view *const *views, size_t count, const tm_map *target,
                                  tm_error *err) {
    tm_map sum = {{NULL, 0, 0}, 0, 0};
    for (size_t v = 0; v < count; v++) {
        tm_map map, straight;
        TM_TRY(plain_map(work, views[v], &map, err));
        TM_TRY(tm_scratch_map(work, map.width, map.height, &straight, err));
        TM_TRY(tm_map_resize(work, &map, &straight, NULL, views[v]->mirror, err));
        if (!v) TM_TRY(tm_scratch_map(work, map.width, map.height, &sum, err));
        TM_TRY(tm_map_accumulate(work, &straight, &sum, NULL, v == 0, err));
    }
    TM_TRY(tm_map_normalize(work, &sum, &sum, err));
    return tm_map_resize(work, &sum, target, NULL, false, err);
}

tagmask_status tm_saliency_paste(tm_work *work, const tm_view *view, float scale_x, float scale_y, const tm_map *target,
                                 tm_error *err) {
    tm_map map, normalized;
    TM_TRY(plain_map(work, view, &map, err));
    TM_TRY(tm_scratch_map(work, map.width, map.height, &normalized, err));
    TM_TRY(tm_map_normalize(work, &map, &normalized, err));
    tm_box box = {view->box.left * scale_x, view->box.top * scale_y, view->box.right * scale_x,
                  view->box.bottom * scale_y};
    return tm_map_resize(work, &normalized, target, &box, view->mirror, err);
}

static const char *const mode_shaders[TM_FUSION_MODES] = {
    [TM_FUSION_GATE] = "fuse/gate", [TM_FUSION_PRODUCT] = "fuse/product",     [TM_FUSION_MAX] = "fuse/max",
    [TM_FUSION_EPS] = "fuse/eps",   [TM_FUSION_AGREEMENT] = "fuse/agreement",
};

tagmask_status tm_fusion_record(tm_work *work, const tm_fusion_input *input, const tm_settings *settings,
                                const tm_map *target, tm_error *err) {
    uint32_t count = tm_map_count(target), first;
    TM_TRY(tm_work_slots(work, input->source_count + 1, &first, err));
    for (uint32_t s = 0; s < input->source_count; s++) {
        tm_map source = {{input->sources.buffer, input->sources.offset + (uint64_t)s * input->source_stride * 4,
                          (uint64_t)count * 4},
                         target->width,
                         target->height};
        TM_TRY(tm_map_reduce(work, TM_REDUCE_WHERE, &source, &input->high, settings->cam_high, first + s, err));
    }
    tm_map mixed, fused;
    TM_TRY(tm_scratch_map(work, target->width, target->height, &mixed, err));
    TM_TRY(tm_scratch_map(work, target->width, target->height, &fused, err));
    struct {
        uint32_t count, stride, slot, sources;
    } mix_push = {count, input->source_stride, first, input->source_count};
    tm_map_call mix = {.shader = "fuse/mix",
                       .bindings = {input->sources, work->scalars, mixed.slice},
                       .push = &mix_push,
                       .push_size = sizeof mix_push,
                       .elements = count,
                       .flops_per_element = 20};
    TM_TRY(tm_map_dispatch(work, &mix, err));
    struct {
        uint32_t count, slot;
        float low, span, strength, overlap, share;
    } push = {.count = count,
              .slot = first + input->source_count,
              .low = settings->gate_low,
              .span = settings->gate_span,
              .strength = settings->gate_strength,
              .overlap = settings->eps_overlap,
              .share = settings->eps_share};
    TM_TRY(tm_map_reduce(work, TM_REDUCE_WHERE, &mixed, &input->high, settings->cam_high, push.slot, err));
    tm_map_call mode = {.shader = mode_shaders[settings->fusion],
                        .bindings = {input->cam.slice, mixed.slice, work->scalars, fused.slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = count,
                        .flops_per_element = 60};
    TM_TRY(tm_map_dispatch(work, &mode, err));
    return tm_map_normalize(work, &fused, target, err);
}

tagmask_status tm_fusion_without(tm_work *work, const tm_map *claim, const tm_map *target, tm_error *err) {
    uint32_t count = tm_map_count(target);
    tm_map_call call = {.shader = "fuse/without",
                        .bindings = {claim->slice, target->slice},
                        .push = &count,
                        .push_size = sizeof count,
                        .elements = count,
                        .flops_per_element = 2};
    return tm_map_dispatch(work, &call, err);
}
