// The class map that each tag was proposed from as NAME.TAG.map.npy: float32, height x width of the working size.
#include <stdlib.h>

#include "io/heat.h"
#include "io/npy.h"

static tagmask_status add(void *state, const tm_label_job *job, tm_error *err) {
    (void)state;
    const tagmask_result *r = job->result;
    TM_TRY(tm_check_maps(job, &tm_format_map_npy, err));
    tagmask_status status = TAGMASK_OK;
    for (size_t tag = 0; tag < r->tag_count && status == TAGMASK_OK; tag++) {
        char *path = NULL;
        tagmask_tensor plane = {.struct_size = sizeof plane,
                                .dtype = TAGMASK_FLOAT32,
                                .rank = 2,
                                .dims = {r->map_height, r->map_width},
                                .data = r->maps + tag * r->map_width * r->map_height};
        TM_TRY(tm_label_path(job, r->tags[tag], tm_format_map_npy.ending, &path, err));
        status = tm_npy_write(path, &plane, err);
        free(path);
    }
    return status;
}

const tm_label_format tm_format_map_npy = {.name = "map-npy", .ending = ".map.npy", .each_tag = true, .add = add};
