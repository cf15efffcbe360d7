// Broadcasting binary operators in C4 through texel buffers; see binary_c4.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#define TEXEL
#include "nn/binary_c4.glsl"
