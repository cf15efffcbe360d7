#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// target = (first ? 0 : target) + v, v = source / (maximum of the source + 1e-8), or v^2 for a sum of squares
layout(set = 0, binding = 0) readonly buffer Source { float source[]; };
layout(set = 0, binding = 1) readonly buffer Scalars { vec2 scalars[]; };  // [slot].y: the source's maximum
layout(set = 0, binding = 2) buffer Target { float target[]; };
layout(push_constant) uniform Push { uint count, slot, first, square; } p;

void main() {
    uint i = element_index();
    if (i >= p.count) return;
    float value = source[i] / (scalars[p.slot].y + 1e-8);
    if (p.square != 0) value *= value;
    target[i] = p.first != 0 ? value : target[i] + value;
}
