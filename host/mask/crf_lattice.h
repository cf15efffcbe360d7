// The bilateral kernel's structure: the image's pixels grouped to points, the points placed in a permutohedral lattice,
// the norms of the kernel. It depends on the image and the kernel's widths alone. See docs/crf.md.
#ifndef TM_CRF_LATTICE_H
#define TM_CRF_LATTICE_H

#include "mask/crf_internal.h"

typedef struct tm_crf_lattice {
    uint32_t tiles, point_capacity, vertex_capacity, table_mask;
    tm_buffer *tile_table, *tile_points, *tile_first, *pixel_slot, *range_end;
    tm_buffer *members, *pixel_point, *point_range, *keys, *links, *places, *table, *numbers, *wanted, *wanted_numbers;
    tm_buffer *vertex_keys, *counts, *ranges, *corners, *pairs, *neighbours, *state, *norms;
    tm_buffer *values, *messages;  // [planes][point_capacity] vec4
    tm_buffer *lattice[2];         // [planes][vertex_capacity] vec4
    uint32_t planes;               // groups of four labels that the last four have room for
    bool built;
    float key[2];  // widths it was built with
} tm_crf_lattice;

// Records what is not yet built for these widths, and makes room for `planes` groups of four labels.
tagmask_status tm_crf_lattice_prepare(tm_crf *crf, tm_crf_lattice *lattice, tm_recorder *recorder, float sxy,
                                      float srgb, uint32_t planes, tm_error *err);
// values (each point's sum, normalized) -> messages (compat * norm * kernel's sum), of `planes` groups.
tagmask_status tm_crf_lattice_filter(tm_crf *crf, tm_crf_lattice *lattice, tm_recorder *recorder, uint32_t planes,
                                     float compat, tm_error *err);
void tm_crf_lattice_destroy(tm_crf_lattice *lattice);

#endif
