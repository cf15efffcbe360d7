#version 450
#extension GL_GOOGLE_include_directive : require
#include "refine/filter.glsl"
// Guided filter (He, Sun and Tang, "Guided Image Filtering", TPAMI 2013) of a map m with a colour guide I, first of four
// passes: sums over the window's row of m, I, I I^T and I m.
layout(set = 0, binding = 1) readonly buffer Map { float map[]; };
layout(set = 0, binding = 2) writeonly buffer Means { vec4 means[]; };      // I, m
layout(set = 0, binding = 3) writeonly buffer Squares { vec4 squares[]; };  // rr, gg, bb, m r
layout(set = 0, binding = 4) writeonly buffer Mixed { vec4 mixtures[]; };   // rg, rb, gb, m g
layout(set = 0, binding = 5) writeonly buffer Last { float lasts[]; };      // m b

void main() {
    uint i = p.first + element_index();
    if (element_index() >= p.count) return;
    uint x = i % p.width, row = i - x;
    uvec2 columns = window(x, p.width);
    vec4 mean = vec4(0.0), square = vec4(0.0), mixed = vec4(0.0);
    float last = 0.0;
    for (uint u = columns.x; u <= columns.y; u++) {
        vec3 c = centred(guide[row + u]);
        float m = map[row + u];
        mean += vec4(c, m);
        square += vec4(c * c, m * c.r);
        mixed += vec4(c.r * c.g, c.r * c.b, c.g * c.b, m * c.g);
        last += m * c.b;
    }
    means[i] = mean;
    squares[i] = square;
    mixtures[i] = mixed;
    lasts[i] = last;
}
