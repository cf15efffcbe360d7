// Reductions, with an alarm; see reduce.glsl and alarm.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#define ALARM 2
#include "nn/reduce.glsl"
