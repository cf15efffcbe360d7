#include "io/heat.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/lettering.h"
#include "io/viridis.h"

tagmask_status tm_check_maps(const tm_label_job *job, const tm_label_format *format, tm_error *err) {
    if (job->result->maps) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                   "%s: the result holds no class maps, which the format %s writes; propose with "
                   "tagmask_params.keep_maps",
                   job->photo_path, format->name);
}

typedef struct canvas {
    uint8_t *rgb;
    uint32_t width, height;              // the photo's, the bar at its right and the words below it
    uint32_t photo_width, photo_height;  // at the top left
    uint32_t scale;                      // of letters
} canvas;

static tagmask_status open_canvas(const tm_label_job *job, canvas *c, tm_error *err) {
    const tagmask_result *r = job->result;
    *c = (canvas){.photo_width = r->width, .photo_height = r->height};
    c->scale = TM_CLAMP(TM_MIN(r->width, r->height) / 160, 1u, 12u);
    c->width = r->width + TM_CLAMP(r->width / 16, 16u, 200u);
    c->height = r->height + (TM_LETTER_ROWS + 4) * c->scale;
    c->rgb = tm_calloc((size_t)c->width * c->height, 3);
    if (c->rgb) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for a heat map of %u x %u pixels", job->photo_path,
                   c->width, c->height);
}

// Bilinear, half-pixel centres.
static float sample(const float *plane, uint32_t width, uint32_t height, float x, float y) {
    x = TM_CLAMP(x - 0.5f, 0.0f, (float)(width - 1));
    y = TM_CLAMP(y - 0.5f, 0.0f, (float)(height - 1));
    uint32_t left = (uint32_t)x, top = (uint32_t)y, right = TM_MIN(left + 1, width - 1),
             bottom = TM_MIN(top + 1, height - 1);
    float u = x - (float)left, v = y - (float)top;
    const float *upper = plane + (size_t)top * width, *lower = plane + (size_t)bottom * width;
    return (1 - v) * ((1 - u) * upper[left] + u * upper[right]) + v * ((1 - u) * lower[left] + u * lower[right]);
}

static void paint_map(const canvas *c, const tagmask_image *photo, const tm_heat *heat, const float *plane) {
    size_t stride = photo->stride ? photo->stride : 3 * (size_t)photo->width;
    float to_x = (float)heat->width / (float)photo->width, to_y = (float)heat->height / (float)photo->height;
    bool whole = heat->width == photo->width && heat->height == photo->height;
    for (uint32_t y = 0; y < photo->height; y++) {
        for (uint32_t x = 0; x < photo->width; x++) {
            const uint8_t *p = photo->pixels + y * stride + 3 * (size_t)x;
            uint8_t *to = c->rgb + 3 * ((size_t)y * c->width + x), rgb[3];
            uint32_t gray = (2126u * p[0] + 7152u * p[1] + 722u * p[2] + 5000u) / 10000u;  // ITU-R BT.709 weights
            tm_viridis(
                whole ? plane[(size_t)y * photo->width + x]
                      : sample(plane, heat->width, heat->height, ((float)x + 0.5f) * to_x, ((float)y + 0.5f) * to_y),
                rgb);
            for (int k = 0; k < 3; k++) to[k] = (uint8_t)((gray * 30 + rgb[k] * 70u + 50) / 100);
        }
    }
}

// On white, right of the photo; black marks at every tenth, longer at 0, 0.5 and 1.
static void paint_bar(const canvas *c) {
    uint32_t margin = c->width - c->photo_width, digits = (TM_LETTER_ROWS + 2) * c->scale;
    uint32_t pad = TM_MIN(TM_MAX(margin / 4, digits), c->photo_height / 4);
    uint32_t length = TM_MAX(c->photo_height - 2 * pad, 1u), left = c->photo_width + margin / 4,
             right = c->photo_width + margin / 2;
    for (uint32_t y = pad; y < pad + length; y++) {
        uint8_t rgb[3];
        tm_viridis(1 - ((float)(y - pad) + 0.5f) / (float)length, rgb);
        for (uint32_t x = left; x < right; x++) memcpy(c->rgb + 3 * ((size_t)y * c->width + x), rgb, 3);
    }
    for (uint32_t i = 0; i <= 10; i++) {
        uint32_t y = pad + (length - 1) * i / 10, mark = i % 5 ? margin / 8 : margin / 4;
        memset(c->rgb + 3 * ((size_t)y * c->width + right), 0, 3 * (size_t)mark);
    }
    if (pad < digits) return;
    tm_letters_draw(c->rgb, c->width, left, pad - digits + c->scale, c->width, c->scale, "1");
    tm_letters_draw(c->rgb, c->width, left, pad + length + c->scale, c->width, c->scale, "0");
}

static tagmask_status write_tag(const tm_label_job *job, const tm_label_format *format, const tm_heat *heat, size_t tag,
                                const canvas *c, tm_error *err) {
    const tagmask_result *r = job->result;
    char *path = NULL, *words = tm_format("%s: %s", r->tags[tag], heat->what);
    if (!words) return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for a heat map's words", job->photo_path);
    memset(c->rgb, 255, (size_t)c->width * c->height * 3);
    paint_bar(c);
    paint_map(c, job->photo, heat, heat->planes + tag * heat->width * heat->height);
    tm_letters_draw(c->rgb, c->width, 2 * c->scale, r->height + 2 * c->scale, c->width, c->scale, words);
    free(words);
    tagmask_status status = tm_label_path(job, r->tags[tag], format->ending, &path, err);
    if (!status) status = tm_label_picture(path, &(tm_png){c->width, c->height, 3, 0, c->rgb, NULL, 0}, err);
    free(path);
    return status;
}

tagmask_status tm_heat_write(const tm_label_job *job, const tm_label_format *format, const tm_heat *heat,
                             tm_error *err) {
    canvas c;
    TM_TRY(open_canvas(job, &c, err));
    tagmask_status status = TAGMASK_OK;
    for (size_t tag = 0; tag < job->result->tag_count && !status; tag++)
        status = write_tag(job, format, heat, tag, &c, err);
    free(c.rgb);
    return status;
}
