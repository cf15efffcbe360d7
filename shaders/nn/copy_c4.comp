// Strided copy of vectors of four channels; see copy.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#define T uvec4
#include "nn/copy.glsl"
