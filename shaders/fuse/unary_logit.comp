#version 450
#extension GL_GOOGLE_include_directive : require
#include "fuse/unary.glsl"
// Energies for the dense CRF from fused maps: background 0, tag t -gain * (map_t - centre). A CRF on raw map values hurts:
// they are no probabilities; the steep logit gives it confident pixels on both sides and doubt only near the outline.
void main() {
    uint i = element_index();
    if (i >= p.count * (p.tags + 1)) return;
    uint label = i / p.count, pixel = i - label * p.count;
    unary[i] = label == 0 ? 0.0 : -p.gain * (maps[(label - 1) * p.stride + pixel] - p.centre);
}
