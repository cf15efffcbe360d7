#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// How much maps of the same place differ between views (scale equivariance: SEAM, Wang et al. 2020): the standard
// deviation, from the sum and the sum of squares of `views` maps of 0..1; it is at most a half, and twice it is written.
layout(set = 0, binding = 0) readonly buffer Sum { float sum[]; };
layout(set = 0, binding = 1) readonly buffer Squares { float squares[]; };
layout(set = 0, binding = 2) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push {
    uint count;
    float views;
} p;

void main() {
    uint i = element_index();
    if (i >= p.count) return;
    float mean = sum[i] / p.views;
    target[i] = min(2.0 * sqrt(max(squares[i] / p.views - mean * mean, 0.0)), 1.0);
}
