// Products of batches of matrices that are read by strides, for the operators that are made of them.
#ifndef TM_OPS_MATMUL_H
#define TM_OPS_MATMUL_H

#include "ops/common.h"

// As nn/matmul.glsl reads it: C[batch] = act(alpha * A B + beta * D), C row-major and without gaps. Strides in
// elements.
typedef struct tm_matmul {
    uint32_t m, n, k, batches;
    uint32_t a_row, a_col, b_row, b_col, d_row, d_col;
    float alpha, beta, act_a, act_b;
    uint32_t batch_dim[6], a_batch[6], b_batch[6];  // unused dimensions are 1, at the front
} tm_matmul;

// d: the matrix added, or a slice without buffer. Fuses what the node fuses as activation kind.
tagmask_status tm_matmul_record(tm_op_ctx *ctx, tm_recorder *recorder, const tm_matmul *product, tm_slice a, tm_slice b,
                                tm_slice d, tm_slice out, tm_error *err);

#endif
