// Reductions; see reduce.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/reduce.glsl"
