// Weights that are held as 16-bit floats: the oracle of what the shaders make of them.
#ifndef TEST_REF_HALF_H
#define TEST_REF_HALF_H

#include <stddef.h>

#include "ref_conv.h"

// The nearest 16-bit float, ties to even; infinity beyond 65504 and what rounds there.
double ref_half(double value);
// malloc'ed
float *ref_halves(const float *values, size_t count);
// ref_conv_run for 3x3 kernels without groups, strides and dilations by Winograd tiles of `tile` (2 or 4) pixels: only
// the transformed weights are rounded to 16-bit floats.
float *ref_half_winograd(const ref_conv *conv, int tile, const float *x, const float *weights, const float *bias);

#endif
