#version 450
#extension GL_GOOGLE_include_directive : require
#define TEXEL
#include "image/resample_rows.glsl"
