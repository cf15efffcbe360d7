#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// A further map joins one of 0..1: MODE 0 the larger of both, max(target, weight * source); MODE 1 what both have,
// target^(1 - weight) * source^weight.
layout(constant_id = 0) const uint MODE = 0;
layout(set = 0, binding = 0) readonly buffer Source { float source[]; };
layout(set = 0, binding = 1) buffer Target { float target[]; };
layout(push_constant) uniform Push {
    uint count;
    float weight;
} p;

void main() {
    uint i = element_index();
    if (i >= p.count) return;
    float a = target[i], b = source[i];
    // pow(0, 0) is undefined in GLSL.
    target[i] = MODE == 0 ? max(a, p.weight * b) : pow(max(a, 1e-12), 1.0 - p.weight) * pow(max(b, 1e-12), p.weight);
}
