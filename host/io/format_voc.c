// PASCAL VOC segmentation: a palette PNG, 0 background, then the tags in their order; no void border.
#include <stdlib.h>

#include "io/formats.h"

static tagmask_status add(void *state, const tm_label_job *job, tm_error *err) {
    (void)state;
    char *path = NULL;
    uint8_t palette[256 * 3];
    tm_voc_colours(palette);
    tm_png png = {job->result->width, job->result->height, 1, 0, job->result->labels, palette, 256};
    TM_TRY(tm_label_path(job, NULL, tm_format_voc.ending, &path, err));
    tagmask_status status = tm_label_picture(path, &png, err);
    free(path);
    return status;
}

const tm_label_format tm_format_voc = {.name = "voc", .ending = ".png", .add = add};
