// Run-length codes of masks. A mask here is height x width bytes, 0 or not 0, row by row.
#ifndef TM_RLE_H
#define TM_RLE_H

#include "base/base.h"
#include "io/text.h"

// A mask that covers a box of a larger picture; outside the box everything is background.
typedef struct tm_box_mask {
    const uint8_t *pixels;  // (bottom - top + 1) x (right - left + 1)
    uint32_t left, top, right, bottom;
    uint32_t width, height;  // of the picture
} tm_box_mask;

// COCO's compressed runs (pycocotools, maskApi.c): column by column, first background. The text may hold backslashes,
// which JSON writes as two.
void tm_rle_coco(const tm_box_mask *mask, tm_text *out);
// false: not such a code, or not of exactly width x height pixels. Sides as in pictures.
bool tm_rle_coco_decode(const char *text, size_t size, uint32_t width, uint32_t height, uint8_t *pixels);

// Label Studio's brush (label_studio_converter/brush.py, after thi.ng/rle-pack): "0,12,255,..." , the bytes of a bit
// stream of RGBA rows in which a mask pixel is four times 255.
void tm_rle_label_studio(const tm_box_mask *mask, tm_text *out);
// bytes: the numbers of that list. false: not such a code, or not of exactly width x height pixels.
bool tm_rle_label_studio_decode(const uint8_t *bytes, size_t size, uint32_t width, uint32_t height, uint8_t *pixels);

// CVAT's mask runs inside the box: row by row, first background: "2, 1, 4".
void tm_rle_cvat(const tm_box_mask *mask, tm_text *out);
// pixels: of the box. false: not such a code, or not of exactly that many pixels.
bool tm_rle_cvat_decode(const char *text, uint32_t box_width, uint32_t box_height, uint8_t *pixels);

#endif
