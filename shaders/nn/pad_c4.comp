// Pad and Tile of vectors of four channels; see pad.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#define T uvec4
#include "nn/pad.glsl"
