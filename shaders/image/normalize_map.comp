#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// target = (source - minimum) / (maximum - minimum + 1e-8)
layout(set = 0, binding = 0) readonly buffer Source { float source[]; };
layout(set = 0, binding = 1) readonly buffer Scalars { vec2 scalars[]; };  // [slot]: the source's minimum and maximum
layout(set = 0, binding = 2) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push { uint count, slot; } p;

void main() {
    uint i = element_index();
    if (i >= p.count) return;
    vec2 range = scalars[p.slot];
    target[i] = (source[i] - range.x) / (range.y - range.x + 1e-8);
}
