// What pooling and its gradient share.
#ifndef TM_OPS_POOL_H
#define TM_OPS_POOL_H

#include "ops/common.h"

// Depth, height, width; those that a tensor does not have are one.
typedef struct tm_pool_plan {
    int64_t kernel[3], stride[3], dilation[3], begin[3], end[3], in[3], out[3];
} tm_pool_plan;

// From the node's attributes and the shape of input 0.
tagmask_status tm_pool_plan_make(tm_op_ctx *ctx, tm_pool_plan *plan, tm_error *err);

#endif
