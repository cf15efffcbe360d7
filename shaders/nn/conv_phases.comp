#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/conv_phases.glsl"
