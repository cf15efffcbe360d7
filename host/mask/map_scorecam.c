// Score-CAM (Wang et al., "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks", CVPR 2020,
// workshops): each channel, as large as the picture and min-max normalized, hides the rest of the picture, and weighs
// by the softmax over the channels of the score that the class gets then. As in pytorch-grad-cam without the score of a
// black picture, which the softmax would cancel.
#include <math.h>

#include "mask/map_reruns.h"

static tagmask_status record_mask(tm_work *work, const tm_rerun *run, const tm_map *mask, tm_error *err) {
    struct {
        uint32_t width, height, source_width, source_height, channel;
    } push = {mask->width, mask->height, (uint32_t)run->features->shape.dim[3], (uint32_t)run->features->shape.dim[2],
              run->channel};
    tm_map_call call = {.shader = "cam/score_mask",
                        .constants = {run->features->layout == TM_C4},
                        .constant_count = 1,
                        .bindings = {run->features->slice, mask->slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = tm_map_count(mask),
                        .flops_per_element = 20};
    return tm_map_dispatch(work, &call, err);
}

tagmask_status tm_rerun_mask(tm_work *work, const tm_rerun *run, tm_error *err) {
    tm_map mask;
    TM_TRY(tm_scratch_map(work, (uint32_t)run->picture.shape.dim[3], (uint32_t)run->picture.shape.dim[2], &mask, err));
    TM_TRY(record_mask(work, run, &mask, err));
    struct {
        uint32_t count, pixels, slot;
    } push = {3 * tm_map_count(&mask), tm_map_count(&mask), 0};
    TM_TRY(tm_work_slots(work, 1, &push.slot, err));
    TM_TRY(tm_map_reduce(work, TM_REDUCE_MINMAX, &mask, NULL, 0, push.slot, err));
    tm_map_call call = {.shader = "cam/score_input",
                        .bindings = {run->picture.slice, mask.slice, work->scalars, run->input.slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = push.count,
                        .flops_per_element = 4};
    return tm_map_dispatch(work, &call, err);
}

static void weigh(double plain, double *scores, size_t count) {
    double highest = -INFINITY, total = 0;
    (void)plain;
    for (size_t k = 0; k < count; k++) highest = TM_MAX(highest, scores[k]);
    for (size_t k = 0; k < count; k++) total += scores[k] = exp(scores[k] - highest);
    for (size_t k = 0; k < count; k++) scores[k] /= total;
}

static tagmask_status make(const tm_views_context *context, tm_view *view, tm_error *err) {
    const tm_rerun_kind kind = {.of_picture = true, .record_input = tm_rerun_mask, .weigh = weigh};
    return tm_map_make_of_reruns(context, view, &kind, err);
}

const tm_map_method tm_map_scorecam = {.name = "scorecam",
                                       .needs = TM_MAP_FEATURES | TM_MAP_RERUNS,
                                       .of_class = true,
                                       .of_layer = true,
                                       .network = TM_NETWORK_FEATURES,
                                       .make = make};
