#version 450
#extension GL_GOOGLE_include_directive : require
#include "refine/filter.glsl"
// Joint bilateral filter of a map on the photo (Petschnigg et al., "Digital Photography with Flash and No-Flash Image
// Pairs", SIGGRAPH 2004): the mean over a window, weighted by distance and by likeness of colour.
layout(set = 0, binding = 1) readonly buffer Map { float map[]; };
layout(set = 0, binding = 2) writeonly buffer Target { float target[]; };

void main() {
    uint i = p.first + element_index();
    if (element_index() >= p.count) return;
    uint y = i / p.width, x = i - y * p.width;
    uvec2 rows = window(y, p.height), columns = window(x, p.width);
    vec3 own = unpack_rgb(guide[i]);
    float sum = 0.0, norm = 0.0;
    for (uint v = rows.x; v <= rows.y; v++) {
        for (uint u = columns.x; u <= columns.y; u++) {
            uint at = v * p.width + u;
            vec3 d = unpack_rgb(guide[at]) - own;
            vec2 apart = vec2(float(u), float(v)) - vec2(float(x), float(y));
            float weight = exp(p.far * dot(apart, apart) + p.unlike * dot(d, d));
            sum += weight * map[at];
            norm += weight;
        }
    }
    target[i] = sum / norm;
}
