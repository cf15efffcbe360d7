#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// Packed RGB -> one vec4 a pixel (0..255, w = 0), the image the dense CRF reads.
layout(set = 0, binding = 0) readonly buffer Source { uint source[]; };
layout(set = 0, binding = 1) writeonly buffer Target { vec4 target[]; };
layout(push_constant) uniform Push { uint count; } p;

void main() {
    uint i = element_index();
    if (i >= p.count) return;
    target[i] = vec4(unpack_rgb(source[i]), 0.0);
}
