// JPEG in, by libjpeg-turbo (ITU-T T.81; Adobe's APP14 marker: Adobe Technical Note 5116).
// jpeglib.h needs stdio.h before it, jerror.h needs jpeglib.h.
// clang-format off
#include <stdio.h>
#include <jpeglib.h>
#include <jerror.h>
// clang-format on
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "io/image_internal.h"

// A hostile progressive file repeats tiny scans over a giant picture. Real ones have about ten scans; a small picture
// may have more than a hundred.
#define MOST_SCANS 500u
#define FEWEST_SCANS 64u
#define SCANNED_PIXELS ((uint64_t)4e9)

typedef struct decoder {
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    const char *name;
    tm_error *err;
    tagmask_status status;
    int orientation;
    uint8_t *pixels, *row;
} decoder;

static _Noreturn void give_up(decoder *d, tagmask_status status, const char *reason) {
    d->status = tm_fail(d->err, status, "%s: is a damaged or truncated JPEG picture: %s", d->name, reason);
    longjmp(d->escape, 1);
}

static void on_error(j_common_ptr info) {
    decoder *d = info->client_data;
    char reason[JMSG_LENGTH_MAX];
    info->err->format_message(info, reason);
    int code = info->err->msg_code;
    tagmask_status status = TAGMASK_ERROR_FORMAT;
    if (code == JERR_OUT_OF_MEMORY) status = TAGMASK_ERROR_MEMORY;
    give_up(d, status, reason);
}

// libjpeg fills what is missing with gray and only warns; here that is an error. Other warnings (stray bytes before a
// marker, odd version numbers) leave the picture whole.
static void on_message(j_common_ptr info, int level) {
    switch (info->err->msg_code) {
        case JWRN_JPEG_EOF:
        case JWRN_HIT_MARKER:
        case JWRN_HUFF_BAD_CODE:
        case JWRN_ARITH_BAD_CODE:
        case JWRN_MUST_RESYNC:
        case JWRN_NOT_SEQUENTIAL:
            if (level < 0) on_error(info);
            break;
        default:
            break;
    }
}

static void on_progress(j_common_ptr info) {
    const struct jpeg_decompress_struct *d = (const struct jpeg_decompress_struct *)info;
    uint64_t most = SCANNED_PIXELS / ((uint64_t)d->image_width * d->image_height + 1);
    if (d->input_scan_number > (int)TM_CLAMP(most, FEWEST_SCANS, MOST_SCANS))
        give_up(info->client_data, TAGMASK_ERROR_FORMAT, "it has too many scans");
}

// Adobe's programs store CMYK inverted and mark it; without the mark 255 is full ink.
static void cmyk_to_rgb(const uint8_t *cmyk, size_t count, bool inverted, uint8_t *rgb) {
    uint8_t flip = inverted ? 0 : 255;
    for (size_t i = 0; i < count; i++) {
        uint32_t key = cmyk[4 * i + 3] ^ flip;
        for (size_t c = 0; c < 3; c++) rgb[3 * i + c] = (uint8_t)(((cmyk[4 * i + c] ^ flip) * key + 127) / 255);
    }
}

static int find_orientation(const struct jpeg_decompress_struct *info) {
    for (jpeg_saved_marker_ptr marker = info->marker_list; marker; marker = marker->next) {
        if (marker->marker != JPEG_APP0 + 1 || marker->data_length < 6 || memcmp(marker->data, "Exif\0", 6)) continue;
        return tm_exif_orientation(marker->data, marker->data_length);
    }
    return 1;
}

static tagmask_status start(decoder *d, const uint8_t *bytes, size_t size) {
    struct jpeg_decompress_struct *info = &d->info;
    jpeg_mem_src(info, bytes, size);
    jpeg_save_markers(info, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(info, TRUE);
    d->orientation = find_orientation(info);
    // Several scans are collected as coefficients of two bytes each.
    size_t extra = jpeg_has_multiple_scans(info) ? 2 * (size_t)info->num_components : 0;
    TM_TRY(tm_image_check_size(d->name, info->image_width, info->image_height, extra, d->err));
    // Each block of 64 pixels takes at least a bit.
    if ((uint64_t)info->image_width * info->image_height / 512 > size) {
        return tm_fail(d->err, TAGMASK_ERROR_FORMAT,
                       "%s: is a damaged or truncated JPEG picture: it is too short for its number of pixels", d->name);
    }
    bool cmyk = info->jpeg_color_space == JCS_CMYK || info->jpeg_color_space == JCS_YCCK;
    info->out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(info);
    d->pixels = malloc((size_t)info->output_width * info->output_height * 3);
    d->row = cmyk ? malloc((size_t)info->output_width * 4) : NULL;
    if (d->pixels && (d->row || !cmyk)) return TAGMASK_OK;
    return tm_fail(d->err, TAGMASK_ERROR_MEMORY, "%s: no memory for its %u x %u pixels", d->name, info->output_width,
                   info->output_height);
}

static void read_rows(decoder *d) {
    struct jpeg_decompress_struct *info = &d->info;
    while (info->output_scanline < info->output_height) {
        uint8_t *to = d->pixels + (size_t)info->output_scanline * info->output_width * 3;
        JSAMPROW row = d->row ? d->row : to;
        jpeg_read_scanlines(info, &row, 1);
        if (d->row) cmyk_to_rgb(d->row, info->output_width, info->saw_Adobe_marker, to);
    }
    jpeg_finish_decompress(info);
}

tagmask_status tm_jpeg_decode(const char *name, const uint8_t *bytes, size_t size, tagmask_image *image,
                              int *orientation, tm_error *err) {
    // On the heap: what changes after setjmp must not live in registers.
    decoder *d = tm_calloc(1, sizeof *d);
    if (!d) return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to decode it", name);
    d->name = name;
    d->err = err;
    d->info.err = jpeg_std_error(&d->errors);
    d->errors.error_exit = on_error;
    d->errors.emit_message = on_message;
    d->info.client_data = d;
    if (!setjmp(d->escape)) {
        jpeg_create_decompress(&d->info);
        d->progress.progress_monitor = on_progress;
        d->info.progress = &d->progress;
        d->status = start(d, bytes, size);
        if (d->status == TAGMASK_OK) read_rows(d);
    }
    tagmask_status status = d->status;
    if (status == TAGMASK_OK) {
        *orientation = d->orientation;
        image->width = d->info.output_width;
        image->height = d->info.output_height;
        image->pixels = d->pixels;
        d->pixels = NULL;
    }
    jpeg_destroy_decompress(&d->info);
    free(d->pixels);
    free(d->row);
    free(d);
    return status;
}
