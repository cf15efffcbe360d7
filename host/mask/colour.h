// A colour model of each tag in the CRF's energies: preset members `colour_weight` and `colour_iterations`.
#ifndef TM_COLOUR_H
#define TM_COLOUR_H

#include "mask/maps.h"
#include "mask/preset.h"

// unary: energies [tags + 1][pixels], changed in place; image: vec4 a pixel, r, g, b whole numbers in 0..255.
typedef struct tm_colour_job {
    tm_slice image, unary;
    uint32_t pixels, tags;
} tm_colour_job;
tagmask_status tm_colour_record(tm_work *work, const tm_colour_job *job, const tm_settings *settings, tm_error *err);

#endif
