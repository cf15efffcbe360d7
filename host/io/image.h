// Pictures: PNG (libspng) and JPEG (libjpeg-turbo) in, PNG out.
#ifndef TM_IMAGE_H
#define TM_IMAGE_H

#include "base/base.h"

#define TM_IMAGE_MAX_SIDE 65535u
#define TM_IMAGE_MAX_PIXELS (400u * 1000u * 1000u)
#define TM_IMAGE_MAX_FILE_BYTES ((size_t)2 << 30)

// tagmask_image_read from memory; name is for messages. The kind is told by the content, never by a file's name.
tagmask_status tm_image_decode(const char *name, const uint8_t *bytes, size_t size, tagmask_image *image,
                               tm_error *err);

typedef struct tm_png {
    uint32_t width, height;
    uint32_t channels;       // 1 gray or palette index, 3 RGB
    size_t stride;           // bytes a row; 0: channels * width
    const uint8_t *pixels;   // 8 bit
    const uint8_t *palette;  // channels 1: NULL for gray, else palette_size RGB triples, at most 256
    uint32_t palette_size;
    const char *keyword, *text;  // of an iTXt chunk (11.3.3.4), UTF-8; NULL: none
} tm_png;
// *bytes is malloc'ed.
tagmask_status tm_png_encode(const tm_png *png, uint8_t **bytes, size_t *size, tm_error *err);
// An index map: the numbers a palette or gray PNG of at most 8 bits stores, not its colours.
typedef struct tm_indices {
    uint32_t width, height;
    uint8_t *pixels;  // malloc'ed
    char *text;       // of the text chunk with the keyword; malloc'ed, NULL: none
} tm_indices;
tagmask_status tm_png_indices(const char *name, const uint8_t *bytes, size_t size, const char *keyword,
                              tm_indices *indices, tm_error *err);
// Encodes and writes the file whole or not at all.
tagmask_status tm_png_write(const char *path, const tm_png *png, tm_error *err);

#endif
