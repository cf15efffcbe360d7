// Sums along axes by tables: the gradients of operators that make each element of a few elements along each axis, one
// axis after the other.
#ifndef TM_OPS_AXIS_SUM_H
#define TM_OPS_AXIS_SUM_H

#include "ops/resize_plan.h"

// One axis: the element at `to` is the sum of `taps` elements of the axis before, each times a weight.
typedef struct tm_axis_sum {
    int32_t axis;
    int64_t from, to;
    size_t taps;
    tm_resize_tap *table;  // [to][taps], malloc'ed; index -1 and weight 0: nothing
} tm_axis_sum;
typedef struct tm_axis_sums {
    tm_axis_sum sum[TM_MAX_RANK];
    size_t count;
} tm_axis_sums;

// Adds the transposition of what made `out` elements of `in` along an axis: out * taps entries, output by output.
tagmask_status tm_axis_sums_add(tm_op_ctx *ctx, tm_axis_sums *sums, int32_t axis, int64_t in, int64_t out,
                                const tm_resize_tap *table, size_t taps, tm_error *err);
void tm_axis_sums_free(tm_axis_sums *sums);
// Bytes of scratch memory for sums that begin with a tensor of this shape. Fails where they would be too many.
tagmask_status tm_axis_sums_scratch(tm_op_ctx *ctx, const tm_axis_sums *sums, const tm_shape *shape, uint64_t *bytes,
                                    tm_error *err);
// From a linear tensor of this shape to another.
tagmask_status tm_axis_sums_record(tm_op_ctx *ctx, const tm_axis_sums *sums, const tm_shape *shape, tm_slice from,
                                   tm_slice to, tm_recorder *recorder, tm_error *err);

#endif
