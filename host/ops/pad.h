// What Pad, Tile and their gradients share.
#ifndef TM_OPS_PAD_H
#define TM_OPS_PAD_H

#include "ops/common.h"

enum { TM_PAD_CONSTANT = 0, TM_PAD_REFLECT, TM_PAD_EDGE, TM_PAD_WRAP };  // numbers of shaders/nn/pad.glsl

// Pads before each dimension (negative: cropping), the output's shape, and the constant's bits.
typedef struct tm_pad_plan {
    int64_t begin[TM_MAX_RANK];
    tm_shape shape;
    uint32_t mode, value;
} tm_pad_plan;
tagmask_status tm_pad_plan_make(tm_op_ctx *ctx, tm_pad_plan *plan, tm_error *err);
tagmask_status tm_tile_plan_make(tm_op_ctx *ctx, tm_pad_plan *plan, tm_error *err);
// Which of `size` elements stands at `at`, counted from the first; -1: the constant.
int64_t tm_pad_source(uint32_t mode, int64_t at, int64_t size);

#endif
