#version 450
#extension GL_GOOGLE_include_directive : require
#define TEXEL
#include "cam/ridge_gram.glsl"
