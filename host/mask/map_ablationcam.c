// Ablation-CAM (Desai and Ramaswamy, "Ablation-CAM: Visual Explanations for Deep Convolutional Network via
// Gradient-free Localization", WACV 2020): a channel weighs as much as the class's score loses, relative to what it
// was, when the channel is 0 and what follows the layer runs again. Scores may be negative: the loss is relative to
// their size, so that what a class gains by still counts for it.
#include <math.h>

#include "mask/map_reruns.h"

tagmask_status tm_rerun_ablate(tm_work *work, const tm_rerun *run, tm_error *err) {
    const tm_shape *shape = &run->features->shape;
    struct {
        uint32_t places, channels, channel;
    } push = {(uint32_t)(shape->dim[2] * shape->dim[3]), (uint32_t)shape->dim[1], run->channel};
    tm_map_call call = {.shader = "cam/ablate",
                        .constants = {run->features->layout == TM_C4},
                        .constant_count = 1,
                        .bindings = {run->features->slice, run->input.slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = (uint64_t)push.places * push.channels,
                        .flops_per_element = 1};
    return tm_map_dispatch(work, &call, err);
}

static void weigh(double plain, double *scores, size_t count) {
    for (size_t k = 0; k < count; k++) scores[k] = plain != 0 ? (plain - scores[k]) / fabs(plain) : 0;
}

static tagmask_status make(const tm_views_context *context, tm_view *view, tm_error *err) {
    const tm_rerun_kind kind = {.plain = true, .record_input = tm_rerun_ablate, .weigh = weigh};
    return tm_map_make_of_reruns(context, view, &kind, err);
}

const tm_map_method tm_map_ablationcam = {.name = "ablationcam",
                                          .needs = TM_MAP_FEATURES | TM_MAP_RERUNS,
                                          .of_class = true,
                                          .of_layer = true,
                                          .network = TM_NETWORK_TAIL,
                                          .make = make};
