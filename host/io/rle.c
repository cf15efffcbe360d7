#include "io/rle.h"

#include <stdlib.h>
#include <string.h>

static uint32_t box_width(const tm_box_mask *mask) {
    return mask->right - mask->left + 1;
}
static uint32_t box_height(const tm_box_mask *mask) {
    return mask->bottom - mask->top + 1;
}

// ---- COCO -----------------------------------------------------------------------------------------------------------

typedef struct coco_runs {
    tm_text *out;
    int64_t previous[2];  // the last run but one of the same kind is what a run is stored relative to
    size_t count;
} coco_runs;

static void coco_run(coco_runs *runs, int64_t length) {
    int64_t x = runs->count > 2 ? length - runs->previous[runs->count & 1] : length;
    bool more = true;
    while (more) {
        int32_t bits = (int32_t)(x & 31);
        x = x >= 0 ? x >> 5 : -((-x + 31) >> 5);  // towards minus infinity, as an arithmetic shift
        more = bits & 16 ? x != -1 : x != 0;
        char c = (char)((more ? bits | 32 : bits) + 48);
        tm_text_bytes(runs->out, &c, 1);
    }
    runs->previous[runs->count & 1] = length;
    runs->count++;
}

void tm_rle_coco(const tm_box_mask *mask, tm_text *out) {
    coco_runs runs = {.out = out};
    uint64_t start = 0;
    bool value = false;
    for (uint32_t x = mask->left; x <= mask->right; x++) {
        for (uint32_t y = mask->top; y <= mask->bottom + 1; y++) {
            // One past the box closes the column, unless the box reaches the next column's first row.
            bool inside = y <= mask->bottom, joined = mask->top == 0 && mask->bottom + 1 == mask->height;
            if (!inside && joined && x < mask->right) continue;
            bool pixel = inside && mask->pixels[(size_t)(y - mask->top) * box_width(mask) + (x - mask->left)];
            uint64_t at = (uint64_t)x * mask->height + y;
            if (pixel == value) continue;
            coco_run(&runs, (int64_t)(at - start));
            start = at;
            value = pixel;
        }
    }
    uint64_t total = (uint64_t)mask->width * mask->height;
    if (start < total) coco_run(&runs, (int64_t)(total - start));
}

static bool coco_take(const char **at, const char *end, int64_t *out) {
    int64_t value = 0;
    for (int shift = 0; shift <= 35; shift += 5) {
        if (*at == end || **at < 48 || **at > 111) return false;
        int bits = *(*at)++ - 48;
        value |= (int64_t)(bits & 31) << shift;
        if (bits & 32) continue;
        if (bits & 16) value -= (int64_t)1 << (shift + 5);
        *out = value;
        return true;
    }
    return false;
}

bool tm_rle_coco_decode(const char *text, size_t size, uint32_t width, uint32_t height, uint8_t *pixels) {
    const char *at = text, *end = text + size;
    uint64_t place = 0, total = (uint64_t)width * height;
    int64_t previous[2] = {0, 0};
    for (size_t count = 0; at < end; count++) {
        int64_t run;
        if (!coco_take(&at, end, &run)) return false;
        if (count > 2) run += previous[count & 1];
        if (run < 0 || (uint64_t)run > total - place) return false;
        previous[count & 1] = run;
        for (int64_t i = 0; i < run; i++, place++) pixels[place % height * width + place / height] = count & 1;
    }
    return place == total;
}

// ---- Label Studio ---------------------------------------------------------------------------------------------------

static const uint32_t run_bits[4] = {3, 4, 8, 16};

typedef struct bit_writer {
    tm_text *out;
    uint32_t pending, used;
    bool any;
} bit_writer;

static void put_bits(bit_writer *w, uint32_t value, uint32_t count) {
    while (count--) {
        w->pending = w->pending << 1 | (value >> count & 1);
        if (++w->used < 8) continue;
        tm_text_add(w->out, w->any ? ",%u" : "%u", w->pending);
        w->any = true;
        w->pending = w->used = 0;
    }
}

static void put_run(bit_writer *w, uint64_t length, uint8_t value) {
    while (length) {
        uint32_t part = (uint32_t)TM_MIN(length, (uint64_t)65536), size = 0;
        while (part - 1 >= 1u << run_bits[size]) size++;
        put_bits(w, 1, 1);
        put_bits(w, size, 2);
        put_bits(w, part - 1, run_bits[size]);
        put_bits(w, value, 8);
        length -= part;
    }
}

void tm_rle_label_studio(const tm_box_mask *mask, tm_text *out) {
    bit_writer w = {.out = out};
    uint64_t start = 0, total = (uint64_t)mask->width * mask->height;
    bool value = false;
    put_bits(&w, (uint32_t)(4 * total), 32);
    put_bits(&w, 8 - 1, 5);
    for (int i = 0; i < 4; i++) put_bits(&w, run_bits[i] - 1, 4);
    for (uint32_t y = mask->top; y <= mask->bottom; y++) {
        for (uint32_t x = mask->left; x <= mask->right + 1; x++) {
            bool inside = x <= mask->right, joined = mask->left == 0 && mask->right + 1 == mask->width;
            if (!inside && joined && y < mask->bottom) continue;
            bool pixel = inside && mask->pixels[(size_t)(y - mask->top) * box_width(mask) + (x - mask->left)];
            uint64_t at = (uint64_t)y * mask->width + x;
            if (pixel == value) continue;
            put_run(&w, 4 * (at - start), value ? 255 : 0);
            start = at;
            value = pixel;
        }
    }
    put_run(&w, 4 * (total - start), 0);  // the loop has closed the last part
    put_bits(&w, 0, 8 - w.used);          // always at least one bit
}

typedef struct bit_reader {
    const uint8_t *bytes;
    size_t size, at;  // at: bits
} bit_reader;

static bool take_bits(bit_reader *r, uint32_t count, uint32_t *out) {
    *out = 0;
    if (8 * r->size - r->at < count) return false;
    for (; count; count--, r->at++) *out = *out << 1 | (r->bytes[r->at >> 3] >> (7 - (r->at & 7)) & 1);
    return true;
}

bool tm_rle_label_studio_decode(const uint8_t *bytes, size_t size, uint32_t width, uint32_t height, uint8_t *pixels) {
    bit_reader r = {bytes, size, 0};
    uint64_t place = 0;
    uint32_t total, word, bits[4], is_run, kind, length, value = 0;
    if (size > SIZE_MAX / 8 || !take_bits(&r, 32, &total) || total != 4 * (uint64_t)width * height) return false;
    if (!take_bits(&r, 5, &word)) return false;
    for (int i = 0; i < 4; i++) {
        if (!take_bits(&r, 4, &bits[i])) return false;
    }
    while (place < total) {
        if (!take_bits(&r, 1, &is_run) || !take_bits(&r, 2, &kind) || !take_bits(&r, bits[kind] + 1, &length))
            return false;
        if (length >= total - place) return false;
        for (uint64_t i = 0; i <= length; i++, place++) {
            if ((!is_run || !i) && !take_bits(&r, word + 1, &value)) return false;
            if (place % 4 == 3) pixels[place / 4] = value != 0;  // the alpha channel
        }
    }
    return true;
}

// ---- CVAT -----------------------------------------------------------------------------------------------------------

void tm_rle_cvat(const tm_box_mask *mask, tm_text *out) {
    size_t count = (size_t)box_width(mask) * box_height(mask), start = 0;
    bool value = false;
    for (size_t i = 0; i <= count; i++) {
        if (i < count && (mask->pixels[i] != 0) == value) continue;
        tm_text_add(out, start || value ? ", %zu" : "%zu", i - start);
        start = i;
        value = !value;
    }
}

bool tm_rle_cvat_decode(const char *text, uint32_t width, uint32_t height, uint8_t *pixels) {
    uint64_t place = 0, total = (uint64_t)width * height;
    for (uint8_t value = 0; *text; value ^= 1) {
        uint64_t run = 0;
        const char *start = text;
        for (; *text >= '0' && *text <= '9' && run <= total; text++) run = run * 10 + (uint64_t)(*text - '0');
        if (text == start || run > total - place) return false;
        memset(pixels + place, value, run);
        place += run;
        if (!*text) break;
        if (*text++ != ',') return false;
        while (*text == ' ') text++;
    }
    return place == total;
}
