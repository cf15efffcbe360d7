#version 450
#extension GL_GOOGLE_include_directive : require
#define WINOGRAD 2
#define CONV_TEXEL
#include "nn/conv_winograd_output.glsl"
