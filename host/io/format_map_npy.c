// The class map that each tag was proposed from as NAME.TAG.map.npy: float32, height x width of the working size.
#include "io/heat.h"

static tagmask_status add(void *state, const tm_label_job *job, tm_error *err) {
    (void)state;
    const tagmask_result *r = job->result;
    TM_TRY(tm_check_maps(job, &tm_format_map_npy, err));
    return tm_label_planes(job, tm_format_map_npy.ending, r->maps, r->map_width, r->map_height, err);
}

const tm_label_format tm_format_map_npy = {.name = "map-npy", .ending = ".map.npy", .each_tag = true, .add = add};
