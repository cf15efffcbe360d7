#version 450
#extension GL_GOOGLE_include_directive : require
#include "refine/colour.glsl"
// The tag's energy less the weighted log-likelihood ratio of the pixel's colour.
layout(set = 0, binding = 1) readonly buffer Image { vec4 image[]; };
layout(set = 0, binding = 2) buffer Unary { float unary[]; };

void main() {
    uint i = element_index();
    if (i < p.count) unary[p.tag * p.count + i] -= p.weight * ratio_of(image[i].rgb);
}
