#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// target = picture (mask - minimum) / (maximum - minimum + 1e-8), for each of its planes
layout(set = 0, binding = 0) readonly buffer Picture { float picture[]; };
layout(set = 0, binding = 1) readonly buffer Mask { float mask[]; };
layout(set = 0, binding = 2) readonly buffer Scalars { vec2 scalars[]; };  // [slot]: the mask's minimum and maximum
layout(set = 0, binding = 3) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push { uint count, pixels, slot; } p;

void main() {
    uint i = element_index();
    if (i >= p.count) return;
    vec2 range = scalars[p.slot];
    target[i] = picture[i] * ((mask[i % p.pixels] - range.x) / (range.y - range.x + 1e-8));
}
