#include "io/labelme_mask.h"

#include <stdlib.h>
#include <string.h>

#include "io/image.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void encode_base64(const uint8_t *bytes, size_t size, tm_text *out) {
    for (size_t i = 0; i < size; i += 3) {
        size_t count = TM_MIN(size - i, (size_t)3);
        uint32_t bits = (uint32_t)bytes[i] << 16;
        if (count > 1) bits |= (uint32_t)bytes[i + 1] << 8;
        if (count > 2) bits |= bytes[i + 2];
        char four[4] = {digits[bits >> 18], digits[bits >> 12 & 63], '=', '='};
        if (count > 1) four[2] = digits[bits >> 6 & 63];
        if (count > 2) four[3] = digits[bits & 63];
        tm_text_bytes(out, four, 4);
    }
}

// NULL: not base64, or out of memory.
static uint8_t *decode_base64(const char *text, size_t *size) {
    uint8_t *out = malloc(strlen(text) / 4 * 3 + 3);
    uint32_t bits = 0, held = 0;
    size_t used = 0;
    for (; out && *text && *text != '='; text++) {
        const char *digit = strchr(digits, *text);
        if (*text == '\n' || *text == '\r') continue;
        if (!digit) {
            free(out);
            return NULL;
        }
        bits = bits << 6 | (uint32_t)(digit - digits);
        held += 6;
        if (held < 8) continue;
        held -= 8;
        out[used++] = (uint8_t)(bits >> held);
    }
    *size = used;
    return out;
}

tagmask_status tm_labelme_mask_encode(const tm_box_mask *mask, tm_text *out, tm_error *err) {
    const tm_png png = {mask->right - mask->left + 1, mask->bottom - mask->top + 1, 1, 0, mask->pixels, NULL, 0};
    uint8_t *bytes = NULL;
    size_t size = 0;
    TM_TRY(tm_png_encode(&png, &bytes, &size, err));
    encode_base64(bytes, size, out);
    free(bytes);
    return out->failed ? tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for a mask") : TAGMASK_OK;
}

static uint64_t get_u32(const uint8_t *p) {
    return (uint64_t)p[0] << 24 | (uint64_t)p[1] << 16 | (uint64_t)p[2] << 8 | p[3];
}

tagmask_status tm_labelme_mask_decode(const char *text, uint64_t *budget, uint8_t **pixels, uint32_t *width,
                                      uint32_t *height, tm_error *err) {
    tagmask_image image = {0};
    size_t size = 0;
    uint8_t *bytes = decode_base64(text, &size);
    bool png = bytes && size >= 24 && !memcmp(bytes + 12, "IHDR", 4);
    uint64_t count = png ? get_u32(bytes + 16) * get_u32(bytes + 20) : 0;
    tagmask_status status;
    if (!png) {
        status = tm_fail(err, TAGMASK_ERROR_FORMAT, "its mask is not a PNG picture in base64");
    } else if (count > *budget) {
        status = tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                         "the masks up to this one have more pixels than hundreds of the photo; expected a label file "
                         "for people's eyes");
    } else {
        *budget -= count;
        status = tm_image_decode("its mask", bytes, size, &image, err);
    }
    free(bytes);
    if (status != TAGMASK_OK) return status;
    uint8_t *gray = (uint8_t *)image.pixels;  // one byte a pixel is enough
    for (size_t i = 0; i < (size_t)image.width * image.height; i++) gray[i] = gray[3 * i];
    *pixels = gray;
    *width = image.width;
    *height = image.height;
    return TAGMASK_OK;
}
