// Strided copy of 32-bit words; see copy.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#define T uint
#include "nn/copy.glsl"
