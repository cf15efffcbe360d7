// MaxPool that also tells where the maxima are; see pool.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#define T float
#define INDICES
#include "nn/pool.glsl"
