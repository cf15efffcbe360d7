#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// What the features say the map should be: clamp(w . x + constant, 0, 1) for unit features x, [ceil(C/4)][positions] vec4.
layout(set = 0, binding = 0) readonly buffer Features { vec4 features[]; };
layout(set = 0, binding = 1) readonly buffer Weights { vec4 weights[]; };  // [groups], then the constant
layout(set = 0, binding = 2) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push { uint positions, groups; } p;

void main() {
    uint i = element_index();
    if (i >= p.positions) return;
    float sum = weights[p.groups].x;
    for (uint g = 0; g < p.groups; g++) sum += dot(weights[g], features[g * p.positions + i]);
    target[i] = clamp(sum, 0.0, 1.0);
}
