// One run of the dense CRF's fast path: what crf_fast.c (all labels of a pixel in one invocation, the image in bands),
// crf_bands.c (its dispatches) and crf_stream.c (four labels at a time, for many labels) share.
#ifndef TM_CRF_PLAN_H
#define TM_CRF_PLAN_H

#include "mask/crf_internal.h"
#include "mask/crf_lattice.h"

struct tm_crf_fast {
    tm_crf_lattice lattice;
    tm_buffer *table;
};

typedef struct tm_crf_gaussian {
    uint32_t block, columns, rows, radius;
    float falloff;
} tm_crf_gaussian;

// A part of the image, so that an array of all labels of its pixels can be bound: whole rows of tiles.
typedef struct tm_crf_band {
    uint32_t index;
    uint32_t first_row, rows;          // of blocks
    uint32_t smooth_row, smooth_rows;  // the same with the rows before and behind, which its pixels read
    uint32_t first_pixel, pixels;
    uint32_t first_tile, end_tile;
} tm_crf_band;

typedef struct tm_crf_plan {
    const tm_crf_params *params;
    uint32_t planes, labels;  // planes: groups of four labels, without the last label
    uint32_t channels;        // labels of a group: less than four only where it is the only one
    bool has_gaussian, has_bilateral, streamed;
    bool packed;     // marginals between iterations, see crf/keep
    uint64_t limit;  // bytes that can be bound at once
    tm_crf_gaussian gaussian;
    uint32_t bands, band_height;                         // pixels
    uint64_t plane, block_plane;                         // bytes of a plane that can be bound by itself
    uint64_t energy_band, marginal_band, smoothed_band;  // bytes a band
    tm_slice energies, marginals;                        // [bands][planes][pixels] vec4
    tm_slice bases;                                      // [pixels] vec4
    tm_slice sums;                                       // [planes][blocks] vec4 of one band
    tm_slice half;                                       // [planes][blocks] vec4; streamed: of one plane
    tm_slice smoothed;                                   // [bands][planes][blocks] vec4
    tm_slice staging;                                    // [labels][pixels] of one band, where there are several
    tm_slice running;                                    // streamed: [pixels] vec4
    tm_slice unary, result;                              // the caller's
} tm_crf_plan;

// `count` planes from the plane `first` on.
static inline tm_slice tm_crf_planes(tm_slice slice, uint64_t bytes, uint32_t first, uint32_t count) {
    return (tm_slice){slice.buffer, slice.offset + bytes * first, bytes * count};
}

tm_crf_band tm_crf_band_at(const tm_crf *crf, const tm_crf_plan *plan, uint32_t index);
tagmask_status tm_crf_bands(tm_crf *crf, tm_recorder *recorder, const tm_crf_plan *plan, tm_error *err);
// Messages of one group of labels: sums -> smoothed, marginals -> the lattice's messages.
tagmask_status tm_crf_messages(tm_crf *crf, tm_recorder *recorder, const tm_crf_plan *plan, uint32_t group,
                               tm_error *err);
tagmask_status tm_crf_stream(tm_crf *crf, tm_recorder *recorder, const tm_crf_plan *plan, tm_error *err);

#endif
