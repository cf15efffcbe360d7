#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/conv_depthwise_gradient.glsl"
