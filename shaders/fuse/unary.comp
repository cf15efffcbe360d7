#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// Energies for the dense CRF from fused maps: background 0, tag t -gain * (map_t - centre). A CRF on raw map values hurts:
// they are no probabilities; the steep logit gives it confident pixels on both sides and doubt only near the outline.
layout(set = 0, binding = 0) readonly buffer Map { float map[]; };
layout(set = 0, binding = 1) buffer Unary { float unary[]; };  // [tags + 1][count]
layout(push_constant) uniform Push {
    uint count, tag;
    float gain, centre;
} p;

void main() {
    uint i = element_index();
    if (i >= p.count) return;
    if (p.tag == 0) unary[i] = 0.0;
    unary[(p.tag + 1) * p.count + i] = -p.gain * (map[i] - p.centre);
}
