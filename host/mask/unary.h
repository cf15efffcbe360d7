// What the dense CRF starts from: energies of the background and of each tag from fused maps.
#ifndef TM_UNARY_H
#define TM_UNARY_H

#include "mask/maps.h"
#include "mask/preset.h"

// maps: planes of `stride` floats, one a tag (1..254), 0..1; unary: [tags + 1][width * height], the background first.
typedef struct tm_unary_job {
    tm_slice maps;
    uint32_t stride, width, height, tags;
    tm_slice unary;
} tm_unary_job;
tagmask_status tm_unary_record(tm_work *work, const tm_unary_job *job, const tm_settings *settings, tm_error *err);

#endif
