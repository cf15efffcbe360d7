// PNG and JPEG files of every kind, made in memory with libspng and libjpeg.
#ifndef TEST_PICTURES_H
#define TEST_PICTURES_H

// jpeglib.h needs stdio.h before it.
// clang-format off
#include <stdio.h>
#include <jpeglib.h>
// clang-format on
#include <spng.h>

#include "support.h"

typedef struct bytes {
    uint8_t *data;  // malloc'ed
    size_t size;
} bytes;

typedef struct png_options {
    uint8_t color_type, depth, interlace;
    const struct spng_plte *palette;
    const struct spng_trns *trns;
    const uint8_t *exif;
    size_t exif_size;
} png_options;

// pixels as the file stores them, 16 bits in the machine's byte order.
bytes make_png(uint32_t width, uint32_t height, png_options o, const void *pixels, size_t size);

// 8 x 8 gray with Adam7, which libspng does not write: pixel (x, y) is 8 y + x.
bytes make_interlaced_png(void);
// A chunk before the first one of type `before`. Takes the file.
bytes png_insert(bytes file, const char *before, const char *type, const void *data, size_t size);
// Makes the checksums of the chunks right, as far as there are whole chunks.
void png_repair(uint8_t *file, size_t size);

typedef struct jpeg_options {
    J_COLOR_SPACE in, stored;
    bool progressive, no_adobe;
    const uint8_t *exif;
    size_t exif_size;
} jpeg_options;

bytes make_jpeg(uint32_t width, uint32_t height, int channels, jpeg_options o, const uint8_t *pixels);

// "Exif", a little-endian TIFF head, and one entry: orientation. Returns the size; out has room for 32 bytes.
size_t make_exif(uint8_t *out, int orientation);
// Four colours in the quarters: red, green / blue, white.
void quarters(uint8_t *pixels, uint32_t width, uint32_t height);

#endif
