#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// Where views disagree, the map moves towards `centre`, at which the CRF's unary is undecided: the logit shrinks by the
// factor 1 - strength * disagreement.
layout(set = 0, binding = 0) readonly buffer Disagreement { float disagreement[]; };
layout(set = 0, binding = 1) buffer Target { float target[]; };
layout(push_constant) uniform Push {
    uint count;
    float strength, centre;
} p;

void main() {
    uint i = element_index();
    if (i >= p.count) return;
    target[i] = mix(target[i], p.centre, p.strength * disagreement[i]);
}
