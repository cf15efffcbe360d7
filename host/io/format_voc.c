// PASCAL VOC segmentation: a palette PNG, 0 background, then the tags in their order; no void border. The picture
// itself has no room for names: they are in a text chunk, from which tm_read_voc takes them.
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "io/formats.h"

static tagmask_status write_picture(const char *path, const tagmask_result *r, const char *names, tm_error *err) {
    uint8_t palette[256 * 3];
    tm_voc_colours(palette);
    tm_png png = {r->width, r->height, 1, 0, r->labels, palette, 256, TM_VOC_NAMES, names};
    return tm_label_picture(path, &png, err);
}

static tagmask_status add(void *state, const tm_label_job *job, tm_error *err) {
    (void)state;
    char *path = NULL;
    TM_TRY(tm_label_path(job, NULL, tm_format_voc.ending, &path, err));
    cJSON *list = cJSON_CreateStringArray((const char *const *)job->result->tags, (int)job->result->tag_count);
    char *names = list ? cJSON_PrintUnformatted(list) : NULL;
    tagmask_status status = names ? write_picture(path, job->result, names, err)
                                  : tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to write it", path);
    cJSON_Delete(list);
    cJSON_free(names);
    free(path);
    return status;
}

const tm_label_format tm_format_voc = {.name = "voc", .ending = ".png", .add = add, .read = tm_read_voc};
