#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// target = share target + (1 - share) source / max(1, sum of the sources of all tags) at each place. The planes of the
// source are `stride` apart, those of the target `count`.
layout(set = 0, binding = 0) readonly buffer Source { float source[]; };
layout(set = 0, binding = 1) buffer Target { float target[]; };
layout(push_constant) uniform Push { uint count, stride, tags; float share; } p;

void main() {
    uint i = element_index();
    if (i >= p.count) return;
    float sum = 0.0;
    for (uint t = 0; t < p.tags; t++) sum += source[t * p.stride + i];
    float rest = (1.0 - p.share) / max(1.0, sum);
    for (uint t = 0; t < p.tags; t++)
        target[t * p.count + i] = p.share * target[t * p.count + i] + rest * source[t * p.stride + i];
}
