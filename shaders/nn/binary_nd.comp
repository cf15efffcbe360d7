// Binary operators on linear tensors; see binary_nd.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/binary_nd.glsl"
