#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// In place: a sigmoid around the middle, which parts object and ground.
layout(set = 0, binding = 0) buffer Map { float map[]; };
layout(push_constant) uniform Push { uint count; } p;

void main() {
    uint i = element_index();
    if (i < p.count) map[i] = 1.0 / (1.0 + exp(-10.0 * (map[i] - 0.5)));
}
