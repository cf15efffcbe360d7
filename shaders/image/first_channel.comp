#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// The only channel of a one-channel tensor in C4 layout, as a tight plane.
layout(set = 0, binding = 0) readonly buffer Source { vec4 source[]; };
layout(set = 0, binding = 1) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push { uint count; } p;

void main() {
    uint i = element_index();
    if (i < p.count) target[i] = source[i].x;
}
