// Pictures among the label files: a mark tells ours from others and from ours that were painted on.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/formats.h"
#include "io/picture_mark.h"
#include "io/watched.h"

enum { HASH_DIGITS = TM_MARK_DIGITS, CHUNK = 12 };
static const char keyword[] = TM_MARK_KEYWORD;

static uint32_t get_u32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_u32(uint8_t *p, uint32_t value) {
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t crc32_of(const uint8_t *bytes, size_t size) {
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int k = 0; k < 8; k++) crc = crc & 1 ? 0xedb88320u ^ crc >> 1 : crc >> 1;
    }
    return ~crc;
}

typedef struct summary {
    uint64_t pixels, mark;  // hash of the palette and pixels as stored; the one that the mark tells
    bool marked, whole;
    size_t end;  // where IEND starts
} summary;

static summary summarize(const uint8_t *bytes, size_t size) {
    summary s = {0};
    for (size_t at = 8; size >= CHUNK && at <= size - CHUNK;) {
        size_t length = get_u32(bytes + at);
        const uint8_t *type = bytes + at + 4, *data = type + 4;
        if (length > size - CHUNK - at) break;
        if (!memcmp(type, "IDAT", 4) || !memcmp(type, "PLTE", 4)) s.pixels = tm_hash64(data, length, s.pixels);
        if (!memcmp(type, "tEXt", 4) && length == sizeof keyword + HASH_DIGITS &&
            !memcmp(data, keyword, sizeof keyword)) {
            char digits[HASH_DIGITS + 1] = "";
            memcpy(digits, data + sizeof keyword, HASH_DIGITS);
            s.mark = strtoull(digits, NULL, 16);
            s.marked = true;
        }
        if (!memcmp(type, "IEND", 4)) {
            s.whole = true;
            s.end = at;
            break;
        }
        at += CHUNK + length;
    }
    return s;
}

// The mark goes before the last chunk. NULL: out of memory.
static uint8_t *add_mark(const uint8_t *bytes, size_t size, size_t *marked_size) {
    enum { LENGTH = sizeof keyword + HASH_DIGITS };
    summary s = summarize(bytes, size);
    uint8_t chunk[CHUNK + LENGTH + 1];
    uint8_t *marked = malloc(size + CHUNK + LENGTH);
    if (!marked) return NULL;
    put_u32(chunk, LENGTH);
    memcpy(chunk + 4, "tEXt", 4);
    memcpy(chunk + 8, keyword, sizeof keyword);
    snprintf((char *)chunk + 8 + sizeof keyword, HASH_DIGITS + 1, "%016llx", (unsigned long long)s.pixels);
    put_u32(chunk + 8 + LENGTH, crc32_of(chunk + 4, 4 + LENGTH));
    memcpy(marked, bytes, s.end);
    memcpy(marked + s.end, chunk, CHUNK + LENGTH);
    memcpy(marked + s.end + CHUNK + LENGTH, bytes + s.end, size - s.end);
    *marked_size = size + CHUNK + LENGTH;
    return marked;
}

static tagmask_status check_replaceable(const char *path, tm_error *err) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    if (!tm_file_exists(path)) return TAGMASK_OK;
    TM_TRY(tm_read_file(path, TM_IMAGE_MAX_FILE_BYTES, &bytes, &size, err));
    summary s = summarize(bytes, size);
    free(bytes);
    if (s.whole && s.marked && s.mark == s.pixels) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_FILE,
                   "%s: exists and is %s; it is not overwritten; move it away or choose another output folder", path,
                   s.marked ? "changed since tagmask wrote it" : "not written by tagmask");
}

tagmask_status tm_label_picture(const char *path, const tm_png *png, tm_error *err) {
    uint8_t *bytes = NULL, *marked = NULL;
    size_t size = 0, marked_size = 0;
    tm_watched before;
    tm_watch(&before, path);  // encoding takes a while, and what a person saves meanwhile is no less theirs
    TM_TRY(check_replaceable(path, err));
    tagmask_status status = tm_png_encode(png, &bytes, &size, err);
    if (status != TAGMASK_OK) return tm_fail_prefix(err, "%s", path);
    marked = add_mark(bytes, size, &marked_size);
    free(bytes);
    if (!marked) return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for its %zu bytes", path, size);
    status = tm_write_file_if(path, marked, marked_size, tm_is_as_watched, &before, err);
    free(marked);
    return status;
}
