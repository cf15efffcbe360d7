#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// One random-walk step on feature affinities (the idea of PSA, Ahn & Kwak 2018, on the classifier's own features):
//   A_ij = exp((cos(f_i, f_j) - 1) / temperature), P_i = sum_j A_ij B_j / sum_j A_ij
// f: unit-length features as [C/4][positions] vec4 (cam/unit_features), B: the map on the features' grid.
layout(set = 0, binding = 0) readonly buffer Features { vec4 features[]; };
layout(set = 0, binding = 1) readonly buffer Map { float map[]; };
layout(set = 0, binding = 2) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push {
    uint positions, groups;  // groups of 4 channels
    float temperature;
} p;

void main() {
    uint i = element_index();
    if (i >= p.positions) return;
    float sum = 0.0, norm = 0.0;
    // Four partners a step share the loads of f_i; loads, not arithmetic, are what this costs.
    for (uint j = 0; j < p.positions; j += 4) {
        uvec4 at = min(uvec4(j, j + 1, j + 2, j + 3), uvec4(p.positions - 1));
        vec4 cosine = vec4(0.0);
        for (uint k = 0; k < p.groups; k++) {
            uint row = k * p.positions;
            vec4 f = features[row + i];
            cosine += vec4(dot(f, features[row + at.x]), dot(f, features[row + at.y]), dot(f, features[row + at.z]),
                           dot(f, features[row + at.w]));
        }
        vec4 weight = exp((cosine - 1.0) / p.temperature);
        weight *= vec4(lessThan(uvec4(j, j + 1, j + 2, j + 3), uvec4(p.positions)));
        sum += dot(weight, vec4(map[at.x], map[at.y], map[at.z], map[at.w]));
        norm += dot(weight, vec4(1.0));
    }
    target[i] = sum / norm;
}
