// Operations on integers, bool and the bits of floats, with an alarm; see word.glsl and alarm.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#define ALARM 2
#include "nn/word.glsl"
