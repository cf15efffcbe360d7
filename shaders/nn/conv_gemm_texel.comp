#version 450
#extension GL_GOOGLE_include_directive : require
#define CONV_TEXEL
#define CONV_PIXELS 8
#include "nn/conv_gemm.glsl"
