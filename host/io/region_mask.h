// The pixels of single regions of a result, for the formats that store masks.
#ifndef TM_REGION_MASK_H
#define TM_REGION_MASK_H

#include "io/rle.h"
#include "mask/components.h"
#include "mask/result.h"

typedef struct tm_region_masks {
    const tagmask_result *result;
    tm_components components;
    uint32_t *component;  // of each region
} tm_region_masks;

tagmask_status tm_region_masks_open(const tagmask_result *result, tm_region_masks *masks, tm_error *err);
// mask->pixels is malloc'ed. false: out of memory.
bool tm_region_mask(const tm_region_masks *masks, size_t region, tm_box_mask *mask);
void tm_region_masks_close(tm_region_masks *masks);

#endif
