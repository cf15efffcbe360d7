// What Softmax and its gradient share.
#ifndef TM_OPS_SOFTMAX_H
#define TM_OPS_SOFTMAX_H

#include "ops/common.h"

// Cuts the outputs and the first `count` inputs, all of one shape, between lines.
void tm_softmax_cut(tm_op_ctx *ctx, tm_cut *cut, size_t count);
// The lines of a tensor that the node's axis means: how many, their length, and how far apart their elements are.
void tm_softmax_lines(const tm_op_ctx *ctx, const tm_shape *in, uint32_t *count, uint32_t *length, uint32_t *apart);

#endif
