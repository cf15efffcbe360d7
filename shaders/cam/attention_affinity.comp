#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// Attention A between tokens, of which the last are places, as affinity between places (affinity_attention.c):
//   target[j][i] = A[i][j] / sum over places k of A[i][k]
// Transposed, so that a map times it is a weighted sum of planes. An invocation a place i.
layout(set = 0, binding = 0) readonly buffer Source { float source[]; };  // [tokens][tokens]
layout(set = 0, binding = 1) writeonly buffer Target { float target[]; };  // [places][places]
layout(push_constant) uniform Push { uint tokens, places; } p;

void main() {
    uint i = element_index();
    if (i >= p.places) return;
    uint others = p.tokens - p.places, row = (others + i) * p.tokens + others;
    float sum = 0.0;
    for (uint j = 0; j < p.places; j++) sum += source[row + j];
    float scale = sum == 0.0 ? 0.0 : 1.0 / sum;  // a NaN stays one
    for (uint j = 0; j < p.places; j++) target[j * p.places + i] = scale * source[row + j];
}
