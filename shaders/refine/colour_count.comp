#version 450
#extension GL_GOOGLE_include_directive : require
#include "refine/colour.glsl"
// Histograms of the tag's pixels and of the others, each pixel counted by the probability that its energies and the colour
// model so far give it. In 1/256 of a pixel: integer sums do not depend on their order.
layout(set = 0, binding = 1) readonly buffer Image { vec4 image[]; };
layout(set = 0, binding = 2) readonly buffer Unary { float unary[]; };
layout(set = 0, binding = 3) buffer Counts { uint counts[]; };  // [2][BINS], then both sums

void main() {
    uint i = element_index();
    if (i >= p.count) return;
    vec3 rgb = image[i].rgb;
    float logit = unary[i] - unary[p.tag * p.count + i] + p.weight * ratio_of(rgb);
    uint own = uint(256.0 / (1.0 + exp(-clamp(logit, -30.0, 30.0))) + 0.5);
    uvec3 bin = uvec3(rgb) / (256u / SIDE);
    uint at = (bin.b * SIDE + bin.g) * SIDE + bin.r;
    if (own > 0u) atomicAdd(counts[at], own);
    if (own < 256u) atomicAdd(counts[BINS + at], 256u - own);
    atomicAdd(counts[2u * BINS], own);
    atomicAdd(counts[2u * BINS + 1u], 256u - own);
}
