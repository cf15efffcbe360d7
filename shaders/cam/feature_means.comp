#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// Mean of each channel of features over all positions.
layout(constant_id = 0) const uint C4 = 0;  // layout of the source: 1 [C/4][H][W] vec4, 0 [C][H][W]
layout(set = 0, binding = 0) readonly buffer Source { float source[]; };
layout(set = 0, binding = 1) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push { uint positions, channels; } p;

void main() {
    uint k = element_index();
    if (k >= p.channels) return;
    uint at = C4 != 0 ? k / 4u * p.positions * 4u + k % 4u : k * p.positions, step = C4 != 0 ? 4u : 1u;
    float sum = 0.0;
    for (uint i = 0; i < p.positions; i++) {
        sum += source[at];
        at += step;
    }
    target[k] = sum / float(p.positions);
}
