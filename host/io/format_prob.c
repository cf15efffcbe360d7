// The probability of each tag as NAME.TAG.npy: float32, height x width.
#include "io/formats.h"

static tagmask_status add(void *state, const tm_label_job *job, tm_error *err) {
    (void)state;
    const tagmask_result *r = job->result;
    return tm_label_planes(job, tm_format_prob.ending, r->probability, r->width, r->height, err);
}

const tm_label_format tm_format_prob = {.name = "prob", .ending = ".npy", .each_tag = true, .add = add};
