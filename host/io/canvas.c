#include "io/canvas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/image.h"

tagmask_status tm_canvas_open(tm_canvas *canvas, uint32_t width, uint32_t height, tm_error *err) {
    if (!width || !height || width > TM_IMAGE_MAX_SIDE || height > TM_IMAGE_MAX_SIDE ||
        (uint64_t)width * height > TM_IMAGE_MAX_PIXELS) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT,
                       "a photo of %u x %u pixels: expected sides of 1 to %u and at most %u megapixels", width, height,
                       TM_IMAGE_MAX_SIDE, TM_IMAGE_MAX_PIXELS / 1000000u);
    }
    tm_canvas c = {.width = width, .height = height};
    c.labels = tm_calloc(width, height);
    c.toggles = tm_calloc((size_t)width + 1, height);
    if (!c.labels || !c.toggles) {
        tm_canvas_close(&c);
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for a label map of %u x %u pixels", width, height);
    }
    *canvas = c;
    return TAGMASK_OK;
}

void tm_canvas_close(tm_canvas *canvas) {
    for (size_t i = 0; i < canvas->tag_count; i++) free(canvas->tags[i]);
    free(canvas->tags);
    free(canvas->labels);
    free(canvas->toggles);
    *canvas = (tm_canvas){0};
}

tagmask_status tm_canvas_tag(tm_canvas *canvas, const char *tag, uint8_t *label, tm_error *err) {
    for (size_t i = 0; i < canvas->tag_count; i++) {
        if (strcmp(canvas->tags[i], tag)) continue;
        *label = (uint8_t)(i + 1);
        return TAGMASK_OK;
    }
    if (canvas->tag_count == 254) {
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "has more than 254 different labels on one photo");
    }
    char *copy = tm_strdup(tag);
    if (!copy || !tm_grow((void **)&canvas->tags, &canvas->tag_capacity, canvas->tag_count + 1, sizeof copy)) {
        free(copy);
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the label \"%s\"", tag);
    }
    canvas->tags[canvas->tag_count++] = copy;
    *label = (uint8_t)canvas->tag_count;
    return TAGMASK_OK;
}

uint64_t tm_canvas_work_limit(uint32_t width, uint32_t height) {
    return TM_MAX((uint64_t)1 << 28, 256 * (uint64_t)width * height);
}

uint64_t tm_canvas_work_left(const tm_canvas *canvas) {
    return tm_canvas_work_limit(canvas->width, canvas->height) - canvas->work;
}

tagmask_status tm_canvas_spend(tm_canvas *canvas, uint64_t work, tm_error *err) {
    if (work <= tm_canvas_work_left(canvas)) {
        canvas->work += work;
        return TAGMASK_OK;
    }
    return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                   "its shapes cover the photo hundreds of times over; expected a label file for people's eyes");
}

// The first row whose centre is at or below y, cut to the canvas.
static uint32_t first_row(const tm_canvas *canvas, double y) {
    return (uint32_t)TM_CLAMP(ceil(y - 0.5), 0.0, (double)canvas->height);
}

// Flips, in every row that the edge crosses, all pixels from the crossing on: the first of them is marked.
static void toggle_edge(tm_canvas *canvas, const double *a, const double *b) {
    const double *upper = a[1] <= b[1] ? a : b, *lower = a[1] <= b[1] ? b : a;
    uint32_t end = first_row(canvas, lower[1]);
    for (uint32_t y = first_row(canvas, upper[1]); y < end; y++) {
        double cut = upper[0] + (y + 0.5 - upper[1]) * (lower[0] - upper[0]) / (lower[1] - upper[1]);
        size_t x = (size_t)TM_CLAMP(ceil(cut - 0.5), 0.0, (double)canvas->width);
        canvas->toggles[(size_t)y * (canvas->width + 1) + x] ^= 1;
    }
}

tagmask_status tm_canvas_polygon(tm_canvas *canvas, uint8_t label, const double *points, size_t count, tm_error *err) {
    uint32_t top = canvas->height, bottom = 0;
    uint64_t work = 0;
    for (size_t i = 0; i < count; i++) {
        const double *a = points + 2 * i, *b = points + 2 * (i + 1 < count ? i + 1 : 0);
        if (!(fabs(a[0]) <= 1e7 && fabs(a[1]) <= 1e7)) {
            return tm_fail(err, TAGMASK_ERROR_FORMAT, "point %zu is (%g, %g), far outside of any photo", i + 1, a[0],
                           a[1]);
        }
        uint32_t first = first_row(canvas, TM_MIN(a[1], b[1])), end = first_row(canvas, TM_MAX(a[1], b[1]));
        top = TM_MIN(top, first);
        bottom = TM_MAX(bottom, end);
        work += end - first + 1;
    }
    if (bottom > top) work += (uint64_t)(bottom - top) * canvas->width;
    TM_TRY(tm_canvas_spend(canvas, work, err));
    for (size_t i = 0; i < count; i++) toggle_edge(canvas, points + 2 * i, points + 2 * (i + 1 < count ? i + 1 : 0));
    for (uint32_t y = top; y < bottom; y++) {
        uint8_t *toggle = canvas->toggles + (size_t)y * (canvas->width + 1), inside = 0;
        uint8_t *row = canvas->labels + (size_t)y * canvas->width;
        for (uint32_t x = 0; x < canvas->width; x++) {
            inside ^= toggle[x];
            if (inside) row[x] = label;
        }
        memset(toggle, 0, (size_t)canvas->width + 1);
    }
    return TAGMASK_OK;
}

tagmask_status tm_canvas_mask(tm_canvas *canvas, uint8_t label, const uint8_t *pixels, int64_t left, int64_t top,
                              uint32_t box_width, uint32_t box_height, tm_error *err) {
    TM_TRY(tm_canvas_spend(canvas, (uint64_t)box_width * box_height, err));
    for (uint32_t y = 0; y < box_height; y++) {
        for (uint32_t x = 0; x < box_width; x++) {
            int64_t to_x = left + x, to_y = top + y;
            if (!pixels[(size_t)y * box_width + x]) continue;
            if (to_x < 0 || to_y < 0 || to_x >= canvas->width || to_y >= canvas->height) continue;
            canvas->labels[(size_t)to_y * canvas->width + (size_t)to_x] = label;
        }
    }
    return TAGMASK_OK;
}

tagmask_status tm_canvas_finish(tm_canvas *canvas, tagmask_result **result, tm_error *err) {
    size_t plane = (size_t)canvas->width * canvas->height, count;
    float *probability = tm_mul_size(plane, canvas->tag_count, &count) ? tm_calloc(count, sizeof *probability) : NULL;
    tagmask_status status;
    if (!probability) {
        status = tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for %zu masks of %u x %u pixels", canvas->tag_count,
                         canvas->width, canvas->height);
        tm_canvas_close(canvas);
        return status;
    }
    for (size_t i = 0; i < plane; i++) {
        if (canvas->labels[i]) probability[(canvas->labels[i] - 1u) * plane + i] = 1;
    }
    uint8_t *labels = canvas->labels;
    canvas->labels = NULL;
    status = tm_result_create(canvas->width, canvas->height, (const char *const *)canvas->tags, NULL, canvas->tag_count,
                              probability, labels, (tm_region_rules){.min_part = -1}, result, err);
    tm_canvas_close(canvas);
    return status;
}
