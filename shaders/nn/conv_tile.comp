#version 450
#extension GL_GOOGLE_include_directive : require
// Direct convolution through storage buffers: GPUs, and CPU devices whose texel buffers are small.
#define CONV_PIXELS 4
#include "nn/conv_tile.glsl"
