#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
// For devices with full subgroups of exactly four lanes (SwiftShader), where a load costs more than a broadcast.
#define CONV_SUBGROUP
#define CONV_PIXELS 4
#define CONV_USED 8u
#include "nn/conv_tile.glsl"
