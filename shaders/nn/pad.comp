// Pad and Tile of 32-bit words; see pad.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#define T uint
#include "nn/pad.glsl"
