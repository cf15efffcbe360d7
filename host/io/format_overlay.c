// The photo with tinted masks, their outlines and a legend of colour swatches in the order of the tags.
#include <stdlib.h>
#include <string.h>

#include "io/formats.h"

enum { STEP = 3, DIAGONAL = 4, FAR = 255 };  // chamfer distances, Borgefors 1986: 3 is a pixel

static void mix(uint8_t *pixel, const uint8_t *colour, uint32_t percent) {
    for (int c = 0; c < 3; c++) pixel[c] = (uint8_t)((pixel[c] * (100 - percent) + colour[c] * percent + 50) / 100);
}

static bool at_border(const uint8_t *labels, uint32_t width, uint32_t height, uint32_t x, uint32_t y) {
    const uint8_t *p = labels + (size_t)y * width + x;
    return (x && p[-1] != *p) || (x + 1 < width && p[1] != *p) || (y && p[-(ptrdiff_t)width] != *p) ||
           (y + 1 < height && p[width] != *p);
}

static void lower(uint8_t *distance, const uint8_t *near, uint32_t step) {
    if (*near + step < *distance) *distance = (uint8_t)(*near + step);
}

// Distance of every pixel to the nearest other label, STEP for a pixel that touches it. NULL: out of memory.
static uint8_t *border_distance(const uint8_t *labels, uint32_t width, uint32_t height) {
    uint8_t *map = malloc((size_t)width * height);
    if (!map) return NULL;
    ptrdiff_t w = width;
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            uint8_t *d = map + (size_t)y * width + x;
            *d = at_border(labels, width, height, x, y) ? STEP : FAR;
            if (x) lower(d, d - 1, STEP);
            if (y) lower(d, d - w, STEP);
            if (x && y) lower(d, d - w - 1, DIAGONAL);
            if (x + 1 < width && y) lower(d, d - w + 1, DIAGONAL);
        }
    }
    for (uint32_t y = height; y-- > 0;) {
        for (uint32_t x = width; x-- > 0;) {
            uint8_t *d = map + (size_t)y * width + x;
            if (x + 1 < width) lower(d, d + 1, STEP);
            if (y + 1 < height) lower(d, d + w, STEP);
            if (x + 1 < width && y + 1 < height) lower(d, d + w + 1, DIAGONAL);
            if (x && y + 1 < height) lower(d, d + w - 1, DIAGONAL);
        }
    }
    return map;
}

static void paint_masks(uint8_t *pixels, const tagmask_result *r, const uint8_t *distance) {
    static const uint8_t white[3] = {255, 255, 255};
    uint32_t line = TM_CLAMP(TM_MAX(r->width, r->height) / 400, 1u, 12u), halo = (line + 1) / 2;
    uint8_t colours[256][3];
    for (uint32_t i = 1; i < 256; i++) tm_label_colour(i, colours[i]);
    for (size_t i = 0; i < (size_t)r->width * r->height; i++) {
        uint8_t label = r->labels[i];
        if (label) {
            mix(pixels + 3 * i, colours[label], distance[i] <= STEP * line ? 95 : 40);
        } else if (distance[i] <= STEP * halo) {
            mix(pixels + 3 * i, white, 70);
        }
    }
}

static void paint_box(uint8_t *pixels, uint32_t width, uint32_t left, uint32_t top, uint32_t w, uint32_t h,
                      const uint8_t *colour, uint32_t percent) {
    for (uint32_t y = top; y < top + h; y++) {
        for (uint32_t x = left; x < left + w; x++) mix(pixels + 3 * ((size_t)y * width + x), colour, percent);
    }
}

// Bottom left, as many swatches as fit; pictures too small for it go without.
static void paint_legend(uint8_t *pixels, const tagmask_result *r) {
    static const uint8_t white[3] = {255, 255, 255};
    uint32_t side = TM_MAX(TM_MIN(r->width, r->height) / 24, 6u), gap = TM_MAX(side / 4, 2u), step = side + gap;
    if (r->width < 3 * step || r->height < 3 * step) return;
    uint32_t fit = (r->width - 3 * gap) / step, count = (uint32_t)TM_MIN(r->tag_count, (size_t)fit);
    uint32_t top = r->height - side - 3 * gap;
    paint_box(pixels, r->width, gap, top, count * step + gap, side + 2 * gap, white, 75);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t colour[3];
        tm_label_colour(i + 1, colour);
        paint_box(pixels, r->width, 2 * gap + i * step, top + gap, side, side, colour, 100);
    }
}

static tagmask_status add(void *state, const tm_label_job *job, tm_error *err) {
    (void)state;
    const tagmask_result *r = job->result;
    const tagmask_image *photo = job->photo;
    size_t row = 3 * (size_t)r->width, stride = photo->stride ? photo->stride : row;
    char *path = NULL;
    TM_TRY(tm_label_path(job, NULL, tm_format_overlay.ending, &path, err));
    tagmask_status status = TAGMASK_ERROR_MEMORY;
    uint8_t *pixels = malloc(row * r->height), *distance = border_distance(r->labels, r->width, r->height);
    if (!pixels || !distance) {
        tm_fail(err, status, "%s: no memory for %u x %u pixels", path, r->width, r->height);
        goto done;
    }
    for (uint32_t y = 0; y < r->height; y++) memcpy(pixels + y * row, photo->pixels + y * stride, row);
    paint_masks(pixels, r, distance);
    paint_legend(pixels, r);
    status = tm_label_picture(path, &(tm_png){r->width, r->height, 3, 0, pixels, NULL, 0}, err);
done:
    free(distance);
    free(pixels);
    free(path);
    return status;
}

const tm_label_format tm_format_overlay = {
    .name = "overlay", .ending = ".overlay.png", .needs_photo = true, .add = add};
