#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// One half of a power step (map_eigen.c): target[k] = sum over places i of x[k][i] vector[i], an invocation a channel.
layout(constant_id = 0) const uint C4 = 0;  // 1: features as [C/4][places] vec4, 0: as [C][places]
layout(set = 0, binding = 0) readonly buffer Features { float features[]; };
layout(set = 0, binding = 1) readonly buffer Vector { float vector[]; };
layout(set = 0, binding = 2) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push { uint places, channels; } p;

void main() {
    uint k = element_index();
    if (k >= p.channels) return;
    uint first = C4 != 0 ? (k / 4u) * p.places * 4u + k % 4u : k * p.places, step = C4 != 0 ? 4u : 1u;
    float sum = 0.0;
    for (uint i = 0; i < p.places; i++) sum = fma(features[first + i * step], vector[i], sum);
    target[k] = sum;
}
