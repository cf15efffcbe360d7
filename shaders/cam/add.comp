#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// target += source
layout(set = 0, binding = 0) readonly buffer Source { float source[]; };
layout(set = 0, binding = 1) buffer Target { float target[]; };
layout(push_constant) uniform Push { uint count; } p;

void main() {
    uint i = element_index();
    if (i < p.count) target[i] += source[i];
}
