// The probability of each tag as a heat map.
#include "io/heat.h"

static tagmask_status add(void *state, const tm_label_job *job, tm_error *err) {
    (void)state;
    const tagmask_result *r = job->result;
    const tm_heat heat = {r->probability, r->width, r->height, "probability"};
    return tm_heat_write(job, &tm_format_heatmap, &heat, err);
}

const tm_label_format tm_format_heatmap = {
    .name = "heatmap", .ending = ".heatmap.png", .needs_photo = true, .each_tag = true, .add = add};
