// Edge-aware refinement of maps. A method is one file and one line of the table.
#include "mask/edge.h"

// Pixels that a dispatch may read: some 20 ms of a small GPU.
#define BAND_TAPS ((uint64_t)64 << 20)

static const tm_edge_method *const methods[TM_EDGE_METHODS] = {
    [TM_EDGE_NONE] = NULL,
    [TM_EDGE_GUIDED] = &tm_edge_guided,
    [TM_EDGE_PAMR] = &tm_edge_pamr,
    [TM_EDGE_JOINT] = &tm_edge_joint,
};

tagmask_status tm_edge_dispatch(tm_work *work, const tm_edge *edge, const char *shader, const tm_slice *slices,
                                size_t count, uint32_t taps, tm_error *err) {
    tm_edge_push push = edge->push;
    tm_map_call call = {.shader = shader,
                        .bindings = {edge->guide.slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .flops_per_element = 20.0 * taps};
    for (size_t i = 0; i < count; i++) call.bindings[1 + i] = slices[i];
    uint32_t pixels = tm_map_count(&edge->guide), band = (uint32_t)TM_MIN(BAND_TAPS / taps, pixels);
    for (push.first = 0; push.first < pixels; push.first += push.count) {
        push.count = TM_MIN(band, pixels - push.first);
        call.elements = push.count;
        TM_TRY(tm_map_dispatch(work, &call, err));
    }
    return TAGMASK_OK;
}

static tagmask_status pack_guide(tm_work *work, const tm_edge_job *job, tm_map *guide, tm_error *err) {
    TM_TRY(tm_scratch_map(work, job->width, job->height, guide, err));
    struct {
        uint32_t count;
    } push = {tm_map_count(guide)};
    tm_map_call call = {.shader = "refine/to_words",
                        .bindings = {job->image, guide->slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = push.count};
    return tm_map_dispatch(work, &call, err);
}

tagmask_status tm_edge_record(tm_work *work, const tm_edge_job *job, const tm_settings *settings, tm_error *err) {
    const tm_edge_method *method = methods[settings->edge];
    if (!method) return TAGMASK_OK;
    float sigma = (float)settings->edge_radius / 2;
    tm_edge edge = {.push = {.width = job->width,
                             .height = job->height,
                             .radius = settings->edge_radius,
                             .eps = settings->edge_eps,
                             .far = -1 / (2 * sigma * sigma),
                             .unlike = -1 / (2 * settings->edge_srgb * settings->edge_srgb)},
                    .iterations = settings->edge_iterations};
    TM_TRY(pack_guide(work, job, &edge.guide, err));
    TM_TRY(method->prepare(work, &edge, err));
    for (uint32_t m = 0; m < job->count; m++) {
        tm_map map = {{job->maps.buffer, job->maps.offset + m * job->stride, (uint64_t)job->width * job->height * 4},
                      job->width,
                      job->height};
        TM_TRY(method->refine(work, &edge, &map, err));
    }
    return TAGMASK_OK;
}
