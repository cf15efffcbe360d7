// Text that grows: formats build a file in memory before it is written whole.
#ifndef TM_TEXT_H
#define TM_TEXT_H

#include "base/base.h"

typedef struct tm_text {
    char *data;  // zero-terminated once something was added; free with free
    size_t size, capacity;
    bool failed;  // out of memory: later additions do nothing, so one check at the end is enough
} tm_text;

void tm_text_add(tm_text *text, const char *format, ...) TM_PRINTF(2, 3);
void tm_text_bytes(tm_text *text, const char *bytes, size_t size);
// Escaped for XML attributes and content, without quotes around it.
void tm_text_xml(tm_text *text, const char *string);
// Whether it is UTF-8 (RFC 3629) of characters that XML and JSON can hold.
bool tm_text_is_utf8(const char *string);
// Percent-encoded (RFC 3986) but for unreserved characters and /, as in the query of an address.
void tm_text_percent(tm_text *text, const char *string);
// Turns %XX into characters, in place; what is no such code stays.
void tm_percent_decode(char *text);
// A number with up to 6 digits after the point and none that are zeros at the end; always with a point, whatever the
// locale.
void tm_text_number(tm_text *text, double number);
// As strtod, but always with a point, whatever the locale of the program that tagmask is part of, and for decimal
// numbers only.
double tm_parse_number(const char *text, char **end);
// Writes the file whole or not at all and frees the text, also on failure.
tagmask_status tm_text_write(tm_text *text, const char *path, tm_error *err);

#endif
