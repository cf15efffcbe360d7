#version 450
#extension GL_GOOGLE_include_directive : require
#include "refine/filter.glsl"
// Second pass of the guided filter: sums over the window's columns, then the window's linear model m = a . I + b with
// a = (cov(I) + eps)^-1 cov(I, m), by the LDL^T decomposition of the symmetric 3 x 3 matrix.
layout(set = 0, binding = 1) readonly buffer Means { vec4 means[]; };  // as guided_rows wrote them
layout(set = 0, binding = 2) readonly buffer Squares { vec4 squares[]; };
layout(set = 0, binding = 3) readonly buffer Mixed { vec4 mixtures[]; };
layout(set = 0, binding = 4) readonly buffer Last { float lasts[]; };
layout(set = 0, binding = 5) writeonly buffer Models { vec4 models[]; };  // (a, b)

void main() {
    uint i = p.first + element_index();
    if (element_index() >= p.count) return;
    uint y = i / p.width, x = i - y * p.width;
    uvec2 rows = window(y, p.height), columns = window(x, p.width);
    vec4 mean = vec4(0.0), square = vec4(0.0), mixed = vec4(0.0);
    float last = 0.0;
    for (uint v = rows.x; v <= rows.y; v++) {
        uint at = v * p.width + x;
        mean += means[at];
        square += squares[at];
        mixed += mixtures[at];
        last += lasts[at];
    }
    float scale = 1.0 / float((rows.y - rows.x + 1) * (columns.y - columns.x + 1));
    mean *= scale;
    square *= scale;
    mixed *= scale;
    last *= scale;
    vec3 along = square.rgb - mean.rgb * mean.rgb + p.eps;
    vec3 across = mixed.xyz - mean.rrg * mean.gbb;  // rg, rb, gb
    vec3 right = vec3(square.w, mixed.w, last) - mean.rgb * mean.w;
    float l21 = across.x / along.x, l31 = across.y / along.x;
    float d2 = along.y - l21 * across.x, rest = across.z - l31 * across.x, l32 = rest / d2;
    float d3 = along.z - l31 * across.y - l32 * rest;
    float z2 = right.y - l21 * right.x, z3 = right.z - l31 * right.x - l32 * z2;
    vec3 a;
    a.z = z3 / d3;
    a.y = z2 / d2 - l32 * a.z;
    a.x = right.x / along.x - l21 * a.y - l31 * a.z;
    models[i] = vec4(a, mean.w - dot(a, mean.rgb));
}
