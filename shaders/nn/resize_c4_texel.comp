// Resize of vectors of four channels through texel buffers; see resize.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#define TEXEL
#define T vec4
#include "nn/resize.glsl"
