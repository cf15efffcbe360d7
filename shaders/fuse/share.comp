#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// target = share target + (1 - share) source, where the planes of the source are `stride` apart, those of the target `count`
layout(set = 0, binding = 0) readonly buffer Source { float source[]; };
layout(set = 0, binding = 1) buffer Target { float target[]; };
layout(push_constant) uniform Push { uint count, stride, total; float share; } p;

void main() {
    uint i = element_index();
    if (i >= p.total) return;
    uint plane = i / p.count;
    target[i] = p.share * target[i] + (1.0 - p.share) * source[plane * p.stride + i - plane * p.count];
}
