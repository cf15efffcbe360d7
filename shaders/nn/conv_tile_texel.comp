#version 450
#extension GL_GOOGLE_include_directive : require
// Direct convolution through texel buffers, with the larger tile that CPU devices like: loads are dear, sums that spill
// to the stack are not.
#define CONV_TEXEL
#define CONV_PIXELS 8
#include "nn/conv_tile.glsl"
