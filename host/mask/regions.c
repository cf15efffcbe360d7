#include "mask/regions.h"

#include <stdlib.h>
#include <string.h>

#include "mask/components.h"
#include "mask/outline.h"

// ---- Small parts and holes ------------------------------------------------------------------------------------------

static void relabel(uint8_t *labels, const tm_components *c, const uint8_t *label_of) {
    for (uint32_t y = 0; y < c->height; y++) {
        for (size_t i = c->row[y]; i < c->row[y + 1]; i++) {
            uint8_t label = label_of[c->runs[i].component];
            if (label == c->runs[i].label) continue;
            memset(labels + (size_t)y * c->width + c->runs[i].x, label, tm_run_end(c, y, i) - c->runs[i].x);
        }
    }
}

// Whether the part of its tag's given rank (0: the largest, of area `largest`) stays.
static bool part_stays(const tm_component *item, uint32_t rank, uint32_t largest, const tm_region_rules *rules,
                       uint32_t least) {
    if (!rank) return true;
    if (rules->max_parts && rank >= rules->max_parts) return false;
    return rules->min_part < 0 || (item->area >= least && (float)item->area >= rules->min_part * (float)largest);
}

// SIZE_MAX: out of memory.
static size_t drop_small_parts(const tm_components *c, const tm_region_rules *rules, uint32_t least,
                               uint8_t *label_of) {
    size_t parts, dropped = 0;
    uint32_t largest[256] = {0}, first[256];
    uint32_t *order = tm_components_order(c, &parts);
    if (!order) return SIZE_MAX;
    memset(first, 0xff, sizeof first);
    for (uint32_t i = 0; i < c->count; i++) {
        uint8_t label = label_of[i] = c->items[i].label;
        largest[label] = TM_MAX(largest[label], c->items[i].area);
        first[label] = TM_MIN(first[label], order[i]);
    }
    for (uint32_t i = 0; i < c->count; i++) {
        const tm_component *item = &c->items[i];
        if (!item->label || part_stays(item, order[i] - first[item->label], largest[item->label], rules, least))
            continue;
        label_of[i] = 0;
        dropped++;
    }
    free(order);
    return dropped;
}

static size_t fill_small_holes(const tm_components *c, uint32_t least, uint8_t *label_of) {
    size_t filled = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        const tm_component *item = &c->items[i];
        label_of[i] = item->label;
        if (item->label || item->edge || item->area >= least || item->neighbour >= TM_NEIGHBOUR_MANY) continue;
        label_of[i] = c->items[item->neighbour].label;
        filled++;
    }
    return filled;
}

// Applies the rules and leaves the components of the changed map in *c.
static tagmask_status clean(uint8_t *labels, uint32_t width, uint32_t height, const tm_region_rules *rules,
                            tm_components *c, tm_error *err) {
    uint32_t least = TM_MAX(TM_REGION_LEAST_PIXELS, (uint32_t)((uint64_t)width * height / 65536));
    TM_TRY(tm_components_find(labels, width, height, c, err));
    for (int step = 0; step < (rules->min_part < 0 ? 1 : 2); step++) {
        uint8_t *label_of = tm_calloc(c->count, 1);
        size_t changed = SIZE_MAX;
        if (label_of)
            changed = step ? fill_small_holes(c, least, label_of) : drop_small_parts(c, rules, least, label_of);
        if (changed && changed != SIZE_MAX) relabel(labels, c, label_of);
        free(label_of);
        if (changed == SIZE_MAX)
            return tm_fail(err, TAGMASK_ERROR_MEMORY, "label map: no memory for the labels of %u parts", c->count);
        if (!changed) continue;
        tm_components_free(c);
        TM_TRY(tm_components_find(labels, width, height, c, err));
    }
    return TAGMASK_OK;
}

// ---- Outlines -------------------------------------------------------------------------------------------------------

typedef struct ring_place {
    uint32_t component;
    bool hole;
    size_t first, count;  // points
} ring_place;

typedef struct builder {
    float *points;
    size_t point_count, point_capacity;  // numbers, two a point
    ring_place *rings;
    size_t ring_count, ring_capacity, hole_count;
    tm_ring ring;
    uint8_t *seen;
} builder;

static bool add_ring(builder *b, uint32_t component, float tolerance) {
    bool hole = tm_ring_area2(b->ring.corners, b->ring.count) < 0;
    if (!tm_ring_simplify(&b->ring, tolerance)) return false;
    size_t needed = b->point_count + 2 * b->ring.count;
    if (!tm_grow((void **)&b->points, &b->point_capacity, needed, sizeof *b->points)) return false;
    if (!tm_grow((void **)&b->rings, &b->ring_capacity, b->ring_count + 1, sizeof *b->rings)) return false;
    b->rings[b->ring_count++] = (ring_place){component, hole, b->point_count, b->ring.count};
    b->hole_count += hole;
    for (size_t i = 0; i < b->ring.count; i++) {
        b->points[b->point_count++] = b->ring.corners[i].x;
        b->points[b->point_count++] = b->ring.corners[i].y;
    }
    return true;
}

// Every ring has a crack with its part below: the outer one meets it first, so an outer ring precedes its holes.
static bool trace_run(builder *b, const uint8_t *labels, const tm_components *c, uint32_t y, size_t run,
                      float tolerance) {
    uint32_t end = tm_run_end(c, y, run);
    for (uint32_t x = c->runs[run].x; x < end; x++) {
        size_t pixel = (size_t)y * c->width + x;
        if (y && labels[pixel - c->width] == labels[pixel]) continue;
        if (b->seen[pixel >> 3] >> (pixel & 7) & 1) continue;
        if (!tm_ring_trace(labels, c->width, c->height, x, y, b->seen, &b->ring)) return false;
        if (!add_ring(b, c->runs[run].component, tolerance)) return false;
    }
    return true;
}

static bool trace_all(builder *b, const uint8_t *labels, const tm_components *c, float tolerance) {
    b->seen = tm_calloc(((size_t)c->width * c->height + 7) / 8, 1);
    if (!b->seen) return false;
    for (uint32_t y = 0; y < c->height; y++) {
        for (size_t i = c->row[y]; i < c->row[y + 1]; i++) {
            if (c->runs[i].label && !trace_run(b, labels, c, y, i, tolerance)) return false;
        }
    }
    return true;
}

// ---- Assembly -------------------------------------------------------------------------------------------------------

// Four sums at a time: one alone would wait for each addition.
static double sum_run(const float *values, size_t count) {
    double sums[4] = {0};
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        for (int k = 0; k < 4; k++) sums[k] += (double)values[i + (size_t)k];
    }
    for (; i < count; i++) sums[0] += (double)values[i];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

static double *mean_probabilities(const tm_components *c, const float *probability) {
    size_t plane = (size_t)c->width * c->height;
    double *mean = tm_calloc(c->count, sizeof *mean);
    if (!mean) return NULL;
    for (uint32_t y = 0; y < c->height; y++) {
        for (size_t i = c->row[y]; i < c->row[y + 1]; i++) {
            if (!c->runs[i].label) continue;
            size_t at = (size_t)y * c->width + c->runs[i].x, length = tm_run_end(c, y, i) - c->runs[i].x;
            const float *tag = probability ? probability + (c->runs[i].label - 1u) * plane : NULL;
            mean[c->runs[i].component] += tag ? sum_run(tag + at, length) : (double)length;
        }
    }
    for (uint32_t i = 0; i < c->count; i++) mean[i] /= c->items[i].area;
    return mean;
}

static void fill_region(tagmask_region *region, const tm_component *item, double mean) {
    *region = (tagmask_region){.struct_size = sizeof *region,
                               .tag = item->label - 1u,
                               .score = (float)TM_CLAMP(mean, 0.0, 1.0),
                               .area = item->area,
                               .left = item->left,
                               .top = item->top,
                               .right = item->right,
                               .bottom = item->bottom};
}

static void place_rings(tm_regions *r, const builder *b, const uint32_t *order) {
    size_t used = 0;
    for (size_t i = 0; i < b->ring_count; i++) r->items[order[b->rings[i].component]].hole_count += b->rings[i].hole;
    for (size_t i = 0; i < r->count; i++) {
        r->items[i].holes = r->holes + used;
        r->items[i].hole_points = r->hole_points + used;
        used += r->items[i].hole_count;
        r->items[i].hole_count = 0;
    }
    for (size_t i = 0; i < b->ring_count; i++) {
        tagmask_region *region = &r->items[order[b->rings[i].component]];
        const float *points = r->points + b->rings[i].first;
        if (b->rings[i].hole) {
            size_t at = (size_t)(region->holes - r->holes) + region->hole_count++;
            r->holes[at] = points;
            r->hole_points[at] = b->rings[i].count;
        } else {
            region->outline = points;
            region->outline_points = b->rings[i].count;
        }
    }
}

static bool assemble(tm_regions *r, builder *b, const tm_components *c, const float *probability) {
    double *mean = mean_probabilities(c, probability);
    uint32_t *order = tm_components_order(c, &r->count);
    r->items = tm_calloc(r->count, sizeof *r->items);
    r->holes = tm_calloc(b->hole_count, sizeof *r->holes);
    r->hole_points = tm_calloc(b->hole_count, sizeof *r->hole_points);
    bool ok = mean && order && r->items && r->holes && r->hole_points;
    for (uint32_t i = 0; ok && i < c->count; i++) {
        if (c->items[i].label) fill_region(&r->items[order[i]], &c->items[i], mean[i]);
    }
    if (ok) {
        r->points = b->points;
        b->points = NULL;
        place_rings(r, b, order);
    }
    free(mean);
    free(order);
    return ok;
}

tagmask_status tm_regions_find(uint8_t *labels, uint32_t width, uint32_t height, size_t tag_count,
                               const float *probability, const tm_region_rules *rules, tm_regions *regions,
                               tm_error *err) {
    tm_components c = {0};
    tm_regions r = {0};
    builder b = {0};
    tagmask_status status = clean(labels, width, height, rules, &c, err);
    if (status != TAGMASK_OK) goto done;
    for (uint32_t i = 0; i < c.count; i++) {
        if (c.items[i].label <= tag_count) continue;
        status = tm_fail(err, TAGMASK_ERROR_ARGUMENT, "label map: holds label %u; expected at most %zu, one a tag",
                         c.items[i].label, tag_count);
        goto done;
    }
    if (!trace_all(&b, labels, &c, rules->tolerance) || !assemble(&r, &b, &c, probability)) {
        status = tm_fail(err, TAGMASK_ERROR_MEMORY, "label map: no memory for the outlines of %u parts", c.count);
        goto done;
    }
    *regions = r;
    r = (tm_regions){0};
done:
    tm_regions_free(&r);
    tm_components_free(&c);
    free(b.points);
    free(b.rings);
    free(b.ring.corners);
    free(b.seen);
    return status;
}

void tm_regions_free(tm_regions *regions) {
    free(regions->items);
    free(regions->points);
    free(regions->holes);
    free(regions->hole_points);
    *regions = (tm_regions){0};
}
