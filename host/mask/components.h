// Connected components of a label map by runs and union-find (Rosenfeld and Pfaltz, "Sequential operations in digital
// picture processing", J. ACM 13(4), 1966): time and memory go with the number of runs, not of pixels.
#ifndef TM_COMPONENTS_H
#define TM_COMPONENTS_H

#include "base/base.h"

typedef struct tm_run {
    uint32_t component;
    uint16_t x;  // it reaches to the next run of the row, or to the row's end
    uint8_t label;
} tm_run;

#define TM_NEIGHBOUR_NONE UINT32_MAX
#define TM_NEIGHBOUR_MANY (UINT32_MAX - 1)

typedef struct tm_component {
    uint32_t area;
    uint16_t left, top, right, bottom;  // inclusive
    uint8_t label;
    bool edge;           // touches the photo's edge
    uint32_t neighbour;  // background only: the one part that surrounds it, or NONE or MANY
} tm_component;

typedef struct tm_components {
    uint32_t width, height;
    tm_run *runs;
    size_t *row;  // row y has the runs row[y] .. row[y + 1] - 1
    tm_component *items;
    uint32_t count;
} tm_components;

// Labels other than 0 are 4-connected, 0 is 8-connected. Components are numbered by their first pixel, row by row.
// Sides 1..65535.
tagmask_status tm_components_find(const uint8_t *labels, uint32_t width, uint32_t height, tm_components *components,
                                  tm_error *err);
void tm_components_free(tm_components *components);

// The order of regions: by label, then the larger first, then by number. Entry i of the malloc'ed list is the place of
// component i (0 for background), *count the number of places. NULL: out of memory.
uint32_t *tm_components_order(const tm_components *components, size_t *count);

// Where the run ends (exclusive); the run is in row y.
static inline uint32_t tm_run_end(const tm_components *c, uint32_t y, size_t run) {
    return run + 1 < c->row[y + 1] ? c->runs[run + 1].x : c->width;
}

#endif
