#include "io/text.h"

#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tm_text_bytes(tm_text *text, const char *bytes, size_t size) {
    size_t needed;
    if (text->failed) return;
    if (!tm_add_size(text->size, size, &needed) || !tm_add_size(needed, 1, &needed) ||
        !tm_grow((void **)&text->data, &text->capacity, needed, 1)) {
        text->failed = true;
        return;
    }
    memcpy(text->data + text->size, bytes, size);
    text->size += size;
    text->data[text->size] = 0;
}

void tm_text_add(tm_text *text, const char *format, ...) {
    char small[256], *large = small;
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (length >= (int)sizeof small) {
        large = malloc((size_t)length + 1);
        if (large) vsnprintf(large, (size_t)length + 1, format, again);
    }
    va_end(again);
    if (length < 0 || !large) {
        text->failed = true;
    } else {
        tm_text_bytes(text, large, (size_t)length);
    }
    if (large != small) free(large);
}

void tm_text_xml(tm_text *text, const char *string) {
    for (const char *at = string; *at; at++) {
        const char *entity = *at == '&'    ? "&amp;"
                             : *at == '<'  ? "&lt;"
                             : *at == '>'  ? "&gt;"
                             : *at == '"'  ? "&quot;"
                             : *at == '\'' ? "&apos;"
                             : *at == '\n' ? "&#10;"
                             : *at == '\t' ? "&#9;"
                                           : NULL;
        if (entity) {
            tm_text_bytes(text, entity, strlen(entity));
        } else if ((unsigned char)*at >= ' ') {  // other control characters cannot be in XML
            tm_text_bytes(text, at, 1);
        }
    }
}

// The character at *at, which goes past it; UINT32_MAX: no UTF-8.
static uint32_t next_character(const unsigned char **at) {
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    uint32_t first = *(*at)++;
    if (first < 0x80) return first;
    int more = first >= 0xc0 && first < 0xe0   ? 1
               : first >= 0xe0 && first < 0xf0 ? 2
               : first >= 0xf0 && first < 0xf8 ? 3
                                               : 0;
    uint32_t character = first & (0x3fu >> more);
    for (int i = 0; i < more; i++, (*at)++) {
        if ((**at & 0xc0) != 0x80) return UINT32_MAX;
        character = character << 6 | (**at & 0x3fu);
    }
    bool surrogate = character >= 0xd800 && character < 0xe000;
    return more && character >= least[more] && character < 0x110000 && !surrogate ? character : UINT32_MAX;
}

bool tm_text_is_utf8(const char *string) {
    const unsigned char *at = (const unsigned char *)string;
    while (*at) {
        uint32_t character = next_character(&at);
        if (character == UINT32_MAX || character == 0xfffe || character == 0xffff) return false;
    }
    return true;
}

void tm_text_percent(tm_text *text, const char *string) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    for (const char *at = string; *at; at++) {
        if (strchr(plain, *at)) {
            tm_text_bytes(text, at, 1);
        } else {
            tm_text_add(text, "%%%02X", (unsigned char)*at);
        }
    }
}

static int hex_digit(char c) {
    static const char digits[] = "0123456789abcdef";
    const char *found = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 'a' - 'A' : c) : NULL;
    return found ? (int)(found - digits) : -1;
}

void tm_percent_decode(char *text) {
    char *to = text;
    for (const char *at = text; *at; at++) {
        int high = *at == '%' ? hex_digit(at[1]) : -1, low = high >= 0 ? hex_digit(at[2]) : -1;
        bool code = low >= 0 && (high || low);  // %00 would end the text
        *to++ = code ? (char)(high << 4 | low) : *at;
        if (code) at += 2;
    }
    *to = 0;
}

void tm_text_number(tm_text *text, double number) {
    long long millionths = llround(TM_CLAMP(number, -1e12, 1e12) * 1e6);
    unsigned long long size = millionths < 0 ? 0ull - (unsigned long long)millionths : (unsigned long long)millionths;
    char digits[32];
    int length =
        snprintf(digits, sizeof digits, "%s%llu.%06llu", millionths < 0 ? "-" : "", size / 1000000, size % 1000000);
    while (digits[length - 1] == '0') length--;
    if (digits[length - 1] == '.') length--;
    tm_text_bytes(text, digits, (size_t)length);
}

double tm_parse_number(const char *text, char **end) {
    const char *start = text + strspn(text, " \t");
    size_t length = strspn(start, "0123456789.eE+-");
    char copy[128], *stop;
    *end = (char *)text;
    if (!length || length >= sizeof copy) return 0;
    memcpy(copy, start, length);
    copy[length] = 0;
    for (char *at = copy; *at; at++) {
        if (*at == '.') *at = *localeconv()->decimal_point;
    }
    double value = strtod(copy, &stop);
    if (stop != copy) *end = (char *)start + (stop - copy);
    return value;
}

tagmask_status tm_text_write(tm_text *text, const char *path, tm_error *err) {
    tagmask_status status = text->failed ? tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to write it", path)
                                         : tm_write_file(path, text->size ? text->data : "", text->size, err);
    free(text->data);
    *text = (tm_text){0};
    return status;
}
