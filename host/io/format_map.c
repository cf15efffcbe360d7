// The class map that each tag was proposed from as a heat map: what the method made of the classifier, before saliency
// and refinement.
#include "io/heat.h"

static tagmask_status add(void *state, const tm_label_job *job, tm_error *err) {
    (void)state;
    const tagmask_result *r = job->result;
    TM_TRY(tm_check_maps(job, &tm_format_map, err));
    const tm_heat heat = {r->maps, r->map_width, r->map_height, r->method};
    return tm_heat_write(job, &tm_format_map, &heat, err);
}

const tm_label_format tm_format_map = {
    .name = "map", .ending = ".map.png", .needs_photo = true, .each_tag = true, .add = add};
