// PASCAL VOC segmentation: an index map, 0 background and 255 void, or the colours that stand for the indices. The
// names are those in our text chunk, else those of the nearest labelmap.txt ("name:r,g,b:parts:actions", as CVAT and
// datumaro export it), else VOC's 20 classes (VOC 2012 development kit, VOCinit.m), else the number.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/formats.h"
#include "io/image.h"
#include "io/read.h"

enum { VOID = 255 };

static const char *const voc_names[] = {
    "background", "aeroplane", "bicycle",     "bird",  "boat",        "bottle", "bus",
    "car",        "cat",       "chair",       "cow",   "diningtable", "dog",    "horse",
    "motorbike",  "person",    "pottedplant", "sheep", "sofa",        "train",  "tvmonitor",
};

typedef struct classes {
    char *text;  // of labelmap.txt, its names ended by zeros; NULL: VOC's own classes
    const char *names[256];
    uint8_t colours[256 * 3];
    size_t count;
} classes;

static tagmask_status bad_line(size_t number, tm_error *err) {
    return tm_fail(err, TAGMASK_ERROR_FORMAT,
                   "line %zu of its labelmap.txt: expected \"name:red,green,blue:...\" and at most 255 such lines",
                   number);
}

static tagmask_status find_classes(const char *path, classes *c, tm_error *err) {
    TM_TRY(tm_read_nearest(path, "labelmap.txt", &c->text, err));
    tm_voc_colours(c->colours);
    c->count = c->text ? 0 : TM_ARRAY_LEN(voc_names);
    if (!c->text) memcpy(c->names, voc_names, sizeof voc_names);
    size_t number = 1;
    for (char *line = c->text, *next; line; line = next, number++) {
        unsigned colour[3];
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        line[strcspn(line, "\r")] = 0;
        if (!*line || *line == '#') continue;
        char *colon = strchr(line, ':');
        if (!colon || c->count == VOID) return bad_line(number, err);
        bool given = colon[1] && colon[1] != ':';  // else VOC's colour of that number
        if (given && sscanf(colon + 1, "%3u,%3u,%3u", &colour[0], &colour[1], &colour[2]) != 3) {
            return bad_line(number, err);
        }
        *colon = 0;
        bool black = !given || (!colour[0] && !colour[1] && !colour[2]);
        if (!c->count && !black && strcmp(line, voc_names[0])) c->names[c->count++] = voc_names[0];  // 0 in any case
        for (size_t i = 0; given && i < 3; i++) c->colours[3 * c->count + i] = (uint8_t)TM_MIN(colour[i], 255u);
        c->names[c->count++] = line;
    }
    return TAGMASK_OK;
}

// malloc'ed; NULL: out of memory.
static char *name_of(const classes *c, const cJSON *names, uint32_t label) {
    const char *name = names              ? cJSON_GetStringValue(cJSON_GetArrayItem(names, (int)label - 1))
                       : label < c->count ? c->names[label]
                                          : NULL;
    return name && *name ? tm_strdup(name) : tm_format("%u", label);
}

static tagmask_status paint(const tm_read_job *job, const classes *c, const tm_indices *map, tm_error *err) {
    size_t count = (size_t)map->width * map->height;
    uint8_t labels[256] = {0};
    bool used[256] = {false};
    tagmask_status status = TAGMASK_OK;
    cJSON *names = map->text ? cJSON_Parse(map->text) : NULL;
    for (size_t i = 0; i < count; i++) used[map->pixels[i]] = true;
    for (uint32_t label = 1; label < VOID && status == TAGMASK_OK; label++) {
        if (!used[label]) continue;
        char *name = name_of(c, names, label);
        if (!name) {
            status = tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the name of a class");
        } else if (names || strcmp(name, voc_names[0])) {
            status = tm_canvas_tag(job->canvas, name, &labels[label], err);
        }
        free(name);
    }
    cJSON_Delete(names);
    if (status != TAGMASK_OK) return status;
    for (size_t i = 0; i < count; i++) job->canvas->labels[i] = labels[map->pixels[i]];
    return TAGMASK_OK;
}

// The class of a colour; -1: none.
static int class_of(const classes *c, const uint8_t *pixel) {
    static const uint8_t border[3] = {224, 224, 192};  // VOC's colour of void
    for (size_t i = 0; i < c->count; i++) {
        if (!memcmp(pixel, c->colours + 3 * i, 3)) return (int)i;
    }
    return memcmp(pixel, border, 3) ? -1 : VOID;
}

// Colours, as a map of what they stand for.
static tagmask_status decode_colours(const char *path, const uint8_t *bytes, size_t size, const classes *c,
                                     tm_indices *map, tm_error *err) {
    tagmask_image image = {0};
    TM_TRY(tm_image_decode(path, bytes, size, &image, err));
    uint8_t *pixels = (uint8_t *)image.pixels, before[3];  // in place: a class takes less room than its colour
    size_t count = (size_t)image.width * image.height;
    int label = -1;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *pixel = pixels + 3 * i;
        if (!i || memcmp(pixel, before, 3)) label = class_of(c, pixel);
        memcpy(before, pixel, 3);
        if (label < 0) {
            tm_fail(err, TAGMASK_ERROR_FORMAT,
                    "%s: pixel (%zu, %zu) has the colour %u, %u, %u of no class; expected those of %s", path,
                    i % image.width, i / image.width, before[0], before[1], before[2],
                    c->text ? "labelmap.txt" : "VOC, or a labelmap.txt with others");
            tagmask_image_release(&image);
            return TAGMASK_ERROR_FORMAT;
        }
        pixels[i] = (uint8_t)label;
    }
    *map = (tm_indices){image.width, image.height, pixels, NULL};
    return TAGMASK_OK;
}

tagmask_status tm_read_voc(const tm_read_job *job, tm_error *err) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    tm_indices map = {0};
    classes c = {0};
    TM_TRY(tm_read_file(job->path, TM_IMAGE_MAX_FILE_BYTES, &bytes, &size, err));
    tagmask_status status = find_classes(job->path, &c, err);
    bool coloured = size > 25 && (bytes[25] & 3) == 2;  // IHDR's colour type: true colour, and no palette
    if (status == TAGMASK_OK) {
        status = coloured ? decode_colours(job->path, bytes, size, &c, &map, err)
                          : tm_png_indices(job->path, bytes, size, TM_VOC_NAMES, &map, err);
    }
    free(bytes);
    if (status == TAGMASK_OK && (map.width != job->canvas->width || map.height != job->canvas->height)) {
        status = tm_fail(err, TAGMASK_ERROR_FORMAT, "is %u x %u pixels, but the photo is %u x %u", map.width,
                         map.height, job->canvas->width, job->canvas->height);
    }
    if (status == TAGMASK_OK) status = paint(job, &c, &map, err);
    free(map.pixels);
    free(map.text);
    free(c.text);
    return status;
}
