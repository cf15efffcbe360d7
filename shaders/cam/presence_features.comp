#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// Features as rows of a matrix, [C][row], whose rows are filled up with zeros: they can be read as vectors then.
layout(constant_id = 0) const uint C4 = 0;  // layout of the source: 1 [C/4][H][W] vec4, 0 [C][H][W]
layout(set = 0, binding = 0) readonly buffer Source { float source[]; };
layout(set = 0, binding = 1) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push { uint positions, channels, row; } p;

void main() {
    uint element = element_index();
    if (element >= p.channels * p.row) return;
    uint k = element / p.row, i = element - k * p.row;
    uint at = C4 != 0 ? (k / 4u * p.positions + i) * 4u + k % 4u : k * p.positions + i;
    target[element] = i < p.positions ? source[at] : 0.0;
}
