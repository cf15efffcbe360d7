#version 450
#extension GL_GOOGLE_include_directive : require
#define TEXEL
#define PLACES 8
#include "cam/affinity.glsl"
