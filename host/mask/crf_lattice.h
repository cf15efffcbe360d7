// The bilateral kernel's structure: the image's pixels grouped to points, the points placed in a permutohedral lattice,
// the norms of the kernel. It depends on the image and the kernel's widths alone. See docs/crf.md.
#ifndef TM_CRF_LATTICE_H
#define TM_CRF_LATTICE_H

#include "mask/crf_internal.h"

typedef struct tm_crf_lattice {
    uint32_t tiles, point_pixels, point_capacity, vertex_capacity, table_mask;
    tm_buffer *tile_table, *tile_points, *tile_first, *pixel_slot, *range_end;
    tm_buffer *members, *pixel_point, *point_range, *keys, *links, *places, *table, *numbers, *wanted, *wanted_numbers;
    tm_buffer *vertex_keys, *counts, *ranges, *pairs, *neighbours, *state, *norms;
    tm_buffer *values;                      // [value_planes][point_capacity] vec4
    tm_buffer *messages;                    // [message_planes][point_capacity] vec4
    tm_buffer *lattice[2];                  // [value_planes][vertex_capacity] vec4
    uint32_t value_planes, message_planes;  // groups of four labels that there is room for
    float share;                            // most points a pixel
    bool built;
    float key[2];  // widths it was built with
} tm_crf_lattice;

// Records what is not yet built for these widths, and makes room: values of `at_once` groups of four labels, messages
// of `planes`.
tagmask_status tm_crf_lattice_prepare(tm_crf *crf, tm_crf_lattice *lattice, tm_recorder *recorder, float sxy,
                                      float srgb, uint32_t at_once, uint32_t planes, tm_error *err);
// values (each point's sum, normalized) -> messages (compat * norm * kernel's sum): `count` groups of values from the
// first on, messages from the group `first` on. Of each
// group `channels` (1..4) are in use.
tagmask_status tm_crf_lattice_filter(tm_crf *crf, tm_crf_lattice *lattice, tm_recorder *recorder, uint32_t first,
                                     uint32_t count, uint32_t channels, float compat, tm_error *err);
uint64_t tm_crf_lattice_vertices(const tm_crf *crf);  // room for vertices
void tm_crf_lattice_destroy(tm_crf_lattice *lattice);

#endif
