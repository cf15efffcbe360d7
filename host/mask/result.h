// What a proposal leaves behind: probabilities, label map and regions of one photo.
#ifndef TM_RESULT_H
#define TM_RESULT_H

#include "mask/regions.h"

struct tagmask_result {
    uint32_t width, height;
    size_t tag_count;
    char **tags, **notes;  // tag_count each; a note may be ""
    float *probability;    // tag_count planes of height x width
    uint8_t *labels;       // height x width: 0 background, 1.. tag + 1
    tm_regions regions;
};

// An error when the memory that the machine can give does not hold labels and `copies` of the probabilities; asked
// before they are made, because a system that promises more memory than it has ends the program later.
tagmask_status tm_result_check_memory(uint32_t width, uint32_t height, size_t tag_count, uint32_t copies,
                                      tm_error *err);
// Finds the regions and makes the result. Copies tags and notes (notes and its entries may be NULL); takes ownership of
// probability and labels (malloc'ed), also when it fails. rules as in tagmask_params: 0 is the default, -1 switches a
// rule off. count 1..254.
tagmask_status tm_result_create(uint32_t width, uint32_t height, const char *const *tags, const char *const *notes,
                                size_t count, float *probability, uint8_t *labels, tm_region_rules rules,
                                tagmask_result **result, tm_error *err);

#endif
