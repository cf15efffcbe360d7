// One random-walk step on feature affinities (the idea of PSA, Ahn & Kwak 2018, on the classifier's own features):
//   A_ij = exp((cos(f_i, f_j) - 1) / temperature), P_i = sum_j A_ij B_j / sum_j A_ij
// f: unit-length features as [C/4][positions] vec4 (cam/unit_features), B: the map on the features' grid.
// An invocation computes PLACES positions i against four partners j a step: loads, not arithmetic, are what this costs.
#extension GL_EXT_control_flow_attributes : require
#include "image/index.glsl"
#define T vec4
#include "nn/input.glsl"
layout(set = 0, binding = 1) readonly buffer Map { float map[]; };
layout(set = 0, binding = 2) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push {
    uint positions, groups;  // groups of 4 channels
    float temperature;
} p;

void main() {
    uint first = element_index() * PLACES;
    if (first >= p.positions) return;
    float sum[PLACES], norm[PLACES];
    [[unroll]] for (int n = 0; n < PLACES; n++) sum[n] = norm[n] = 0.0;
    for (uint j = 0; j < p.positions; j += 4) {
        uvec4 at = min(uvec4(j, j + 1, j + 2, j + 3), uvec4(p.positions - 1));
        vec4 cosine[PLACES];
        [[unroll]] for (int n = 0; n < PLACES; n++) cosine[n] = vec4(0.0);
        for (uint k = 0; k < p.groups; k++) {
            uint row = k * p.positions;
            mat4 partners = mat4(X(row + at.x), X(row + at.y), X(row + at.z), X(row + at.w));
            [[unroll]] for (int n = 0; n < PLACES; n++)
                cosine[n] += X(row + min(first + n, p.positions - 1)) * partners;
        }
        vec4 b = vec4(map[at.x], map[at.y], map[at.z], map[at.w]);
        vec4 used = vec4(lessThan(uvec4(j, j + 1, j + 2, j + 3), uvec4(p.positions)));
        [[unroll]] for (int n = 0; n < PLACES; n++) {
            vec4 weight = exp((cosine[n] - 1.0) / p.temperature) * used;
            sum[n] += dot(weight, b);
            norm[n] += dot(weight, vec4(1.0));
        }
    }
    [[unroll]] for (int n = 0; n < PLACES; n++)
        if (first + n < p.positions) target[first + n] = sum[n] / norm[n];
}
