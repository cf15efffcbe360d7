// labelme's mask shapes: a gray PNG of the shape's box, 0 outside and 1 inside, in base64 (RFC 4648).
#ifndef TM_LABELME_MASK_H
#define TM_LABELME_MASK_H

#include "base/base.h"
#include "io/rle.h"

// Adds the text that stands for the mask.
tagmask_status tm_labelme_mask_encode(const tm_box_mask *mask, tm_text *out, tm_error *err);
// *pixels: a byte a pixel, not 0 inside; malloc'ed. *budget: how many pixels may still be unpacked, of which it takes
// its own: a file of a few megabytes can hold masks that take hours.
tagmask_status tm_labelme_mask_decode(const char *text, uint64_t *budget, uint8_t **pixels, uint32_t *width,
                                      uint32_t *height, tm_error *err);

#endif
