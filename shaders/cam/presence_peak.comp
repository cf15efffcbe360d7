#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// For each class the largest mean of 3x3 neighbours; beyond an edge its positions are repeated. One invocation a class.
layout(set = 0, binding = 0) readonly buffer Shares { float shares[]; };  // [classes][row]
layout(set = 0, binding = 1) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push { uint width, height, row, classes; } p;

void main() {
    uint c = element_index();
    if (c >= p.classes) return;
    float best = 0.0;
    for (uint y = 0; y < p.height; y++) {
        uint base = c * p.row + y * p.width;
        uint above = base - (y > 0u ? p.width : 0u), below = base + (y + 1u < p.height ? p.width : 0u);
        float middle = shares[above] + shares[base] + shares[below], left = middle;
        for (uint x = 0; x < p.width; x++) {
            uint next = min(x + 1u, p.width - 1u);
            float right = shares[above + next] + shares[base + next] + shares[below + next];
            best = max(best, left + middle + right);
            left = middle;
            middle = right;
        }
    }
    target[c] = best / 9.0;
}
