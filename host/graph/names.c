#include "graph/names.h"

#include <stdlib.h>
#include <string.h>

static size_t slot_of(const tm_names *names, const char *name) {
    size_t slot = tm_hash64(name, strlen(name), 0) & (names->capacity - 1);
    while (names->keys[slot] && strcmp(names->keys[slot], name)) slot = (slot + 1) & (names->capacity - 1);
    return slot;
}

int32_t tm_names_find(const tm_names *names, const char *name) {
    if (!names->capacity) return -1;
    size_t slot = slot_of(names, name);
    return names->keys[slot] ? names->indices[slot] : -1;
}

static bool grow(tm_names *names) {
    tm_names larger = {.capacity = names->capacity ? names->capacity * 2 : 64};
    larger.keys = tm_calloc(larger.capacity, sizeof *larger.keys);
    larger.indices = tm_calloc(larger.capacity, sizeof *larger.indices);
    if (!larger.keys || !larger.indices) {
        tm_names_free(&larger);
        return false;
    }
    for (size_t i = 0; i < names->capacity; i++)
        if (names->keys[i]) tm_names_add(&larger, names->keys[i], names->indices[i]);
    tm_names_free(names);
    *names = larger;
    return true;
}

bool tm_names_add(tm_names *names, const char *name, int32_t index) {
    if (names->count * 2 >= names->capacity && !grow(names)) return false;
    size_t slot = slot_of(names, name);
    if (!names->keys[slot]) names->count++;
    names->keys[slot] = name;
    names->indices[slot] = index;
    return true;
}

void tm_names_free(tm_names *names) {
    free(names->keys);
    free(names->indices);
    *names = (tm_names){0};
}
