// One run of the dense CRF's fast path: what crf_fast.c (all labels of a pixel in one invocation) and crf_stream.c
// (four labels at a time, for many labels or pixels) share.
#ifndef TM_CRF_PLAN_H
#define TM_CRF_PLAN_H

#include "mask/crf_internal.h"
#include "mask/crf_lattice.h"

struct tm_crf_fast {
    tm_crf_lattice lattice;
    tm_buffer *energies, *bases, *marginals;  // [planes][pixels] vec4, bases one plane
    tm_buffer *sums, *half, *smoothed;        // [planes][blocks] vec4
    tm_buffer *table, *running;
};

typedef struct tm_crf_gaussian {
    uint32_t block, columns, rows, radius;
    float falloff;
} tm_crf_gaussian;

typedef struct tm_crf_plan {
    const tm_crf_params *params;
    uint32_t planes, labels;  // planes: groups of four labels, without the last label
    uint32_t channels;        // labels of a group: less than four only where it is the only one
    bool has_gaussian, has_bilateral, streamed;
    bool packed;  // marginals between iterations, see crf/keep
    tm_crf_gaussian gaussian;
    uint64_t plane, block_plane;  // bytes a plane
    tm_slice energies, bases, marginals, sums, half, smoothed, unary, result;
} tm_crf_plan;

// `count` planes from the plane `first` on.
static inline tm_slice tm_crf_planes(tm_slice slice, uint64_t bytes, uint32_t first, uint32_t count) {
    return (tm_slice){slice.buffer, slice.offset + bytes * first, bytes * count};
}

// Messages of both kernels for some planes: sums -> smoothed, marginals -> the lattice's messages.
tagmask_status tm_crf_messages(tm_crf *crf, tm_recorder *recorder, const tm_crf_plan *plan, uint32_t first,
                               uint32_t count, tm_error *err);
tagmask_status tm_crf_stream(tm_crf *crf, tm_recorder *recorder, const tm_crf_plan *plan, tm_error *err);

#endif
