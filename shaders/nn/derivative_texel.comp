// Derivatives through texel buffers; see derivative_ops.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#define TEXEL
#include "nn/derivative_ops.glsl"
