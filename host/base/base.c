#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Bytes of the character that text starts with; 0 where they are no UTF-8 (RFC 3629, table of section 4).
static size_t utf8_length(const unsigned char *text) {
    size_t length = text[0] < 0x80 ? 1 : text[0] < 0xc2 ? 0 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
    if (text[0] > 0xf4) return 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xc0) != 0x80) return 0;
    bool overlong = (text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xf0 && text[1] < 0x90);
    bool beyond = (text[0] == 0xed && text[1] > 0x9f) || (text[0] == 0xf4 && text[1] > 0x8f);
    return overlong || beyond ? 0 : length;
}

// Messages quote what files hold: a control character there must not reach a terminal, nor break the line, and what is
// no UTF-8 (or a character that was cut) not whoever decodes the message.
static void keep_printable(char *text) {
    while (*text) {
        size_t length = utf8_length((const unsigned char *)text);
        if ((unsigned char)*text < 0x20 || *text == 0x7f || !length) *text = '?';
        text += TM_MAX(length, (size_t)1);
    }
}

tagmask_status tm_fail(tm_error *err, tagmask_status code, const char *format, ...) {
    if (!err) return code;
    va_list args;
    va_start(args, format);
    err->status = code;
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    keep_printable(err->message);
    return code;
}

tagmask_status tm_fail_prefix(tm_error *err, const char *format, ...) {
    if (!err) return TAGMASK_ERROR_INTERNAL;
    char prefix[512], rest[sizeof err->message];
    va_list args;
    va_start(args, format);
    vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    memcpy(rest, err->message, sizeof rest);
    size_t used = (size_t)snprintf(err->message, sizeof err->message, "%s: ", prefix);
    size_t room = sizeof err->message - used - 1, length = strlen(rest);
    if (length > room) length = room;
    memcpy(err->message + used, rest, length);
    err->message[used + length] = 0;
    keep_printable(err->message);
    return err->status;
}

bool tm_mul_size(size_t a, size_t b, size_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}
bool tm_add_size(size_t a, size_t b, size_t *out) {
    return !__builtin_add_overflow(a, b, out);
}
bool tm_mul_i64(int64_t a, int64_t b, int64_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}
bool tm_add_i64(int64_t a, int64_t b, int64_t *out) {
    return !__builtin_add_overflow(a, b, out);
}

void *tm_calloc(size_t count, size_t size) {
    size_t bytes;
    if (!tm_mul_size(count, size, &bytes)) return NULL;
    return calloc(1, bytes ? bytes : 1);
}

bool tm_grow(void **array, size_t *capacity, size_t needed, size_t size) {
    if (needed <= *capacity) return true;
    size_t wanted = *capacity ? *capacity : 8, bytes;
    while (wanted < needed) {
        if (!tm_mul_size(wanted, 2, &wanted)) return false;
    }
    if (!tm_mul_size(wanted, size, &bytes)) return false;
    void *grown = realloc(*array, bytes);
    if (!grown) return false;
    *array = grown;
    *capacity = wanted;
    return true;
}

bool tm_struct_read(void *own, size_t size, const void *given) {
    size_t theirs;
    memcpy(&theirs, given, sizeof theirs);
    if (theirs < sizeof theirs) return false;
    memset(own, 0, size);
    memcpy(own, given, TM_MIN(theirs, size));
    memcpy(own, &size, sizeof size);
    return true;
}

bool tm_struct_write(void *given, const void *made, size_t size) {
    size_t theirs;
    memcpy(&theirs, given, sizeof theirs);
    if (theirs < sizeof theirs) return false;
    memcpy((char *)given + sizeof theirs, (const char *)made + sizeof theirs, TM_MIN(theirs, size) - sizeof theirs);
    return true;
}

const char *tm_number_text(double value, char text[TM_NUMBER_LENGTH]) {
    bool whole = value > -1e15 && value < 1e15 && value == (double)(int64_t)value,
         is_float = (double)(float)value == value;
    if (whole) (void)snprintf(text, TM_NUMBER_LENGTH, "%lld", (long long)value);
    for (int digits = 1; !whole && digits <= 17; digits++) {
        (void)snprintf(text, TM_NUMBER_LENGTH, "%.*g", digits, value);
        if (is_float ? (double)strtof(text, NULL) == value : strtod(text, NULL) == value) break;
    }
    return text;
}

char *tm_strdup(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    if (copy) memcpy(copy, text, size);
    return copy;
}

char *tm_format(const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = length < 0 ? NULL : malloc((size_t)length + 1);
    if (text) vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

struct tm_arena_block {
    struct tm_arena_block *next;
    size_t used, size;
};
#define ARENA_HEADER (tm_align_up(sizeof(struct tm_arena_block), 16))

void *tm_arena_alloc(tm_arena *arena, size_t size) {
    if (size > SIZE_MAX / 2) return NULL;
    size = tm_align_up(size ? size : 1, 16);
    if (!arena->head || arena->head->size - arena->head->used < size) {
        size_t block_size = TM_MAX(size, (size_t)64 * 1024);
        if (arena->limit && (block_size > arena->limit || arena->total > arena->limit - block_size)) return NULL;
        struct tm_arena_block *block = calloc(1, ARENA_HEADER + block_size);
        if (!block) return NULL;
        block->size = block_size;
        block->next = arena->head;
        arena->head = block;
        arena->total += block_size;
    }
    void *memory = (char *)arena->head + ARENA_HEADER + arena->head->used;
    arena->head->used += size;
    return memory;
}

char *tm_arena_strdup(tm_arena *arena, const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = tm_arena_alloc(arena, size);
    if (copy) memcpy(copy, text, size);
    return copy;
}

void tm_arena_free(tm_arena *arena) {
    while (arena->head) {
        struct tm_arena_block *next = arena->head->next;
        free(arena->head);
        arena->head = next;
    }
    arena->total = 0;
}

uint64_t tm_hash64(const void *data, size_t size, uint64_t seed) {
    const uint8_t *bytes = data;
    uint64_t hash = seed ^ 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++) hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}
