// Comma-separated tables (RFC 4180): quoted fields, doubled quotes, CR LF or LF, an optional byte-order mark.
#ifndef CLI_CSV_H
#define CLI_CSV_H

#include "base/base.h"

typedef struct csv_row {
    char **fields;  // into the table's text
    size_t count, line;
} csv_row;

typedef struct csv_table {
    csv_row *rows;  // empty lines are left out
    size_t count, capacity;
    char **fields;
    char *text;
} csv_table;

tagmask_status csv_read(const char *path, csv_table *table, tm_error *err);
void csv_free(csv_table *table);
// Column of a name in the first row; SIZE_MAX: none.
size_t csv_column(const csv_table *table, const char *name);
// Field of a row; "" beyond its end.
const char *csv_field(const csv_row *row, size_t column);

#endif
