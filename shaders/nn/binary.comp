// Binary operators on operands of one shape; see binary.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/binary.glsl"
