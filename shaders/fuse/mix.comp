#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// Saliency sources mixed by how well each agrees with the CAM: weights (g + 0.001)^3, g = mean of the source where the
// CAM is high. Sources are planes of one buffer; their (sum, count) are scalars[slot .. slot + sources - 1].
layout(set = 0, binding = 0) readonly buffer Sources { float sources[]; };
layout(set = 0, binding = 1) readonly buffer Scalars { vec2 scalars[]; };
layout(set = 0, binding = 2) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push { uint count, stride, slot, sources; } p;

void main() {
    uint i = element_index();
    if (i >= p.count) return;
    float sum = 0.0, norm = 0.0;
    for (uint s = 0; s < p.sources; s++) {
        vec2 agreement = scalars[p.slot + s];
        float g = agreement.x / max(agreement.y, 1.0) + 0.001;
        float weight = g * g * g;
        sum = fma(weight, sources[s * p.stride + i], sum);
        norm += weight;
    }
    target[i] = sum / norm;
}
