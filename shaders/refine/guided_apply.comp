#version 450
#extension GL_GOOGLE_include_directive : require
#include "refine/filter.glsl"
// Last pass of the guided filter: the mean of the models of all windows that a pixel lies in, at its colour.
layout(set = 0, binding = 1) readonly buffer Sums { vec4 sums[]; };
layout(set = 0, binding = 2) writeonly buffer Map { float map[]; };

void main() {
    uint i = p.first + element_index();
    if (element_index() >= p.count) return;
    uint y = i / p.width, x = i - y * p.width;
    uvec2 rows = window(y, p.height), columns = window(x, p.width);
    vec4 model = vec4(0.0);
    for (uint v = rows.x; v <= rows.y; v++) model += sums[v * p.width + x];
    model *= 1.0 / float((rows.y - rows.x + 1) * (columns.y - columns.x + 1));
    map[i] = clamp(dot(model.rgb, centred(guide[i])) + model.a, 0.0, 1.0);
}
