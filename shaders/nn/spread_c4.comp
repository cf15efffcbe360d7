// Repetition of vectors of four channels; see spread.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#define T vec4
#include "nn/spread.glsl"
