#include "picture.h"

#include <errno.h>
#include <spng.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t picture_tag_colour(size_t tag) {
    static const uint32_t colours[] = {0x2f9bff, 0xff7043, 0x9ccc65, 0xffca28, 0xab47bc,
                                       0x26c6da, 0xec407a, 0x8d6e63, 0x5c6bc0, 0xd4e157};
    return colours[tag % (sizeof colours / sizeof colours[0])];
}

// How many pixels of the source one pixel of the picture stands for, along each side.
static uint32_t make(uint32_t width, uint32_t height, uint32_t side, picture *made) {
    uint32_t longest = width > height ? width : height;
    uint32_t factor = (longest + side - 1) / side;
    *made = (picture){.width = (width + factor - 1) / factor, .height = (height + factor - 1) / factor};
    made->rgba = calloc((size_t)made->width * made->height, 4);
    return made->rgba ? factor : 0;
}

static void mean_of_block(const tagmask_image *photo, uint32_t left, uint32_t top, uint32_t factor, uint8_t *rgba) {
    size_t stride = photo->stride ? photo->stride : (size_t)3 * photo->width;
    uint32_t right = left + factor < photo->width ? left + factor : photo->width;
    uint32_t bottom = top + factor < photo->height ? top + factor : photo->height;
    uint64_t sums[3] = {0}, count = (uint64_t)(right - left) * (bottom - top);
    for (uint32_t y = top; y < bottom; y++) {
        for (uint32_t x = left; x < right; x++) {
            for (size_t c = 0; c < 3; c++) sums[c] += photo->pixels[y * stride + (size_t)3 * x + c];
        }
    }
    for (size_t c = 0; c < 3; c++) rgba[c] = (uint8_t)((sums[c] + count / 2) / count);
    rgba[3] = 255;
}

bool picture_of_photo(const tagmask_image *photo, uint32_t side, picture *made) {
    uint32_t factor = make(photo->width, photo->height, side, made);
    for (uint32_t y = 0; factor && y < made->height; y++) {
        for (uint32_t x = 0; x < made->width; x++) {
            mean_of_block(photo, x * factor, y * factor, factor, made->rgba + 4 * ((size_t)y * made->width + x));
        }
    }
    return factor != 0;
}

bool picture_of_labels(const uint8_t *labels, uint32_t width, uint32_t height, uint32_t side, picture *made) {
    uint32_t factor = make(width, height, side, made);
    for (uint32_t y = 0; factor && y < made->height; y++) {
        for (uint32_t x = 0; x < made->width; x++) {
            uint8_t label = labels[(size_t)y * factor * width + (size_t)x * factor];
            if (!label) continue;
            uint32_t colour = picture_tag_colour(label - 1u);
            uint8_t *rgba = made->rgba + 4 * ((size_t)y * made->width + x);
            rgba[0] = (uint8_t)(colour >> 16), rgba[1] = (uint8_t)(colour >> 8), rgba[2] = (uint8_t)colour;
            rgba[3] = 255;
        }
    }
    return factor != 0;
}

// Nine colours of matplotlib's viridis; between them it is nearly straight.
static void viridis(float value, uint8_t *rgba) {
    static const uint8_t stops[9][3] = {{68, 1, 84},    {71, 44, 122}, {59, 81, 139},  {44, 113, 142}, {33, 144, 141},
                                        {39, 173, 129}, {92, 200, 99}, {170, 220, 50}, {253, 231, 37}};
    float at = value > 0 ? (value < 1 ? value * 8 : 8) : 0;
    int low = at < 7 ? (int)at : 7;
    for (int c = 0; c < 3; c++) {
        rgba[c] =
            (uint8_t)((float)stops[low][c] + (at - (float)low) * (float)(stops[low + 1][c] - stops[low][c]) + 0.5f);
    }
    rgba[3] = 255;
}

bool picture_of_map(const float *values, uint32_t width, uint32_t height, uint32_t side, picture *made) {
    uint32_t factor = make(width, height, side, made);
    for (uint32_t y = 0; factor && y < made->height; y++) {
        for (uint32_t x = 0; x < made->width; x++) {
            float value = values[(size_t)y * factor * width + (size_t)x * factor];
            viridis(value, made->rgba + 4 * ((size_t)y * made->width + x));
        }
    }
    return factor != 0;
}

void picture_free(picture *p) {
    free(p->rgba);
    *p = (picture){0};
}

static int encode(const picture *p, FILE *file) {
    size_t pixels = (size_t)p->width * p->height;
    uint8_t *rgb = malloc(3 * pixels);
    spng_ctx *png = spng_ctx_new(SPNG_CTX_ENCODER);
    int status = rgb && png ? 0 : SPNG_EMEM;
    for (size_t i = 0; !status && i < pixels; i++) memcpy(rgb + 3 * i, p->rgba + 4 * i, 3);
    struct spng_ihdr header = {p->width, p->height, 8, SPNG_COLOR_TYPE_TRUECOLOR, 0, 0, 0};
    if (!status) status = spng_set_png_file(png, file);
    if (!status) status = spng_set_ihdr(png, &header);
    if (!status) status = spng_encode_image(png, rgb, 3 * pixels, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    spng_ctx_free(png);
    free(rgb);
    return status;
}

bool picture_write(const picture *p, const char *path, char *why, size_t size) {
    FILE *file = fopen(path, "wb");
    if (!file) {
        snprintf(why, size, "%s: cannot be written: %s", path, strerror(errno));
        return false;
    }
    int status = encode(p, file);
    bool closed = fclose(file) == 0;
    if (status || !closed)
        snprintf(why, size, "%s: cannot be written: %s", path, status ? spng_strerror(status) : "disk full");
    return !status && closed;
}
