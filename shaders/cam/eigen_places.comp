#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// The other half of a power step (map_eigen.c): target[i] = sum over channels k of x[k][i] vector[k], or with START of
// x[k][i]^2: an invocation a place.
layout(constant_id = 0) const uint C4 = 0;  // 1: features as [C/4][places] vec4, 0: as [C][places]
layout(constant_id = 1) const uint START = 0;
layout(set = 0, binding = 0) readonly buffer Features { float features[]; };
layout(set = 0, binding = 1) readonly buffer Vector { float vector[]; };
layout(set = 0, binding = 2) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push { uint places, channels; } p;

void main() {
    uint i = element_index();
    if (i >= p.places) return;
    float sum = 0.0;
    for (uint k = 0; k < p.channels; k++) {
        float x = features[C4 != 0 ? ((k / 4u) * p.places + i) * 4u + k % 4u : k * p.places + i];
        sum = fma(x, START != 0 ? x : vector[k], sum);
    }
    target[i] = sum;
}
