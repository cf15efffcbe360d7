// Where label files are painted when they are read: one label a pixel, later shapes over earlier ones.
#ifndef TM_CANVAS_H
#define TM_CANVAS_H

#include "io/rle.h"
#include "mask/result.h"

typedef struct tm_canvas {
    uint32_t width, height;
    uint8_t *labels, *toggles;
    char **tags;
    size_t tag_count, tag_capacity;
    uint64_t work;  // spent on painting, in pixels; files that would take minutes are refused
} tm_canvas;

tagmask_status tm_canvas_open(tm_canvas *canvas, uint32_t width, uint32_t height, tm_error *err);
void tm_canvas_close(tm_canvas *canvas);
// Work on one photo's shapes, in pixels: the most, what is left of it, and taking some. Reading spends it, too, where
// one shape can cost more than its own length.
uint64_t tm_canvas_work_limit(uint32_t width, uint32_t height);
uint64_t tm_canvas_work_left(const tm_canvas *canvas);
tagmask_status tm_canvas_spend(tm_canvas *canvas, uint64_t work, tm_error *err);
// The label of a tag, 1..254, which is made if new.
tagmask_status tm_canvas_tag(tm_canvas *canvas, const char *tag, uint8_t *label, tm_error *err);
// Paints the pixels whose centres the ring encloses by the even-odd rule; x and y in turn. What lies outside the canvas
// is cut off.
tagmask_status tm_canvas_polygon(tm_canvas *canvas, uint8_t label, const double *points, size_t count, tm_error *err);
// pixels: box_width x box_height, at (left, top), which may be partly outside.
tagmask_status tm_canvas_mask(tm_canvas *canvas, uint8_t label, const uint8_t *pixels, int64_t left, int64_t top,
                              uint32_t box_width, uint32_t box_height, tm_error *err);
// A result with every part kept and probabilities of 0 and 1; the canvas is empty afterwards.
tagmask_status tm_canvas_finish(tm_canvas *canvas, tagmask_result **result, tm_error *err);

#endif
