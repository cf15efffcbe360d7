// What the picture readers share. A picture here is three bytes a pixel without padding.
#ifndef TM_IMAGE_INTERNAL_H
#define TM_IMAGE_INTERNAL_H

#include "io/image.h"

// Checks a picture's sides, and that memory can be had for its pixels, for a copy that is turned upright, and for
// extra_per_pixel more bytes a pixel; before anything of that size is allocated.
tagmask_status tm_image_check_size(const char *name, uint64_t width, uint64_t height, size_t extra_per_pixel,
                                   tm_error *err);

// Readers allocate pixels (malloc'ed) and set the orientation of EXIF, 1..8.
tagmask_status tm_png_decode(const char *name, const uint8_t *bytes, size_t size, tagmask_image *image,
                             int *orientation, tm_error *err);
tagmask_status tm_jpeg_decode(const char *name, const uint8_t *bytes, size_t size, tagmask_image *image,
                              int *orientation, tm_error *err);

// 1 unless the EXIF block (with or without its "Exif" head) says otherwise.
int tm_exif_orientation(const uint8_t *exif, size_t size);

#endif
