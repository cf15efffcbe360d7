// PNG in and out by libspng (https://www.w3.org/TR/png-3/).
#include <spng.h>
#include <stdlib.h>
#include <string.h>

#include "io/image_internal.h"

// ---- Reading --------------------------------------------------------------------------------------------------------

// Transparent parts are shown on white, in sRGB values as viewers do; in place, from four bytes a pixel to three.
static void blend_on_white(uint8_t *pixels, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const uint8_t *from = pixels + 4 * i;
        uint32_t alpha = from[3];
        for (int c = 0; c < 3; c++)
            pixels[3 * i + (size_t)c] = (uint8_t)((from[c] * alpha + 255 * (255 - alpha) + 127) / 255);
    }
}

static tagmask_status damaged(const char *name, const char *reason, tm_error *err) {
    return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: is a damaged or truncated PNG picture: %s", name, reason);
}

// Deflate cannot pack better than 1032 to 1, so a small file that claims a giant picture is refused before memory is
// asked for.
static bool can_hold(const struct spng_ihdr *ihdr, size_t size) {
    uint64_t bits = (uint64_t)ihdr->width * ihdr->height * ihdr->bit_depth;
    return bits / 8 / 1032 <= size;
}

static tagmask_status decode_pixels(const char *name, spng_ctx *ctx, const struct spng_ihdr *ihdr, size_t size,
                                    tagmask_image *image, tm_error *err) {
    struct spng_trns trns;
    bool alpha = ihdr->color_type & 4 || spng_get_trns(ctx, &trns) == 0;
    size_t count, room;
    TM_TRY(tm_image_check_size(name, ihdr->width, ihdr->height, alpha, err));
    if (!can_hold(ihdr, size)) return damaged(name, "it is too short for its number of pixels", err);
    count = (size_t)ihdr->width * ihdr->height;
    room = count * (alpha ? 4 : 3);
    uint8_t *pixels = malloc(room);
    if (!pixels) return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for %zu bytes of pixels", name, room);
    int code =
        spng_decode_image(ctx, pixels, room, alpha ? SPNG_FMT_RGBA8 : SPNG_FMT_RGB8, alpha ? SPNG_DECODE_TRNS : 0);
    if (!code) code = spng_decode_chunks(ctx);  // to the end: the EXIF block may follow the pixels
    if (code) {
        free(pixels);
        return damaged(name, spng_strerror(code), err);
    }
    if (alpha) {
        blend_on_white(pixels, count);
        uint8_t *smaller = realloc(pixels, count * 3);
        if (smaller) pixels = smaller;
    }
    image->pixels = pixels;
    image->width = ihdr->width;
    image->height = ihdr->height;
    return TAGMASK_OK;
}

static uint32_t big_endian(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

// libspng forgives a file that is cut inside its last chunk, and says of odd sizes only that they overflow.
static tagmask_status check_frame(const char *name, const uint8_t *bytes, size_t size, tm_error *err) {
    if (size < 33 || big_endian(bytes + 8) != 13 || memcmp(bytes + 12, "IHDR", 4)) {
        return damaged(name, "its header is missing", err);
    }
    TM_TRY(tm_image_check_size(name, big_endian(bytes + 16), big_endian(bytes + 20), 0, err));
    size_t at = 8;
    while (size - at >= 12 && big_endian(bytes + at) <= size - at - 12) {
        if (!memcmp(bytes + at + 4, "IEND", 4)) return TAGMASK_OK;
        at += 12 + (size_t)big_endian(bytes + at);
    }
    return damaged(name, "its end is missing", err);
}

// NULL: out of memory.
static spng_ctx *open_picture(const uint8_t *bytes, size_t size) {
    // Profiles and the like are not used; the limits keep them from filling the memory.
    const size_t chunk_limit = (size_t)16 << 20, cache_limit = (size_t)32 << 20;
    spng_ctx *ctx = spng_ctx_new(0);
    if (!ctx) return NULL;
    spng_set_crc_action(ctx, SPNG_CRC_ERROR, SPNG_CRC_DISCARD);
    spng_set_chunk_limits(ctx, chunk_limit, cache_limit);
    spng_set_png_buffer(ctx, bytes, size);
    return ctx;
}

tagmask_status tm_png_decode(const char *name, const uint8_t *bytes, size_t size, tagmask_image *image,
                             int *orientation, tm_error *err) {
    struct spng_ihdr ihdr;
    struct spng_exif exif;
    TM_TRY(check_frame(name, bytes, size, err));
    spng_ctx *ctx = open_picture(bytes, size);
    if (!ctx) return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to decode it", name);
    int code = spng_get_ihdr(ctx, &ihdr);
    tagmask_status status =
        code ? damaged(name, spng_strerror(code), err) : decode_pixels(name, ctx, &ihdr, size, image, err);
    if (status == TAGMASK_OK && !spng_get_exif(ctx, &exif)) {
        *orientation = tm_exif_orientation((const uint8_t *)exif.data, exif.length);
    }
    spng_ctx_free(ctx);
    return status;
}

// From rows of depth-bit numbers, padded to bytes, to a byte a number; in place, from the end.
static void unpack(uint8_t *pixels, uint32_t width, uint32_t height, uint32_t depth) {
    size_t row_bytes = ((size_t)width * depth + 7) / 8;
    for (uint32_t y = height; y-- > 0 && depth < 8;) {
        for (uint32_t x = width; x-- > 0;) {
            size_t bit = (size_t)x * depth;
            uint32_t byte = pixels[y * row_bytes + bit / 8];
            pixels[(size_t)y * width + x] = (uint8_t)(byte >> (8 - depth - bit % 8) & ((1u << depth) - 1));
        }
    }
}

static tagmask_status decode_indices(const char *name, spng_ctx *ctx, size_t size, tm_indices *indices, tm_error *err) {
    struct spng_ihdr ihdr;
    int code = spng_get_ihdr(ctx, &ihdr);
    if (code) return damaged(name, spng_strerror(code), err);
    if ((ihdr.color_type != SPNG_COLOR_TYPE_INDEXED && ihdr.color_type != SPNG_COLOR_TYPE_GRAYSCALE) ||
        ihdr.bit_depth > 8) {
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "%s: is no map of labels; expected a PNG with a palette, or a gray one of at most 8 bits", name);
    }
    TM_TRY(tm_image_check_size(name, ihdr.width, ihdr.height, 0, err));
    if (!can_hold(&ihdr, size)) return damaged(name, "it is too short for its number of pixels", err);
    size_t count = (size_t)ihdr.width * ihdr.height;
    uint8_t *pixels = malloc(count);
    if (!pixels) return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for %zu bytes of labels", name, count);
    size_t packed = ((size_t)ihdr.width * ihdr.bit_depth + 7) / 8 * ihdr.height;
    code = spng_decode_image(ctx, pixels, packed, SPNG_FMT_PNG, 0);
    if (!code) code = spng_decode_chunks(ctx);  // texts may follow the pixels
    if (code) {
        free(pixels);
        return damaged(name, spng_strerror(code), err);
    }
    unpack(pixels, ihdr.width, ihdr.height, ihdr.bit_depth);
    *indices = (tm_indices){ihdr.width, ihdr.height, pixels, NULL};
    return TAGMASK_OK;
}

// NULL: none, or out of memory.
static char *find_text(spng_ctx *ctx, const char *keyword) {
    uint32_t count = 0;
    char *found = NULL;
    if (spng_get_text(ctx, NULL, &count) || !count) return NULL;
    struct spng_text *texts = tm_calloc(count, sizeof *texts);
    if (texts && !spng_get_text(ctx, texts, &count)) {
        for (uint32_t i = 0; i < count && !found; i++) {
            if (!strcmp(texts[i].keyword, keyword)) found = tm_format("%.*s", (int)texts[i].length, texts[i].text);
        }
    }
    free(texts);
    return found;
}

tagmask_status tm_png_indices(const char *name, const uint8_t *bytes, size_t size, const char *keyword,
                              tm_indices *indices, tm_error *err) {
    static const uint8_t signature[8] = {137, 80, 78, 71, 13, 10, 26, 10};
    if (size < 8 || memcmp(bytes, signature, 8)) {
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: is no PNG picture; expected a map of labels", name);
    }
    TM_TRY(check_frame(name, bytes, size, err));
    spng_ctx *ctx = open_picture(bytes, size);
    if (!ctx) return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to decode it", name);
    tagmask_status status = decode_indices(name, ctx, size, indices, err);
    if (status == TAGMASK_OK) indices->text = find_text(ctx, keyword);
    spng_ctx_free(ctx);
    return status;
}
