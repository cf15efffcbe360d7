// Products by vectors from texel buffers; see matmul_vec4.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#define TEXEL
#include "nn/matmul_vec4.glsl"
