#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// The inverse of image/to_vec4: filters that read many neighbours read a pixel as one word.
layout(set = 0, binding = 0) readonly buffer Source { vec4 source[]; };
layout(set = 0, binding = 1) writeonly buffer Target { uint target[]; };
layout(push_constant) uniform Push { uint count; } p;

void main() {
    uint i = element_index();
    if (i < p.count) target[i] = pack_rgb(source[i].rgb);
}
