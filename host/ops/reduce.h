// What reductions and their gradients share.
#ifndef TM_OPS_REDUCE_H
#define TM_OPS_REDUCE_H

#include "ops/common.h"

// Which axes of input 0 the node's attributes or its input 1 say are reduced, and whether they stay as 1. planes: all
// but the first two.
tagmask_status tm_reduced_axes(tm_op_ctx *ctx, bool planes, bool gone[TM_MAX_RANK], bool *keep, tm_error *err);

#endif
