// Colour likelihoods after GrabCut (Rother, Kolmogorov and Blake, "GrabCut: Interactive Foreground Extraction using
// Iterated Graph Cuts", SIGGRAPH 2004): what a tag's pixels and the others look like is learnt from the probabilities
// so far, which the ratio then changes, some times over. Histograms take the place of Gaussian mixtures (no start to
// choose, the same bits every time), and the dense CRF that of the graph cut.
#include "mask/colour.h"

#define BINS 4096  // as in refine/colour.glsl

typedef struct colour_push {
    uint32_t count, tag;
    float weight;
} colour_push;

static tagmask_status learn(tm_work *work, const tm_colour_job *job, const colour_push *push, tm_slice ratios,
                            tm_slice counts, tm_error *err) {
    tm_map_call count = {.shader = "refine/colour_count",
                         .bindings = {ratios, job->image, job->unary, counts},
                         .push = push,
                         .push_size = sizeof *push,
                         .elements = push->count,
                         .flops_per_element = 60};
    tm_map_call ratio = {.shader = "refine/colour_ratio",
                         .bindings = {ratios, counts},
                         .push = push,
                         .push_size = sizeof *push,
                         .elements = BINS,
                         .flops_per_element = 300};
    TM_TRY(tm_fill(work->recorder, counts, 0, err));
    TM_TRY(tm_map_dispatch(work, &count, err));
    return tm_map_dispatch(work, &ratio, err);
}

tagmask_status tm_colour_record(tm_work *work, const tm_colour_job *job, const tm_settings *settings, tm_error *err) {
    if (settings->colour_weight == 0) return TAGMASK_OK;
    tm_slice ratios, counts;
    TM_TRY(tm_scratch_alloc(work->scratch, BINS * 4, &ratios, err));
    TM_TRY(tm_scratch_alloc(work->scratch, (2 * BINS + 2) * 4, &counts, err));
    for (uint32_t tag = 1; tag <= job->tags; tag++) {
        const colour_push push = {job->pixels, tag, settings->colour_weight};
        TM_TRY(tm_fill(work->recorder, ratios, 0, err));
        for (uint32_t i = 0; i < settings->colour_iterations; i++) TM_TRY(learn(work, job, &push, ratios, counts, err));
        tm_map_call apply = {.shader = "refine/colour_apply",
                             .bindings = {ratios, job->image, job->unary},
                             .push = &push,
                             .push_size = sizeof push,
                             .elements = push.count,
                             .flops_per_element = 50};
        TM_TRY(tm_map_dispatch(work, &apply, err));
    }
    return TAGMASK_OK;
}
