#version 450
#extension GL_GOOGLE_include_directive : require
#include "cam/class_map_c4.glsl"
