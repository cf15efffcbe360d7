// Pictures of numbers 0..1 a tag: in the colours of viridis over the gray photo, with a bar that says which colour is
// what, and a line of words.
#ifndef TM_HEAT_H
#define TM_HEAT_H

#include "io/formats.h"

typedef struct tm_heat {
    const float *planes;     // of the tags, one after the other
    uint32_t width, height;  // of each: the photo's, or smaller
    const char *what;        // the numbers are, for the words
} tm_heat;

// UNSUPPORTED for a result without class maps.
tagmask_status tm_check_maps(const tm_label_job *job, const tm_label_format *format, tm_error *err);
// A file a tag with the format's ending.
tagmask_status tm_heat_write(const tm_label_job *job, const tm_label_format *format, const tm_heat *heat,
                             tm_error *err);

#endif
