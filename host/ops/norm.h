// What normalizations and their gradients share.
#ifndef TM_OPS_NORM_H
#define TM_OPS_NORM_H

#include "ops/common.h"

// A linear tensor as rows, each of which is normalized.
typedef struct tm_norm_rows {
    uint64_t rows, length;
    uint32_t row_mod, row_mul, at_div;  // the index of scale and bias, see shaders/nn/norm.comp
} tm_norm_rows;
// For the operator `type`, whose attributes the node has. The shape was checked.
tm_norm_rows tm_norm_rows_of(const tm_op_ctx *ctx, const char *type, const tm_shape *x);

#endif
