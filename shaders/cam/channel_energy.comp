#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// target[k] = sum over places of the square of channel k, an invocation a channel.
layout(constant_id = 0) const uint C4 = 0;  // 1: features as [C/4][places] vec4, 0: as [C][places]
layout(set = 0, binding = 0) readonly buffer Features { float features[]; };
layout(set = 0, binding = 1) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push { uint places, channels; } p;

void main() {
    uint k = element_index();
    if (k >= p.channels) return;
    uint first = C4 != 0 ? (k / 4u) * p.places * 4u + k % 4u : k * p.places, step = C4 != 0 ? 4u : 1u;
    float sum = 0.0;
    for (uint i = 0; i < p.places; i++) {
        float x = features[first + i * step];
        sum = fma(x, x, sum);
    }
    target[k] = sum;
}
