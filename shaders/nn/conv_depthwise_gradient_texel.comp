#version 450
#extension GL_GOOGLE_include_directive : require
#define CONV_TEXEL
#include "nn/conv_depthwise_gradient.glsl"
