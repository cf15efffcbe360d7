// The bilateral kernel's structure: the image's pixels grouped to points, the points placed in a permutohedral lattice,
// the norms of the kernel. It depends on the image and the kernel's widths alone. See docs/crf.md.
#ifndef TM_CRF_LATTICE_H
#define TM_CRF_LATTICE_H

#include "mask/crf_internal.h"

#define TM_CRF_TILE 32  // side in pixels, as in crf/tile

typedef struct tm_crf_lattice {
    uint32_t tiles, tile_batch, point_pixels, point_capacity, vertex_capacity, table_mask;
    tm_buffer *tile_points, *tile_first, *members, *pixel_point, *point_range, *links, *ranges, *pairs, *neighbours;
    tm_buffer *state, *norms;
    // Of crf->scratch; only while it is built:
    tm_slice tile_table, pixel_slot, range_end, keys, places, table, numbers, wanted, wanted_numbers;
    tm_slice vertex_keys, counts;
    tm_slice values;     // [planes][point_capacity] vec4: each point's sum, then its message
    tm_slice halves[2];  // [at_once][vertex_capacity] vec4
    float share;         // most points a pixel
    uint32_t at_once;    // groups of four labels that are filtered in one go
    bool built;
    float key[2];  // widths it was built with
} tm_crf_lattice;

// Makes room for what is kept of an image, and decides how many of `planes` groups of four labels are filtered at once:
// as many as `limit` bytes hold.
tagmask_status tm_crf_lattice_reserve(tm_crf *crf, tm_crf_lattice *lattice, float sxy, float srgb, uint32_t planes,
                                      uint64_t limit, tm_error *err);
#define TM_CRF_LATTICE_FILTER_ROOMS 3
#define TM_CRF_LATTICE_ROOMS 11
// What it needs of crf->scratch while values are filtered, and (at another time) while it is built.
void tm_crf_lattice_rooms(const tm_crf *crf, tm_crf_lattice *lattice, uint32_t planes,
                          tm_crf_room filtering[TM_CRF_LATTICE_FILTER_ROOMS],
                          tm_crf_room building[TM_CRF_LATTICE_ROOMS]);
// Records what is not yet built for these widths.
tagmask_status tm_crf_lattice_build(tm_crf *crf, tm_crf_lattice *lattice, tm_recorder *recorder, float sxy, float srgb,
                                    tm_error *err);
// values (each point's sum, normalized) -> messages (compat * norm * kernel's sum), in place: the groups of four labels
// [first, first + count). Of each group `channels` (1..4) are in use.
tagmask_status tm_crf_lattice_filter(tm_crf *crf, tm_crf_lattice *lattice, tm_recorder *recorder, uint32_t first,
                                     uint32_t count, uint32_t channels, float compat, tm_error *err);
void tm_crf_lattice_destroy(tm_crf_lattice *lattice);

#endif
