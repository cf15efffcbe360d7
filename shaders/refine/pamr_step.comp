#version 450
#extension GL_GOOGLE_include_directive : require
#include "refine/pamr.glsl"
// One step of PAMR. The weights are computed anew each time: they would be 48 floats a pixel.
layout(set = 0, binding = 1) readonly buffer Map { float map[]; };
layout(set = 0, binding = 2) writeonly buffer Target { float target[]; };
layout(set = 0, binding = 3) readonly buffer Rates { vec4 rates[]; };

void main() {
    uint i = p.first + element_index();
    if (element_index() >= p.count) return;
    uint y = i / p.width, x = i - y * p.width;
    vec3 own = unpack_rgb(guide[i]);
    vec4 rate = rates[i];
    float sum = 0.0, norm = 0.0;
    for (uint k = 0; k < NEIGHBOURS; k++) {
        uint at = neighbour(x, y, k);
        float weight = exp(rate.w - unlikeness(at, own, rate.xyz));
        sum += weight * map[at];
        norm += weight;
    }
    target[i] = sum / norm;
}
