// Repetition of 32-bit words; see spread.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#define T float
#include "nn/spread.glsl"
