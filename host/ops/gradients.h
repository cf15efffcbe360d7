// Gradient rules that stand in another file than the table of their family, and what such files share.
#ifndef TM_OPS_GRADIENTS_H
#define TM_OPS_GRADIENTS_H

#include "graph/gradient.h"

// derivative.c: one input, element by element.
void tm_gradient_unary(tm_backward *back);
// The gradient of input 0 through x -> x^exponent, from that of the output.
int32_t tm_gradient_power(tm_backward *back, int32_t from, float exponent);

// binary_gradient.c
void tm_gradient_add(tm_backward *back);
void tm_gradient_sub(tm_backward *back);
void tm_gradient_mul(tm_backward *back);
void tm_gradient_div(tm_backward *back);
void tm_gradient_pow(tm_backward *back);
void tm_gradient_prelu(tm_backward *back);
void tm_gradient_mean(tm_backward *back);
void tm_gradient_extreme(tm_backward *back);  // Min, Max
void tm_gradient_where(tm_backward *back);

// gradient_like.c: what only moves elements back.
void tm_gradient_reshape(tm_backward *back);

// reduce_gradient.c
void tm_gradient_reduce(tm_backward *back);

// matmul_gradient.c
void tm_gradient_matmul(tm_backward *back);
void tm_gradient_gemm(tm_backward *back);

// conv_gradient.c
void tm_gradient_conv(tm_backward *back);
void tm_gradient_conv_transpose(tm_backward *back);

// norm_gradient.c
void tm_gradient_batch_norm(tm_backward *back);
void tm_gradient_norm(tm_backward *back);  // Instance, Group, Layer and RMS
// If `value` is a gradient times a constant for each channel: that gradient, and the constants.
bool tm_gradient_is_scaled(const tm_backward *back, int32_t value, int32_t *from, int32_t *scale);

// softmax_gradient.c
void tm_gradient_softmax(tm_backward *back);

// einsum_gradient.c
void tm_gradient_einsum(tm_backward *back);

// move_gradient.c
void tm_gradient_concat(tm_backward *back);
void tm_gradient_slice(tm_backward *back);
void tm_gradient_split(tm_backward *back);
void tm_gradient_transpose(tm_backward *back);
void tm_gradient_expand(tm_backward *back);
void tm_gradient_depth(tm_backward *back);
void tm_gradient_gather(tm_backward *back);
void tm_gradient_pad(tm_backward *back);
void tm_gradient_tile(tm_backward *back);

// resize_gradient.c
void tm_gradient_resize(tm_backward *back);

// pool_gradient.c
void tm_gradient_pool(tm_backward *back);

#endif
