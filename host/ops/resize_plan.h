// Where Resize and Upsample find their samples: from a node's attributes and inputs to one description an axis.
#ifndef TM_OPS_RESIZE_PLAN_H
#define TM_OPS_RESIZE_PLAN_H

#include "ops/common.h"

enum { TM_RESIZE_NEAREST = 0, TM_RESIZE_LINEAR, TM_RESIZE_CUBIC };

typedef struct tm_resize_axis {
    int64_t in, out;
    double scale, width;  // width: the output's size before rounding
    double roi[2];        // tf_crop_and_resize: first and last coordinate as parts of the axis
    bool changes;         // false: every element stays
    int64_t p, q;         // scale as a fraction; q 0: none with small terms
} tm_resize_axis;

typedef struct tm_resize_plan {
    tm_shape shape;
    tm_resize_axis axis[TM_MAX_RANK];
    int mode, coordinates, nearest;  // coordinates, nearest: see resize_plan.c
    float cubic_a, outside;
    bool antialias, exclude_outside;
} tm_resize_plan;

tagmask_status tm_resize_plan_make(tm_op_ctx *ctx, tm_resize_plan *plan, tm_error *err);
// Source coordinate of output index x.
double tm_resize_source(const tm_resize_plan *plan, const tm_resize_axis *axis, double x);
// Nearest source index of x as floor((x * mul + add) / div), exact; false if it has no such form in 31 bits.
bool tm_resize_nearest_terms(const tm_resize_plan *plan, const tm_resize_axis *axis, int64_t *mul, int64_t *add,
                             int64_t *div);

// Samples of an axis: out * taps entries, of which each output uses `taps`.
typedef struct tm_resize_tap {
    int32_t index;  // -1: the extrapolation value
    float weight;
} tm_resize_tap;
size_t tm_resize_taps(const tm_resize_plan *plan, const tm_resize_axis *axis);
void tm_resize_table(const tm_resize_plan *plan, const tm_resize_axis *axis, tm_resize_tap *table);

#endif
