#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// Leaves to a map what another one does not claim.
layout(set = 0, binding = 0) readonly buffer Claim { float claim[]; };
layout(set = 0, binding = 1) buffer Target { float target[]; };
layout(push_constant) uniform Push {
    uint count;
} p;

void main() {
    uint i = element_index();
    if (i >= p.count) return;
    target[i] *= 1.0 - claim[i];
}
