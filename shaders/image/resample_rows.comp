#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/resample_rows.glsl"
