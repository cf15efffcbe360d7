// Binary operators on linear tensors, with an alarm; see binary_nd.glsl and alarm.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#define ALARM 3
#include "nn/binary_nd.glsl"
