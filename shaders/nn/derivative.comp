// Derivatives of storage buffers; see derivative_ops.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/derivative_ops.glsl"
