// PASCAL VOC segmentation: an index map, 0 background and 255 void. The names are those in our text chunk, else VOC's
// 20 classes (VOC 2012 development kit, VOCinit.m), else the number.
#include <stdlib.h>
#include <string.h>

#include "io/image.h"
#include "io/read.h"

enum { VOID = 255 };

static const char *const voc_names[] = {
    "aeroplane",   "bicycle", "bird",  "boat",      "bottle", "bus",         "car",   "cat",  "chair", "cow",
    "diningtable", "dog",     "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
};

// malloc'ed; NULL: out of memory.
static char *name_of(const cJSON *names, uint32_t label) {
    const char *name = cJSON_GetStringValue(cJSON_GetArrayItem(names, (int)label - 1));
    if (name && *name) return tm_strdup(name);
    if (!names && label <= TM_ARRAY_LEN(voc_names)) return tm_strdup(voc_names[label - 1]);
    return tm_format("%u", label);
}

static tagmask_status paint(const tm_read_job *job, const tm_indices *map, const cJSON *names, tm_error *err) {
    size_t count = (size_t)map->width * map->height;
    uint8_t labels[256] = {0};
    bool used[256] = {false};
    for (size_t i = 0; i < count; i++) used[map->pixels[i]] = true;
    for (uint32_t label = 1; label < VOID; label++) {
        if (!used[label]) continue;
        char *name = name_of(names, label);
        tagmask_status status = name ? tm_canvas_tag(job->canvas, name, &labels[label], err)
                                     : tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the name of a class");
        free(name);
        if (status != TAGMASK_OK) return status;
    }
    for (size_t i = 0; i < count; i++) job->canvas->labels[i] = labels[map->pixels[i]];
    return TAGMASK_OK;
}

tagmask_status tm_read_voc(const tm_read_job *job, tm_error *err) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    tm_indices map = {0};
    TM_TRY(tm_read_file(job->path, TM_IMAGE_MAX_FILE_BYTES, &bytes, &size, err));
    tagmask_status status = tm_png_indices(job->path, bytes, size, TM_VOC_NAMES, &map, err);
    free(bytes);
    if (status != TAGMASK_OK) return status;
    cJSON *names = map.text ? cJSON_Parse(map.text) : NULL;
    if (map.width == job->canvas->width && map.height == job->canvas->height) {
        status = paint(job, &map, names, err);
    } else {
        status = tm_fail(err, TAGMASK_ERROR_FORMAT, "is %u x %u pixels, but the photo is %u x %u", map.width,
                         map.height, job->canvas->width, job->canvas->height);
    }
    cJSON_Delete(names);
    free(map.pixels);
    free(map.text);
    return status;
}
