// Operations on integers, bool and the bits of floats; see word.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/word.glsl"
