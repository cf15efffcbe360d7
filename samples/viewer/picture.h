// Pixels on their way to a texture.
#ifndef VIEWER_PICTURE_H
#define VIEWER_PICTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <tagmask/tagmask.h>

typedef struct picture {
    uint32_t width, height;
    uint8_t *rgba;
} picture;

// The colour of a tag by its position, 0xRRGGBB.
uint32_t picture_tag_colour(size_t tag);
// Each makes a picture of at most `side` pixels a side by a whole factor; false when memory is exhausted.
bool picture_of_photo(const tagmask_image *photo, uint32_t side, picture *made);  // means
bool picture_of_labels(const uint8_t *labels, uint32_t width, uint32_t height, uint32_t side, picture *made);
bool picture_of_map(const float *values, uint32_t width, uint32_t height, uint32_t side, picture *made);  // viridis
void picture_free(picture *p);
// Writes a PNG file, without alpha; false with errno or a text in why.
bool picture_write(const picture *p, const char *path, char *why, size_t size);

#endif
