// Gather, with an alarm; see gather.glsl and alarm.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#define ALARM 3
#include "nn/gather.glsl"
