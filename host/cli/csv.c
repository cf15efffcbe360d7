#include "cli/csv.h"

#include <stdlib.h>
#include <string.h>

#define LARGEST_FILE ((size_t)256 << 20)

// Reads the field at *at in place and moves *at behind its separator. Returns false at an unclosed quote.
static bool read_field(char **at, char **field, bool *last_in_row) {
    char *from = *at, *to = *at;
    *field = to;
    if (*from == '"') {
        for (from++;; from++) {
            if (!*from) return false;
            if (*from == '"' && from[1] != '"') break;
            if (*from == '"') from++;
            *to++ = *from;
        }
        from++;
    }
    while (*from && *from != ',' && *from != '\n') *to++ = *from++;
    char separator = *from;
    if (separator == '\n' && to > *field && to[-1] == '\r') to--;
    *to = 0;
    *last_in_row = separator != ',';
    *at = separator ? from + 1 : from;
    return true;
}

static tagmask_status parse(const char *path, char *at, csv_table *table, tm_error *err) {
    size_t used = 0, capacity = 0, line = 0;
    while (*at) {
        csv_row row = {.line = ++line};
        size_t first = used;
        bool last = false;
        while (!last) {
            if (!tm_grow((void **)&table->fields, &capacity, used + 1, sizeof *table->fields)) {
                return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for its rows", path);
            }
            if (!read_field(&at, &table->fields[used], &last)) {
                return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: row %zu: a quoted field is not closed", path, line);
            }
            used++;
        }
        row.count = used - first;
        if (row.count == 1 && !*table->fields[first]) continue;
        if (!tm_grow((void **)&table->rows, &table->capacity, table->count + 1, sizeof *table->rows)) {
            return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for its rows", path);
        }
        row.fields = (char **)first;  // an index until the array no longer moves
        table->rows[table->count++] = row;
    }
    for (size_t i = 0; i < table->count; i++) table->rows[i].fields = table->fields + (size_t)table->rows[i].fields;
    return TAGMASK_OK;
}

tagmask_status csv_read(const char *path, csv_table *table, tm_error *err) {
    csv_table made = {0};
    size_t size = 0;
    TM_TRY(tm_read_file(path, LARGEST_FILE, (uint8_t **)&made.text, &size, err));
    if (memchr(made.text, 0, size)) {
        free(made.text);
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: holds a zero byte; expected text with commas", path);
    }
    bool mark = size >= 3 && !memcmp(made.text, "\xef\xbb\xbf", 3);
    tagmask_status status = parse(path, made.text + (mark ? 3 : 0), &made, err);
    if (status != TAGMASK_OK) {
        csv_free(&made);
        return status;
    }
    *table = made;
    return TAGMASK_OK;
}

void csv_free(csv_table *table) {
    free(table->rows);
    free(table->fields);
    free(table->text);
    memset(table, 0, sizeof *table);
}

size_t csv_column(const csv_table *table, const char *name) {
    for (size_t i = 0; table->count && i < table->rows[0].count; i++) {
        if (!strcmp(table->rows[0].fields[i], name)) return i;
    }
    return SIZE_MAX;
}

const char *csv_field(const csv_row *row, size_t column) {
    return column < row->count ? row->fields[column] : "";
}
