// What a proposal leaves behind: probabilities, label map and regions of one photo.
#ifndef TM_RESULT_H
#define TM_RESULT_H

#include <stdatomic.h>

#include "mask/regions.h"

// Probabilities that a session and its results share, so that a moved slider copies nothing: not changed once a result
// has them. Counted from any thread.
typedef struct tm_planes {
    atomic_size_t references;
    float data[];
} tm_planes;
tm_planes *tm_planes_create(size_t count);  // with one reference; NULL without memory
tm_planes *tm_planes_keep(tm_planes *planes);
void tm_planes_drop(tm_planes *planes);  // NULL allowed

struct tagmask_result {
    uint32_t width, height;
    size_t tag_count;
    char **tags, **notes;  // tag_count each; a note may be ""
    float *probability;    // tag_count planes of height x width
    float *own;            // what probability points to: either this, which is freed,
    tm_planes *shared;     // or inside this
    uint8_t *labels;       // height x width: 0 background, 1.. tag + 1
    tm_regions regions;
    // Class maps of the tags, 0..1, and the method that made them; NULL unless they were asked for. 0 where a tag has
    // no class.
    float *maps;  // tag_count planes of map_height x map_width
    uint32_t map_width, map_height;
    const char *method;  // static
};

// An error when the memory that the machine can give does not hold labels and probabilities; asked
// before they are made, because a system that promises more memory than it has ends the program later.
tagmask_status tm_result_check_memory(uint32_t width, uint32_t height, size_t tag_count, tm_error *err);
// Finds the regions and makes the result. Copies tags and notes (notes and its entries may be NULL); takes ownership of
// probability and labels (malloc'ed), also when it fails. rules as in tagmask_params: 0 is the default, -1 switches a
// rule off. count 1..254.
tagmask_status tm_result_create(uint32_t width, uint32_t height, const char *const *tags, const char *const *notes,
                                size_t count, float *probability, uint8_t *labels, tm_region_rules rules,
                                tagmask_result **result, tm_error *err);

// The same with shared probabilities; it keeps a reference of its own.
tagmask_status tm_result_create_shared(uint32_t width, uint32_t height, const char *const *tags,
                                       const char *const *notes, size_t count, tm_planes *probability, uint8_t *labels,
                                       tm_region_rules rules, tagmask_result **result, tm_error *err);

#endif
