#version 450
#extension GL_GOOGLE_include_directive : require
#include "refine/filter.glsl"
// Third pass of the guided filter: sums of the models over the window's row.
layout(set = 0, binding = 1) readonly buffer Models { vec4 models[]; };
layout(set = 0, binding = 2) writeonly buffer Sums { vec4 sums[]; };

void main() {
    uint i = p.first + element_index();
    if (element_index() >= p.count) return;
    uint x = i % p.width, row = i - x;
    uvec2 columns = window(x, p.width);
    vec4 sum = vec4(0.0);
    for (uint u = columns.x; u <= columns.y; u++) sum += models[row + u];
    sums[i] = sum;
}
