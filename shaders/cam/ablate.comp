#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// Features as a network's input [C][places], one channel 0.
layout(constant_id = 0) const uint C4 = 0;  // 1: features as [C/4][places] vec4, 0: as [C][places]
layout(set = 0, binding = 0) readonly buffer Features { float features[]; };
layout(set = 0, binding = 1) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push { uint places, channels, channel; } p;

void main() {
    uint at = element_index();
    if (at >= p.places * p.channels) return;
    uint k = at / p.places, i = at % p.places;
    target[at] = k == p.channel ? 0.0 : features[C4 != 0 ? ((k / 4u) * p.places + i) * 4u + k % 4u : at];
}
