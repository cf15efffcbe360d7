// The probability of each tag as NAME.TAG.npy: float32, height x width.
#include <stdlib.h>

#include "io/formats.h"
#include "io/npy.h"

static tagmask_status add(void *state, const tm_label_job *job, tm_error *err) {
    (void)state;
    const tagmask_result *r = job->result;
    tagmask_status status = TAGMASK_OK;
    for (size_t tag = 0; tag < r->tag_count && status == TAGMASK_OK; tag++) {
        char *path = NULL;
        tagmask_tensor plane = {.struct_size = sizeof plane,
                                .dtype = TAGMASK_FLOAT32,
                                .rank = 2,
                                .dims = {r->height, r->width},
                                .data = r->probability + tag * r->width * r->height};
        TM_TRY(tm_label_path(job, r->tags[tag], tm_format_prob.ending, &path, err));
        status = tm_npy_write(path, &plane, err);
        free(path);
    }
    return status;
}

const tm_label_format tm_format_prob = {.name = "prob", .ending = ".npy", .each_tag = true, .add = add};
