#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
// As conv_tile_subgroup, for maps of a single output channel.
#define CONV_SUBGROUP
#define CONV_PIXELS 4
#define CONV_USED 1u
#include "nn/conv_tile.glsl"
