#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// Features of an inner layer as the input of the network's tail, (channels, positions), with zeros where a mask of the
// same grid is above a limit (erasing on the feature map: ACoL, Zhang et al. 2018; ADL, Choe and Shim 2019).
layout(constant_id = 0) const uint C4 = 0;  // 1: features as [C/4][positions] vec4, 0: as [C][positions]
layout(set = 0, binding = 0) readonly buffer Features { float features[]; };
layout(set = 0, binding = 1) readonly buffer Mask { float mask[]; };  // read only if masked
layout(set = 0, binding = 2) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push {
    uint positions, channels, masked;
    float limit;
} p;

void main() {
    uint i = element_index();
    if (i >= p.positions * p.channels) return;
    uint k = i / p.positions, at = i % p.positions;
    uint address = C4 != 0 ? ((k / 4u) * p.positions + at) * 4u + k % 4u : i;
    bool dropped = p.masked != 0 && mask[at] > p.limit;
    target[i] = dropped ? 0.0 : features[address];
}
