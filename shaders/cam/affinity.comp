#version 450
#extension GL_GOOGLE_include_directive : require
#define PLACES 1
#include "cam/affinity.glsl"
