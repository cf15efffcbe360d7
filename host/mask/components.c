#include "mask/components.h"

#include <stdlib.h>
#include <string.h>

// Where the run that starts at x ends; eight pixels at a time, since most runs are long.
static uint32_t run_end(const uint8_t *row, uint32_t x, uint32_t width) {
    const uint8_t label = row[x];
    const uint64_t same = label * 0x0101010101010101u;
    for (x++; width - x >= 8; x += 8) {
        uint64_t eight;
        memcpy(&eight, row + x, sizeof eight);
        if (eight != same) break;
    }
    while (x < width && row[x] == label) x++;
    return x;
}

static size_t count_runs(const uint8_t *row, uint32_t width) {
    size_t count = 0;
    for (uint32_t x = 0; x < width; x = run_end(row, x, width)) count++;
    return count;
}

static void fill_runs(const uint8_t *row, uint32_t width, tm_run *runs, size_t first) {
    size_t at = first;
    for (uint32_t x = 0; x < width; x = run_end(row, x, width), at++)
        runs[at] = (tm_run){.component = (uint32_t)at, .x = (uint16_t)x, .label = row[x]};
}

static bool make_runs(tm_components *c, const uint8_t *labels) {
    c->row = tm_calloc((size_t)c->height + 1, sizeof *c->row);
    if (!c->row) return false;
    for (uint32_t y = 0; y < c->height; y++) {
        c->row[y + 1] = c->row[y] + count_runs(labels + (size_t)y * c->width, c->width);
    }
    // Run numbers are 32 bits wide and the two highest stand for "none" and "many".
    if (c->row[c->height] >= TM_NEIGHBOUR_MANY) return false;
    c->runs = tm_calloc(c->row[c->height], sizeof *c->runs);
    if (!c->runs) return false;
    for (uint32_t y = 0; y < c->height; y++) {
        fill_runs(labels + (size_t)y * c->width, c->width, c->runs, c->row[y]);
    }
    return true;
}

static uint32_t find_root(tm_run *runs, uint32_t run) {
    while (runs[run].component != run) {
        runs[run].component = runs[runs[run].component].component;
        run = runs[run].component;
    }
    return run;
}

// The smaller number becomes the root, so that numbering follows the first pixel.
static void unite(tm_run *runs, size_t a, size_t b) {
    uint32_t root_a = find_root(runs, (uint32_t)a), root_b = find_root(runs, (uint32_t)b);
    if (root_a < root_b) {
        runs[root_b].component = root_a;
    } else {
        runs[root_a].component = root_b;
    }
}

static void unite_rows(tm_components *c, uint32_t y) {
    tm_run *runs = c->runs;
    size_t a = c->row[y - 1], b = c->row[y];
    for (;;) {
        if (runs[a].label == runs[b].label) unite(runs, a, b);
        uint32_t end_a = tm_run_end(c, y - 1, a), end_b = tm_run_end(c, y, b);
        if (end_a != end_b) {
            if (end_a < end_b) {
                a++;
            } else {
                b++;
            }
            continue;
        }
        if (end_a == c->width) return;
        // Both end here: the next ones touch these at a corner, which joins background only.
        if (!runs[a].label && !runs[b + 1].label) unite(runs, a, b + 1);
        if (!runs[a + 1].label && !runs[b].label) unite(runs, a + 1, b);
        a++, b++;
    }
}

// A root is numbered before the runs that point to it, so one pass replaces roots by component numbers.
static void number_components(tm_components *c) {
    size_t runs = c->row[c->height];
    for (size_t i = 0; i < runs; i++) {
        uint32_t parent = c->runs[i].component;
        c->runs[i].component = parent == i ? c->count++ : c->runs[parent].component;
    }
}

static void measure_row(tm_components *c, uint32_t y) {
    for (size_t i = c->row[y]; i < c->row[y + 1]; i++) {
        tm_component *item = &c->items[c->runs[i].component];
        uint32_t left = c->runs[i].x, right = tm_run_end(c, y, i) - 1;
        if (!item->area) {
            *item = (tm_component){.left = (uint16_t)left,
                                   .right = (uint16_t)right,
                                   .top = (uint16_t)y,
                                   .label = c->runs[i].label,
                                   .neighbour = TM_NEIGHBOUR_NONE};
        }
        item->area += right - left + 1;
        item->left = (uint16_t)TM_MIN(item->left, left);
        item->right = (uint16_t)TM_MAX(item->right, right);
        item->bottom = (uint16_t)y;
        item->edge |= !left || right == c->width - 1 || !y || y == c->height - 1;
    }
}

static void note_neighbours(tm_components *c, size_t a, size_t b) {
    const tm_run *inside = &c->runs[a], *outside = &c->runs[b];
    if (!inside->label == !outside->label) return;
    if (inside->label) {
        const tm_run *swap = inside;
        inside = outside;
        outside = swap;
    }
    uint32_t *neighbour = &c->items[inside->component].neighbour;
    if (*neighbour == TM_NEIGHBOUR_NONE) *neighbour = outside->component;
    if (*neighbour != outside->component) *neighbour = TM_NEIGHBOUR_MANY;
}

static void note_row_neighbours(tm_components *c, uint32_t y) {
    for (size_t i = c->row[y] + 1; i < c->row[y + 1]; i++) note_neighbours(c, i - 1, i);
    if (!y) return;
    size_t a = c->row[y - 1], b = c->row[y];
    while (a < c->row[y] && b < c->row[y + 1]) {
        note_neighbours(c, a, b);
        uint32_t end_a = tm_run_end(c, y - 1, a), end_b = tm_run_end(c, y, b);
        a += end_a <= end_b;
        b += end_b <= end_a;
    }
}

tagmask_status tm_components_find(const uint8_t *labels, uint32_t width, uint32_t height, tm_components *components,
                                  tm_error *err) {
    tm_components c = {.width = width, .height = height};
    if (!width || !height || width > UINT16_MAX || height > UINT16_MAX) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "label map: %u x %u pixels; expected sides of 1 to 65535", width,
                       height);
    }
    if (!make_runs(&c, labels)) goto no_memory;
    for (uint32_t y = 1; y < height; y++) unite_rows(&c, y);
    number_components(&c);
    c.items = tm_calloc(c.count, sizeof *c.items);
    if (!c.items) goto no_memory;
    for (uint32_t y = 0; y < height; y++) {
        measure_row(&c, y);
        note_row_neighbours(&c, y);
    }
    *components = c;
    return TAGMASK_OK;
no_memory:
    tm_components_free(&c);
    return tm_fail(err, TAGMASK_ERROR_MEMORY, "label map: no memory for the components of %u x %u pixels", width,
                   height);
}

typedef struct sort_key {
    uint8_t label;
    uint32_t area, component;
} sort_key;

static int by_tag_and_area(const void *left, const void *right) {
    const sort_key *a = left, *b = right;
    if (a->label != b->label) return a->label < b->label ? -1 : 1;
    if (a->area != b->area) return a->area > b->area ? -1 : 1;
    return a->component < b->component ? -1 : a->component > b->component;
}

uint32_t *tm_components_order(const tm_components *c, size_t *count) {
    uint32_t *order = tm_calloc(c->count, sizeof *order);
    sort_key *keys = tm_calloc(c->count, sizeof *keys);
    *count = 0;
    for (uint32_t i = 0; order && keys && i < c->count; i++) {
        if (c->items[i].label) keys[(*count)++] = (sort_key){c->items[i].label, c->items[i].area, i};
    }
    if (keys) qsort(keys, *count, sizeof *keys, by_tag_and_area);
    for (size_t i = 0; order && keys && i < *count; i++) order[keys[i].component] = (uint32_t)i;
    bool ok = keys;
    free(keys);
    if (ok) return order;
    free(order);
    return NULL;
}

void tm_components_free(tm_components *components) {
    free(components->runs);
    free(components->row);
    free(components->items);
    *components = (tm_components){0};
}
