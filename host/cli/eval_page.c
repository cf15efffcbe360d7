// The folder and the pictures of an evaluation's page.
#include "cli/eval_page.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/platform.h"
#include "io/image.h"
#include "io/viridis.h"

#define LONG_SIDE 256u
#define LARGEST_STAMP ((size_t)1 << 20)

// ---- The folder

static char *stamp_path(const eval_page *page) {
    return tm_path_join(page->folder, "settings.json");
}

static char *index_path(const eval_page *page) {
    return tm_path_join(page->folder, "index.html");
}

static tagmask_status check_folder(const eval_page *page, tm_error *err) {
    TM_TRY(tm_make_dirs(page->pictures, err));
    if (!tm_folder_is_writable(page->folder) || !tm_folder_is_writable(page->pictures)) {
        return tm_fail(err, TAGMASK_ERROR_FILE, "%s: cannot be written to; name another folder for the page",
                       page->folder);
    }
    char *index = index_path(page), *stamp = stamp_path(page);
    tagmask_status status = TAGMASK_OK;
    if (!index || !stamp) {
        status = tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for the names of its files", page->folder);
    } else if (tm_file_exists(index) && !tm_file_exists(stamp)) {
        status = tm_fail(err, TAGMASK_ERROR_FILE,
                         "%s: is there already and was not written by tagmask eval; name another folder for the page",
                         index);
    }
    free(index);
    free(stamp);
    return status;
}

tagmask_status eval_page_open(const char *folder, eval_page *page, tm_error *err) {
    if (tm_file_exists(folder) && !tm_is_dir(folder)) {
        return tm_fail(err, TAGMASK_ERROR_FILE, "%s: is a file; expected a folder for the page", folder);
    }
    eval_page made = {tm_strdup(folder), tm_path_join(folder, "pictures")};
    tagmask_status status = made.folder && made.pictures
                                ? check_folder(&made, err)
                                : tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for its name", folder);
    if (status != TAGMASK_OK) {
        eval_page_close(&made);
        return status;
    }
    *page = made;
    return TAGMASK_OK;
}

void eval_page_close(eval_page *page) {
    free(page->folder);
    free(page->pictures);
    memset(page, 0, sizeof *page);
}

tagmask_status eval_page_claim(const eval_page *page, const char *settings, bool *same, tm_error *err) {
    char *path = stamp_path(page), *index = index_path(page);
    uint8_t *stamp = NULL;
    size_t size = 0;
    if (!path || !index) {
        free(path);
        free(index);
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for the names of its files", page->folder);
    }
    *same = tm_read_file(path, LARGEST_STAMP, &stamp, &size, NULL) == TAGMASK_OK && size == strlen(settings) &&
            !memcmp(stamp, settings, size);
    free(stamp);
    if (!*same) tm_file_remove(index);  // its figures do not belong to the pictures to come
    tagmask_status status = *same ? TAGMASK_OK : tm_write_file(path, settings, strlen(settings), err);
    free(path);
    free(index);
    return status;
}

// ---- Names

char *eval_page_name(const char *file, size_t row, const char *stage) {
    char readable[41];
    const char *base = tm_file_name(file), *dot = strrchr(base, '.');
    size_t length = TM_MIN(dot && dot > base ? (size_t)(dot - base) : strlen(base), sizeof readable - 1);
    for (size_t i = 0; i < length; i++) {
        readable[i] = isalnum((unsigned char)base[i]) && (unsigned char)base[i] < 128 ? base[i] : '_';
    }
    readable[length] = 0;
    // The hash tells a/1.jpg and b/1.jpg apart.
    unsigned long long hash = tm_hash64(file, strlen(file), 0);
    return stage ? tm_format("pictures/%s-%016llx-%zu-%s.png", readable, hash, row + 1, stage)
                 : tm_format("pictures/%s-%016llx.png", readable, hash);
}

static char *picture_path(const eval_page *page, const char *file, size_t row, const char *stage) {
    char *name = eval_page_name(file, row, stage);
    char *path = name ? tm_path_join(page->folder, name) : NULL;
    free(name);
    return path;
}

static bool has_picture(const eval_page *page, const char *file, size_t row, const char *stage) {
    char *path = picture_path(page, file, row, stage);
    bool there = path && tm_file_exists(path);
    free(path);
    return there;
}

bool eval_page_has(const eval_page *page, const eval_record *record) {
    bool all = !record->row_count || has_picture(page, record->file, 0, NULL);
    for (size_t r = 0; r < record->row_count && all; r++) {
        const eval_row_record *row = &record->rows[r];
        all = has_picture(page, record->file, r, EVAL_PAGE_TRUTH) &&
              (!row->resolved || has_picture(page, record->file, r, EVAL_PAGE_PROPOSAL));
        for (size_t m = EVAL_METHODS; m < eval_method_count() && all; m++) {
            all = !eval_row_score(row, m) || has_picture(page, record->file, r, eval_method_name(m));
        }
    }
    return all;
}

// ---- Pictures

// A picture of `width` x `height` made smaller: each of its pixels is a block of the original.
typedef struct thumbnail {
    uint32_t from_width, from_height, width, height;
    uint8_t *pixels;  // malloc'ed
    char *path;       // malloc'ed
} thumbnail;

typedef struct block {
    uint32_t left, top, right, bottom;  // the last two are beyond it
} block;

static block block_of(const thumbnail *t, uint32_t x, uint32_t y) {
    return (block){(uint32_t)((uint64_t)x * t->from_width / t->width),
                   (uint32_t)((uint64_t)y * t->from_height / t->height),
                   (uint32_t)((uint64_t)(x + 1) * t->from_width / t->width),
                   (uint32_t)((uint64_t)(y + 1) * t->from_height / t->height)};
}

static tagmask_status begin(thumbnail *t, const eval_page *page, const char *file, size_t row, const char *stage,
                            uint32_t width, uint32_t height, uint32_t channels, tm_error *err) {
    uint32_t longer = TM_MAX(width, height), side = TM_MIN(longer, LONG_SIDE);
    *t = (thumbnail){.from_width = width, .from_height = height};
    t->width = TM_MAX((uint32_t)((uint64_t)width * side / longer), 1u);
    t->height = TM_MAX((uint32_t)((uint64_t)height * side / longer), 1u);
    t->pixels = tm_calloc((size_t)t->width * t->height, channels);
    t->path = picture_path(page, file, row, stage);
    if (t->pixels && t->path) return TAGMASK_OK;
    free(t->pixels);
    free(t->path);
    return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for a picture of it", file);
}

// palette: NULL for three bytes a pixel.
static tagmask_status end(thumbnail *t, const uint8_t *palette, uint32_t colours, tm_error *err) {
    tm_png png = {.width = t->width, .height = t->height, .channels = palette ? 1 : 3, .pixels = t->pixels};
    png.palette = palette;
    png.palette_size = colours;
    tagmask_status status = tm_png_write(t->path, &png, err);
    free(t->pixels);
    free(t->path);
    return status;
}

static void shrink_photo(thumbnail *t, const tagmask_image *photo) {
    size_t stride = photo->stride ? photo->stride : 3 * (size_t)photo->width;
    for (uint32_t y = 0; y < t->height; y++) {
        for (uint32_t x = 0; x < t->width; x++) {
            block b = block_of(t, x, y);
            uint64_t sums[3] = {0}, count = (uint64_t)(b.right - b.left) * (b.bottom - b.top);
            for (uint32_t py = b.top; py < b.bottom; py++) {
                for (uint32_t px = b.left; px < b.right; px++) {
                    for (size_t c = 0; c < 3; c++) sums[c] += photo->pixels[py * stride + 3 * (size_t)px + c];
                }
            }
            uint8_t *to = t->pixels + 3 * ((size_t)y * t->width + x);
            for (size_t c = 0; c < 3; c++) to[c] = (uint8_t)((sums[c] + count / 2) / count);
        }
    }
}

tagmask_status eval_page_photo(const eval_page *page, const char *file, const tagmask_image *photo, tm_error *err) {
    thumbnail t;
    TM_TRY(begin(&t, page, file, 0, NULL, photo->width, photo->height, 3, err));
    shrink_photo(&t, photo);
    return end(&t, NULL, 0, err);
}

tagmask_status eval_page_map(const eval_page *page, const char *file, size_t row, const char *stage, uint32_t width,
                             uint32_t height, const float *map, tm_error *err) {
    thumbnail t;
    uint8_t palette[256][3];
    for (int i = 0; i < 256; i++) tm_viridis((float)i / 255, palette[i]);
    TM_TRY(begin(&t, page, file, row, stage, width, height, 1, err));
    for (uint32_t y = 0; y < t.height; y++) {
        for (uint32_t x = 0; x < t.width; x++) {
            block b = block_of(&t, x, y);
            double sum = 0, count = (double)(b.right - b.left) * (b.bottom - b.top);
            for (uint32_t py = b.top; py < b.bottom; py++) {
                for (uint32_t px = b.left; px < b.right; px++) sum += (double)map[(size_t)py * width + px];
            }
            t.pixels[(size_t)y * t.width + x] = (uint8_t)(TM_CLAMP(sum / count, 0.0, 1.0) * 255 + 0.5);
        }
    }
    return end(&t, palette[0], 256, err);
}

// Share of a block's pixels that are set.
static double share_of(const thumbnail *t, uint32_t x, uint32_t y, const uint8_t *mask) {
    block b = block_of(t, x, y);
    uint64_t sum = 0;
    for (uint32_t py = b.top; py < b.bottom; py++) {
        for (uint32_t px = b.left; px < b.right; px++) sum += mask[(size_t)py * t->from_width + px];
    }
    return (double)sum / ((double)(b.right - b.left) * (b.bottom - b.top));
}

tagmask_status eval_page_truth(const eval_page *page, const char *file, size_t row, const eval_truth *truth,
                               tm_error *err) {
    static const uint8_t palette[3][3] = {{0, 0, 0}, {255, 255, 255}, {128, 128, 128}};  // the last is void
    thumbnail t;
    TM_TRY(begin(&t, page, file, row, EVAL_PAGE_TRUTH, truth->width, truth->height, 1, err));
    for (uint32_t y = 0; y < t.height; y++) {
        for (uint32_t x = 0; x < t.width; x++) {
            bool in = share_of(&t, x, y, truth->truth) >= 0.5, is_void = share_of(&t, x, y, truth->valid) < 0.5;
            t.pixels[(size_t)y * t.width + x] = is_void ? 2 : in;
        }
    }
    return end(&t, palette[0], 3, err);
}

// The mask's own border pixels in vermilion, those right outside in white: seen on every ground.
static void draw_outline(thumbnail *t, const uint8_t *mask) {
    static const uint8_t vermilion[3] = {213, 94, 0}, white[3] = {255, 255, 255};  // of Okabe and Ito's colours
    for (uint32_t y = 0; y < t->height; y++) {
        for (uint32_t x = 0; x < t->width; x++) {
            const uint8_t *at = mask + (size_t)y * t->width + x;
            bool border = (x && at[-1] != *at) || (x + 1 < t->width && at[1] != *at) ||
                          (y && at[-(ptrdiff_t)t->width] != *at) || (y + 1 < t->height && at[t->width] != *at);
            if (border) memcpy(t->pixels + 3 * ((size_t)y * t->width + x), *at ? vermilion : white, 3);
        }
    }
}

tagmask_status eval_page_proposal(const eval_page *page, const char *file, size_t row, const tagmask_image *photo,
                                  const float *probability, double threshold, tm_error *err) {
    thumbnail t;
    TM_TRY(begin(&t, page, file, row, EVAL_PAGE_PROPOSAL, photo->width, photo->height, 3, err));
    size_t count = (size_t)photo->width * photo->height, small_count = (size_t)t.width * t.height;
    uint8_t *mask = tm_calloc(count, 1), *small = tm_calloc(small_count, 1);
    if (mask && small) {
        for (size_t i = 0; i < count; i++) mask[i] = probability[i] >= threshold;
        for (size_t i = 0; i < small_count; i++) {
            small[i] = share_of(&t, (uint32_t)(i % t.width), (uint32_t)(i / t.width), mask) >= 0.5;
        }
        shrink_photo(&t, photo);
        draw_outline(&t, small);
    }
    bool ok = mask && small;
    free(mask);
    free(small);
    if (ok) return end(&t, NULL, 0, err);
    free(t.pixels);
    free(t.path);
    return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for a picture of it", file);
}
