// Binary operators on operands of one shape through texel buffers; see binary.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#define TEXEL
#include "nn/binary.glsl"
