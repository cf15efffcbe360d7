// Broadcasting binary operators in C4; see binary_c4.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/binary_c4.glsl"
