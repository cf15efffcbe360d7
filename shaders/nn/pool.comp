// Pooling of 32-bit words; see pool.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#define T float
#include "nn/pool.glsl"
