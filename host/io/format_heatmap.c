// The probability of each tag in the colours of viridis over the gray photo, with a bar from 0 (bottom) to 1 (top).
#include <stdlib.h>
#include <string.h>

#include "io/formats.h"
#include "io/viridis.h"

static void paint_map(uint8_t *canvas, uint32_t canvas_width, const tagmask_image *photo, const float *probability) {
    size_t stride = photo->stride ? photo->stride : 3 * (size_t)photo->width;
    for (uint32_t y = 0; y < photo->height; y++) {
        for (uint32_t x = 0; x < photo->width; x++) {
            const uint8_t *p = photo->pixels + y * stride + 3 * (size_t)x;
            uint8_t *to = canvas + 3 * ((size_t)y * canvas_width + x), rgb[3];
            uint32_t gray = (2126u * p[0] + 7152u * p[1] + 722u * p[2] + 5000u) / 10000u;  // ITU-R BT.709 weights
            tm_viridis(probability[(size_t)y * photo->width + x], rgb);
            for (int c = 0; c < 3; c++) to[c] = (uint8_t)((gray * 30 + rgb[c] * 70u + 50) / 100);
        }
    }
}

// On white, right of the photo; black marks at every tenth, longer at 0, 0.5 and 1.
static void paint_bar(uint8_t *canvas, uint32_t canvas_width, uint32_t photo_width, uint32_t height) {
    uint32_t margin = canvas_width - photo_width, pad = TM_MIN(margin / 4, height / 4), top = pad;
    uint32_t length = TM_MAX(height - 2 * pad, 1u), left = photo_width + margin / 4, right = photo_width + margin / 2;
    for (uint32_t y = 0; y < height; y++) {
        memset(canvas + 3 * ((size_t)y * canvas_width + photo_width), 255, 3 * (size_t)margin);
        if (y < top || y >= top + length) continue;
        uint8_t rgb[3];
        tm_viridis(1 - ((float)(y - top) + 0.5f) / (float)length, rgb);
        for (uint32_t x = left; x < right; x++) memcpy(canvas + 3 * ((size_t)y * canvas_width + x), rgb, 3);
    }
    for (uint32_t i = 0; i <= 10; i++) {
        uint32_t y = top + (length - 1) * i / 10, mark = i % 5 ? margin / 8 : margin / 4;
        memset(canvas + 3 * ((size_t)y * canvas_width + right), 0, 3 * (size_t)mark);
    }
}

static tagmask_status add(void *state, const tm_label_job *job, tm_error *err) {
    (void)state;
    const tagmask_result *r = job->result;
    uint32_t margin = TM_CLAMP(r->width / 16, 16u, 200u), width = r->width + margin;
    tagmask_status status = TAGMASK_OK;
    uint8_t *canvas = tm_calloc((size_t)width * r->height, 3);
    if (!canvas) {
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for a heat map of %u x %u pixels", job->photo_path,
                       width, r->height);
    }
    paint_bar(canvas, width, r->width, r->height);
    for (size_t tag = 0; tag < r->tag_count && status == TAGMASK_OK; tag++) {
        char *path = NULL;
        paint_map(canvas, width, job->photo, r->probability + tag * r->width * r->height);
        status = tm_label_path(job, r->tags[tag], tm_format_heatmap.ending, &path, err);
        if (status == TAGMASK_OK) {
            status = tm_label_picture(path, &(tm_png){width, r->height, 3, 0, canvas, NULL, 0}, err);
        }
        free(path);
    }
    free(canvas);
    return status;
}

const tm_label_format tm_format_heatmap = {
    .name = "heatmap", .ending = ".heatmap.png", .needs_photo = true, .each_tag = true, .add = add};
