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
    for (uint j = 0; j < p.positions; j++) {
        vec4 products = vec4(0.0);
        for (uint k = 0; k < p.groups; k++)
            products = fma(features[k * p.positions + i], features[k * p.positions + j], products);
        float cosine = dot(products, vec4(1.0));
        float weight = exp((cosine - 1.0) / p.temperature);
        sum = fma(weight, map[j], sum);
        norm += weight;
    }
    target[i] = sum / norm;
}
