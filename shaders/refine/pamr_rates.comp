#version 450
#extension GL_GOOGLE_include_directive : require
#include "refine/pamr.glsl"
// What PAMR's steps share: each channel's rate and the least unlikeness, which the softmax subtracts.
layout(set = 0, binding = 1) writeonly buffer Rates { vec4 rates[]; };

void main() {
    uint i = p.first + element_index();
    if (element_index() >= p.count) return;
    uint y = i / p.width, x = i - y * p.width;
    uvec3 own = uvec3(unpack_rgb(guide[i])), sum = own, squares = own * own;
    for (uint k = 0; k < NEIGHBOURS; k++) {
        uvec3 c = uvec3(unpack_rgb(guide[neighbour(x, y, k)]));
        sum += c;
        squares += c * c;
    }
    // 49^2 times the variance, exact in integers.
    vec3 deviation = sqrt(vec3(squares * (NEIGHBOURS + 1u) - sum * sum)) / float(NEIGHBOURS + 1u);
    vec3 rate = 1.0 / (3.0 * (0.1 * deviation + 1e-5));
    float least = 1e30;
    for (uint k = 0; k < NEIGHBOURS; k++) least = min(least, unlikeness(neighbour(x, y, k), vec3(own), rate));
    rates[i] = vec4(rate, least);
}
