// Builds and applies the permutohedral lattice of the dense CRF's bilateral kernel. See crf_lattice.h, docs/crf.md.
#include "mask/crf_lattice.h"

#include <math.h>
#include <string.h>

#define TILE TM_CRF_TILE
#define TILE_SLOTS 2048
#define TILE_BATCH 2048      // tiles that are grouped at once
#define POINT_PIXELS 32      // most pixels of a point, of small images
#define CELL 0.5f            // side of a point's cell, in widths of the kernel
#define FINE_CELL 0.25f      // of small images, where points cost little
#define SMALL 65536          // pixels
#define LATTICE_SCALE 1.06f  // finer than the published sqrt(2/3) (d + 1): nearer to the exact sum (docs/crf.md)

#define ALL(buffer) tm_slice_all(lattice->buffer)

// Points that the lattice has room for, and how many a pixel. A point touches six vertices and a vertex costs 16 bytes
// a plane, so that 96 bytes a point have to be bound. Small images may have a point for each pixel.
static uint64_t largest_points(const tm_crf *crf, float *share) {
    uint64_t tiles = (uint64_t)tm_div_up(crf->width, TILE) * tm_div_up(crf->height, TILE);
    uint64_t most = crf->info->max_storage_range / 96 - crf->info->buffer_alignment - tiles;
    uint64_t points = TM_MIN(crf->count <= SMALL ? crf->count : crf->count / 3, most);
    *share = (float)((double)points / crf->count);
    return tm_align_up(points + tiles, crf->info->buffer_alignment);  // planes are bound by themselves
}

// A vertex keeps 12 bits a coordinate.
static tagmask_status check_reach(const tm_crf *crf, float sxy, float srgb, tm_error *err) {
    float reach = 4.3f * ((float)(crf->width + crf->height) / sxy + 3 * 255 / srgb);
    if (reach <= 12000) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_ARGUMENT,
                   "the CRF's bilateral widths %g and %g are too small for %u x %u pixels; use larger ones or the "
                   "exact path",
                   (double)sxy, (double)srgb, crf->width, crf->height);
}

static void plan_structure(const tm_crf *crf, tm_crf_lattice *lattice) {
    uint64_t points = largest_points(crf, &lattice->share), slots = 1024;
    while (slots < points * 9) slots *= 2;
    // Large flat areas: vertices shall not have too many points.
    lattice->point_pixels = (uint32_t)TM_CLAMP(crf->count / 4096, POINT_PIXELS, TILE * TILE);
    lattice->tile_batch = (uint32_t)TM_CLAMP(crf->info->max_storage_range / (TILE_SLOTS * 12), 1, TILE_BATCH);
    lattice->tiles = tm_div_up(crf->width, TILE) * tm_div_up(crf->height, TILE);
    lattice->point_capacity = (uint32_t)points;
    lattice->vertex_capacity = (uint32_t)points * 6;
    lattice->table_mask = (uint32_t)slots - 1;
}

tagmask_status tm_crf_lattice_reserve(tm_crf *crf, tm_crf_lattice *lattice, float sxy, float srgb, uint32_t planes,
                                      uint64_t limit, tm_error *err) {
    TM_TRY(check_reach(crf, sxy, srgb, err));
    plan_structure(crf, lattice);
    const uint64_t count = crf->count, points = lattice->point_capacity, vertices = lattice->vertex_capacity;
    lattice->at_once = (uint32_t)TM_CLAMP(limit / (vertices * 16), 1, (uint64_t)planes);
    const struct {
        tm_buffer **buffer;
        uint64_t size;
    } parts[] = {
        {&lattice->tile_points, (uint64_t)lattice->tiles * 4},
        {&lattice->tile_first, (uint64_t)lattice->tiles * 4 + 4},
        {&lattice->members, count * 4},
        {&lattice->pixel_point, count * 4},
        {&lattice->point_range, points * 8},
        {&lattice->links, points * 48},
        {&lattice->ranges, vertices * 8},
        {&lattice->pairs, (points * 6 + vertices) * 8},  // a list may waste one
        {&lattice->neighbours, vertices * 48},
        {&lattice->norms, points * 8},
        {&lattice->state, 32},
    };
    for (size_t i = 0; i < TM_ARRAY_LEN(parts); i++) {
        TM_TRY(tm_crf_reserve(crf, parts[i].buffer, parts[i].size, err));
    }
    return TAGMASK_OK;
}

void tm_crf_lattice_rooms(const tm_crf *crf, tm_crf_lattice *lattice, uint32_t planes,
                          tm_crf_room filtering[TM_CRF_LATTICE_FILTER_ROOMS],
                          tm_crf_room building[TM_CRF_LATTICE_ROOMS]) {
    const uint64_t count = crf->count, points = lattice->point_capacity, vertices = lattice->vertex_capacity;
    const uint64_t slots = (uint64_t)lattice->table_mask + 1, batch = TM_MIN(lattice->tiles, lattice->tile_batch);
    const tm_crf_room filter_rooms[TM_CRF_LATTICE_FILTER_ROOMS] = {
        {&lattice->halves[0], vertices * 16 * lattice->at_once},
        {&lattice->halves[1], vertices * 16 * lattice->at_once},
        {&lattice->values, points * 16 * planes}};
    const tm_crf_room build_rooms[TM_CRF_LATTICE_ROOMS] = {
        {&lattice->tile_table, batch * TILE_SLOTS * 12},
        {&lattice->keys, points * 48},
        {&lattice->table, slots * 4},
        {&lattice->numbers, slots * 4},
        {&lattice->wanted, slots * 4},
        {&lattice->wanted_numbers, slots * 4},
        {&lattice->vertex_keys, vertices * 8},
        {&lattice->pixel_slot, count * 4},
        {&lattice->range_end, count * 4},
        {&lattice->places, points * 24},
        {&lattice->counts, vertices * 4},
    };
    memcpy(filtering, filter_rooms, sizeof filter_rooms);
    memcpy(building, build_rooms, sizeof build_rooms);
}

static tm_slice axis_neighbours(const tm_crf_lattice *lattice, uint64_t axis) {
    uint64_t size = (uint64_t)lattice->vertex_capacity * 8;
    return (tm_slice){lattice->neighbours, axis * size, size};
}

// ---- Filter
// ----------------------------------------------------------------------------------------------------------

tagmask_status tm_crf_lattice_filter(tm_crf *crf, tm_crf_lattice *lattice, tm_recorder *recorder, uint32_t first,
                                     uint32_t count, uint32_t channels, float compat, tm_error *err) {
    struct {
        uint32_t point_capacity, vertex_capacity;
        float compat;
    } push = {lattice->point_capacity, lattice->vertex_capacity, compat};
    uint64_t point_plane = (uint64_t)lattice->point_capacity * 16;
    tm_slice values = {lattice->values.buffer, lattice->values.offset + point_plane * first, point_plane * count};
    tm_slice now = lattice->halves[0], next = lattice->halves[1];
    now.size = next.size = (uint64_t)lattice->vertex_capacity * 16 * count;
    const struct {
        uint32_t point_capacity, vertex_capacity;
        float unit;
    } splat_push = {lattice->point_capacity, lattice->vertex_capacity, (float)((1u << 30) / lattice->point_pixels)};
    tm_crf_job splat = {.shader = "crf/splat",
                        .texel_shader = "crf/splat_texel",
                        .constants = {count, channels},
                        .constant_count = 2,
                        .bindings = {values, ALL(pairs), ALL(ranges), now, ALL(state)},
                        .push = &splat_push,
                        .push_size = sizeof splat_push,
                        .at_most = lattice->vertex_capacity,
                        .flops = 60.0 * crf->count * count};
    TM_TRY(tm_crf_dispatch(crf, recorder, &splat, err));
    for (uint64_t axis = 0; axis < 6; axis++) {
        tm_slice sides = axis_neighbours(lattice, axis);
        tm_crf_job blur = {.shader = "crf/blur",
                           .texel_shader = "crf/blur_texel",
                           .constants = {count, channels},
                           .constant_count = 2,
                           .bindings = {now, sides, next, ALL(state)},
                           .push = &push.vertex_capacity,
                           .push_size = 4,
                           .at_most = lattice->vertex_capacity / 2,
                           .flops = 10.0 * crf->count * count};
        TM_TRY(tm_crf_dispatch(crf, recorder, &blur, err));
        tm_slice swap = now;
        now = next;
        next = swap;
    }
    tm_crf_job slice = {.shader = "crf/slice",
                        .texel_shader = "crf/slice_texel",
                        .constants = {count, channels},
                        .constant_count = 2,
                        .bindings = {now, ALL(links), ALL(norms), values, ALL(state)},
                        .push = &push,
                        .push_size = 12,
                        .at_most = lattice->point_capacity,
                        .flops = 60.0 * crf->count * count};
    return tm_crf_dispatch(crf, recorder, &slice, err);
}

// ---- Structure
// -------------------------------------------------------------------------------------------------------

static tagmask_status build_points(tm_crf *crf, tm_crf_lattice *lattice, tm_recorder *recorder, float sxy, float srgb,
                                   tm_error *err) {
    const float cells = crf->count <= SMALL ? FINE_CELL : CELL;
    struct {
        uint32_t width, height, first, tiles, cap, side;
        float cell, share;
    } points_push = {crf->width,
                     crf->height,
                     0,
                     0,
                     lattice->point_pixels,
                     (uint32_t)TM_CLAMP(cells * sxy, 1.0f, (float)TILE),
                     fmaxf(cells * srgb, 0.25f),
                     lattice->share};
    tm_crf_job points = {.shader = "crf/points",
                         .texel_shader = "crf/points_texel",
                         .bindings = {tm_slice_all(crf->image), lattice->tile_table, lattice->pixel_slot,
                                      lattice->range_end, ALL(members), ALL(tile_points)},
                         .push = &points_push,
                         .push_size = sizeof points_push};
    for (uint32_t *first = &points_push.first; *first < lattice->tiles; *first += lattice->tile_batch) {
        points_push.tiles = TM_MIN(*first + lattice->tile_batch, lattice->tiles);
        points.items = points_push.tiles - *first;
        points.flops = 300.0 * TILE * TILE * (double)points.items;
        TM_TRY(tm_fill(recorder, lattice->tile_table, UINT32_MAX, err));
        TM_TRY(tm_crf_dispatch(crf, recorder, &points, err));
    }
    tm_crf_job number = {.shader = "crf/number",
                         .bindings = {ALL(tile_points), ALL(tile_first), ALL(state)},
                         .push = &lattice->tiles,
                         .push_size = 4,
                         .groups = {1, 1, 1}};
    TM_TRY(tm_crf_dispatch(crf, recorder, &number, err));
    const float unit = LATTICE_SCALE * 6 * sqrtf(2.0f / 3);
    const struct {
        uint32_t width, height, point_capacity;
        float place, color;
    } embed_push = {crf->width, crf->height, lattice->point_capacity, unit / sxy, unit / srgb};
    tm_crf_job embed = {.shader = "crf/embed",
                        .texel_shader = "crf/embed_texel",
                        .bindings = {tm_slice_all(crf->image), lattice->range_end, ALL(members), ALL(tile_points),
                                     ALL(tile_first), ALL(pixel_point), ALL(point_range), lattice->keys, ALL(links)},
                        .push = &embed_push,
                        .push_size = sizeof embed_push,
                        .groups = {TM_MIN(lattice->tiles, 32768), tm_div_up(lattice->tiles, 32768), 1},
                        .flops = 200.0 * crf->count};
    return tm_crf_dispatch(crf, recorder, &embed, err);
}

// One of the steps that find or make the neighbours of vertices, a dispatch an axis.
static tagmask_status build_axes(tm_crf *crf, tm_crf_lattice *lattice, tm_recorder *recorder, tm_crf_job job,
                                 uint32_t neighbours, tm_error *err) {
    // Joining vertices are worth their time where there are few vertices for the pixels.
    uint32_t push[4] = {lattice->table_mask, lattice->vertex_capacity, TM_MAX(16384, crf->count / 8)};
    job.push = push;
    job.push_size = sizeof push;
    job.at_most = lattice->vertex_capacity;
    job.flops = 50.0 * crf->count;
    for (push[3] = 0; push[3] < 6; push[3]++) {
        job.bindings[neighbours] = axis_neighbours(lattice, push[3]);
        TM_TRY(tm_crf_dispatch(crf, recorder, &job, err));
    }
    return TAGMASK_OK;
}

static tagmask_status build_vertices(tm_crf *crf, tm_crf_lattice *lattice, tm_recorder *recorder, tm_error *err) {
    const uint32_t push[3] = {lattice->table_mask, lattice->point_capacity, lattice->vertex_capacity};
    const tm_crf_job insert = {.shader = "crf/insert",
                               .bindings = {lattice->keys, lattice->table, lattice->numbers, lattice->vertex_keys,
                                            lattice->places, ALL(state)},
                               .push = push,
                               .push_size = sizeof push,
                               .at_most = lattice->point_capacity,
                               .flops = 100.0 * crf->count};
    const tm_crf_job total = {.shader = "crf/total",
                              .bindings = {ALL(state)},
                              .push = &lattice->vertex_capacity,
                              .push_size = 4,
                              .groups = {1, 1, 1}};
    const tm_crf_job neighbours = {.shader = "crf/neighbours",
                                   .bindings = {lattice->keys, lattice->table, lattice->numbers, lattice->vertex_keys,
                                                ALL(neighbours), ALL(state)}};
    const tm_slice wanted[] = {lattice->wanted, lattice->wanted_numbers, lattice->vertex_keys, ALL(neighbours),
                               ALL(state)};
    tm_crf_job widen = {.shader = "crf/widen"}, join = {.shader = "crf/join"};
    memcpy(widen.bindings, wanted, sizeof wanted);
    memcpy(join.bindings, wanted, sizeof wanted);
    TM_TRY(tm_fill(recorder, lattice->table, UINT32_MAX, err));
    TM_TRY(tm_fill(recorder, lattice->wanted, UINT32_MAX, err));
    TM_TRY(tm_fill(recorder, lattice->wanted_numbers, 0, err));
    TM_TRY(tm_fill(recorder, ALL(neighbours), 0, err));
    TM_TRY(tm_crf_dispatch(crf, recorder, &insert, err));
    TM_TRY(build_axes(crf, lattice, recorder, neighbours, 4, err));
    TM_TRY(build_axes(crf, lattice, recorder, widen, 3, err));
    TM_TRY(tm_crf_dispatch(crf, recorder, &total, err));
    return build_axes(crf, lattice, recorder, join, 3, err);
}

// What each vertex adds up.
static tagmask_status build_lists(tm_crf *crf, tm_crf_lattice *lattice, tm_recorder *recorder, tm_error *err) {
    const double flops = 100.0 * crf->count;
    const tm_crf_job jobs[] = {
        {.shader = "crf/link",
         .bindings = {lattice->numbers, lattice->places, ALL(links), lattice->counts, ALL(state)},
         .push = &lattice->point_capacity,
         .push_size = 4,
         .at_most = lattice->point_capacity,
         .flops = flops},
        {.shader = "crf/reserve",
         .bindings = {lattice->counts, ALL(ranges), ALL(state)},
         .push = &lattice->vertex_capacity,
         .push_size = 4,
         .at_most = lattice->vertex_capacity,
         .flops = flops},
        {.shader = "crf/list",
         .bindings = {ALL(links), lattice->counts, ALL(ranges), ALL(pairs), ALL(state)},
         .push = &lattice->point_capacity,
         .push_size = 4,
         .at_most = lattice->point_capacity,
         .flops = flops},
    };
    TM_TRY(tm_fill(recorder, lattice->counts, 0, err));
    TM_TRY(tm_fill(recorder, ALL(pairs), 0, err));
    for (size_t i = 0; i < TM_ARRAY_LEN(jobs); i++) TM_TRY(tm_crf_dispatch(crf, recorder, &jobs[i], err));
    return TAGMASK_OK;
}

static tagmask_status build_norms(tm_crf *crf, tm_crf_lattice *lattice, tm_recorder *recorder, tm_error *err) {
    tm_slice values = lattice->values;
    values.size = (uint64_t)lattice->point_capacity * 16;
    for (uint32_t step = 0; step < 3; step++) {
        tm_crf_job job = {.shader = "crf/norm",
                          .constants = {step},
                          .constant_count = 1,
                          .bindings = {ALL(point_range), ALL(norms), values, ALL(state)},
                          .push = &lattice->point_capacity,
                          .push_size = 4,
                          .at_most = lattice->point_capacity,
                          .flops = 10.0 * crf->count};
        if (step) TM_TRY(tm_crf_lattice_filter(crf, lattice, recorder, 0, 1, 1, 1, err));
        TM_TRY(tm_crf_dispatch(crf, recorder, &job, err));
    }
    return TAGMASK_OK;
}

tagmask_status tm_crf_lattice_build(tm_crf *crf, tm_crf_lattice *lattice, tm_recorder *recorder, float sxy, float srgb,
                                    tm_error *err) {
    const float key[2] = {sxy, srgb};
    if (lattice->built && !memcmp(key, lattice->key, sizeof key)) return TAGMASK_OK;
    lattice->built = false;
    TM_TRY(build_points(crf, lattice, recorder, sxy, srgb, err));
    TM_TRY(build_vertices(crf, lattice, recorder, err));
    TM_TRY(build_lists(crf, lattice, recorder, err));
    TM_TRY(build_norms(crf, lattice, recorder, err));
    memcpy(lattice->key, key, sizeof key);
    lattice->built = true;
    return TAGMASK_OK;
}

void tm_crf_lattice_destroy(tm_crf_lattice *lattice) {
    tm_buffer *all[] = {lattice->tile_points, lattice->tile_first, lattice->members, lattice->pixel_point,
                        lattice->point_range, lattice->links,      lattice->ranges,  lattice->pairs,
                        lattice->neighbours,  lattice->state,      lattice->norms};
    for (size_t i = 0; i < TM_ARRAY_LEN(all); i++) tm_buffer_destroy(all[i]);
}
