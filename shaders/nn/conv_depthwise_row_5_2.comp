#version 450
#extension GL_GOOGLE_include_directive : require
#define CONV_TEXEL
#define CONV_PIXELS 8
#define KERNEL 5
#define STRIDE 2
#include "nn/conv_depthwise_row.glsl"
