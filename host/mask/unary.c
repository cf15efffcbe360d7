// Unaries of the dense CRF. A kind is a shader and one line of the table.
#include "mask/unary.h"

#include <math.h>

typedef struct unary_kind {
    const char *shader;
    bool by_pixel;  // an invocation computes all labels of a pixel, else one
} unary_kind;

static const unary_kind kinds[TM_UNARY_KINDS] = {
    [TM_UNARY_LOGIT] = {"fuse/unary_logit", false},
    [TM_UNARY_SEEDS] = {"fuse/unary_seeds", true},
};

tagmask_status tm_unary_record(tm_work *work, const tm_unary_job *job, const tm_settings *settings, tm_error *err) {
    const unary_kind *kind = &kinds[settings->unary];
    double sure = (double)settings->gt_prob;
    struct {
        uint32_t count, stride, tags;
        float gain, centre, high, low, certain, doubt, unknown;
    } push = {.count = job->width * job->height,
              .stride = job->stride,
              .tags = job->tags,
              .gain = settings->unary_gain,
              .centre = settings->unary_centre,
              .high = settings->seed_high,
              .low = settings->seed_low,
              .certain = (float)-log(sure),
              .doubt = (float)-log((1 - sure) / job->tags),
              .unknown = (float)log(job->tags + 1.0)};
    tm_map_call call = {.shader = kind->shader,
                        .bindings = {job->maps, job->unary},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = kind->by_pixel ? push.count : (uint64_t)push.count * (job->tags + 1),
                        .flops_per_element = kind->by_pixel ? 4.0 * job->tags : 3};
    return tm_map_dispatch(work, &call, err);
}
