#version 450
#extension GL_GOOGLE_include_directive : require
#define CONV_PIXELS 4
#include "nn/conv_gemm.glsl"
