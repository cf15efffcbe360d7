// Common activations through texel buffers; see activation.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#define TEXEL
#include "nn/activation.glsl"
