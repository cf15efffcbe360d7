// What the viewer knows of tagmask: a worker thread that owns device, engine and session, answers the newest request
// and never blocks the window.
#ifndef VIEWER_MODEL_H
#define VIEWER_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tagmask/tagmask.h>

#include "picture.h"

enum { MODEL_TAGS = 32, MODEL_TAG_SIZE = 96, MODEL_STAGES = 8, MODEL_PATH = 4096 };

typedef struct model model;

// Everything that a proposal depends on; plain data, so that it is copied and compared whole.
typedef struct model_request {
    char photo[MODEL_PATH];
    char tags[MODEL_TAGS][MODEL_TAG_SIZE];
    size_t tag_count, map_tag;  // map_tag: whose maps are shown
    char preset[16];
    float threshold, min_part;  // min_part 0: keep all
    uint32_t max_parts;         // 0: all
    float bilateral_compat, bilateral_srgb, bilateral_sxy;
} model_request;

typedef struct model_tag {
    char name[MODEL_TAG_SIZE], note[256];
    size_t parts;
    double share, score;  // of the photo, 0..1; mean probability inside
} model_tag;

typedef struct model_outline {
    size_t tag, first, count;  // points of the photo: points[2 * first] and on
} model_outline;

// A picture without pixels has not changed since the output before.
typedef struct model_output {
    model_request request;
    uint32_t width, height;  // of the photo; 0: it could not be read
    bool proposed;           // false: the photo alone, while the masks are made or because there are no tags
    picture photo, mask, maps[MODEL_STAGES];
    char map_note[MODEL_STAGES][256];  // why there is no map
    size_t tag_count;
    model_tag tags[MODEL_TAGS];
    float *points;
    model_outline *outlines;
    size_t outline_count;
    uint64_t mask_pixels;
    double milliseconds;
    char error[1200];
} model_output;

typedef struct model_status {
    bool busy, ready;  // ready: the vocabulary is known
    bool cancelling;   // the work ends at its next step
    float done;
    char stage[64];
    char saved[MODEL_PATH + 300];  // the newest file written, or why it was not
    bool save_failed;
    uint32_t saves;  // how many were tried
} model_status;

typedef struct model_options {
    const char *device, *pack, *out;
    void (*wake)(void);  // called from the worker when there is news
} model_options;

// Opens the device, then starts the worker. NULL with *error filled when there is no device.
model *model_open(const model_options *options, tagmask_error *error);
// Stops the worker. Returns how many messages active validation layers had about tagmask's device.
uint64_t model_close(model *m);
// Most pixels of a picture's side; before the first request.
void model_limit(model *m, uint32_t photo_side, uint32_t mask_side);
void model_ask(model *m, const model_request *request);
void model_cancel(model *m);
// Writes the newest proposal once it is there. sub: "" or a folder below --out, for photos of one name.
void model_save(model *m, const char *format, const char *sub);
// Moves what is new to *output, whose lists are freed before; false when nothing is.
bool model_take(model *m, model_output *output);
void model_output_free(model_output *output);
void model_get_status(model *m, model_status *status);
// The vocabulary's word, sorted; NULL beyond the last and until it is known.
const char *model_word(const model *m, size_t index);
// The canonical name of what a person typed, or the library's sentence.
bool model_resolve(model *m, const char *typed, char *name, size_t size, tagmask_error *error);

#endif
