// Name -> index, for the import: open addressing, names borrowed.
#ifndef TM_GRAPH_NAMES_H
#define TM_GRAPH_NAMES_H

#include "base/base.h"

typedef struct tm_names {
    const char **keys;
    int32_t *indices;
    size_t capacity, count;  // capacity: a power of two
} tm_names;
int32_t tm_names_find(const tm_names *names, const char *name);       // -1: not there
bool tm_names_add(tm_names *names, const char *name, int32_t index);  // false: out of memory
void tm_names_free(tm_names *names);

#endif
