// PNG files from pixels; the command has it too, for the pictures of its pages.
#include <spng.h>
#include <stdlib.h>
#include <string.h>

#include "io/image.h"

static int write_rows(spng_ctx *ctx, const tm_png *png) {
    size_t row_bytes = (size_t)png->width * png->channels, stride = png->stride ? png->stride : row_bytes;
    int code = spng_encode_image(ctx, NULL, 0, SPNG_FMT_PNG, SPNG_ENCODE_PROGRESSIVE | SPNG_ENCODE_FINALIZE);
    for (uint32_t y = 0; !code && y < png->height; y++) {
        code = spng_encode_row(ctx, png->pixels + y * stride, row_bytes);
    }
    return code == SPNG_EOI ? 0 : code;
}

static int set_text(spng_ctx *ctx, const tm_png *png) {
    struct spng_text text = {.type = SPNG_ITXT,
                             .length = strlen(png->text),
                             .text = (char *)png->text,
                             .language_tag = "",
                             .translated_keyword = ""};
    strncpy(text.keyword, png->keyword, sizeof text.keyword - 1);
    return spng_set_text(ctx, &text, 1);
}

tagmask_status tm_png_encode(const tm_png *png, uint8_t **bytes, size_t *size, tm_error *err) {
    // Flat index maps pack well whatever it costs; a photo hardly gains from more than a quick look.
    const int level = png->channels == 1 ? 6 : 3;
    struct spng_ihdr ihdr = {.width = png->width, .height = png->height, .bit_depth = 8};
    struct spng_plte plte = {.n_entries = png->palette_size};
    void *buffer = NULL;
    size_t length = 0;
    ihdr.color_type = (uint8_t)(png->channels == 3 ? SPNG_COLOR_TYPE_TRUECOLOR
                                : png->palette     ? SPNG_COLOR_TYPE_INDEXED
                                                   : SPNG_COLOR_TYPE_GRAYSCALE);
    for (uint32_t i = 0; png->palette && i < png->palette_size && i < 256; i++) {
        plte.entries[i].red = png->palette[3 * i];
        plte.entries[i].green = png->palette[3 * i + 1];
        plte.entries[i].blue = png->palette[3 * i + 2];
    }
    spng_ctx *ctx = spng_ctx_new(SPNG_CTX_ENCODER);
    if (!ctx) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory to encode a PNG picture");
    int code = spng_set_option(ctx, SPNG_ENCODE_TO_BUFFER, 1);
    if (!code) code = spng_set_option(ctx, SPNG_IMG_COMPRESSION_LEVEL, level);
    if (!code) code = spng_set_ihdr(ctx, &ihdr);
    if (!code && png->palette) code = spng_set_plte(ctx, &plte);
    if (!code && png->text) code = set_text(ctx, png);
    if (!code) code = write_rows(ctx, png);
    if (!code) buffer = spng_get_png_buffer(ctx, &length, &code);
    spng_ctx_free(ctx);
    if (!buffer) {
        return tm_fail(err, code == SPNG_EMEM ? TAGMASK_ERROR_MEMORY : TAGMASK_ERROR_ARGUMENT,
                       "a PNG picture of %u x %u pixels cannot be encoded: %s", png->width, png->height,
                       spng_strerror(code));
    }
    *bytes = buffer;
    *size = length;
    return TAGMASK_OK;
}

tagmask_status tm_png_write(const char *path, const tm_png *png, tm_error *err) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    tagmask_status status = tm_png_encode(png, &bytes, &size, err);
    if (status != TAGMASK_OK) return tm_fail_prefix(err, "%s", path);
    status = tm_write_file(path, bytes, size, err);
    free(bytes);
    return status;
}
