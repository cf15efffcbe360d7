// Products by vectors from storage buffers; see matmul_vec4.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/matmul_vec4.glsl"
