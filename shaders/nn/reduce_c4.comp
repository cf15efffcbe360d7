// Mean, sum, maximum or minimum of each plane of a C4 tensor: one thread four channels.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/common.glsl"
#include "nn/unroll.glsl"
layout(constant_id = 1) const uint OP = 0u;  // 0 sum, 1 maximum, 2 minimum
layout(push_constant) uniform Push {
    uint outputs, plane;
    float scale;
};
layout(binding = 0) readonly buffer In {
    vec4 x[];
};
layout(binding = 1) writeonly buffer Out {
    vec4 y[];
};

vec4 combine(vec4 a, vec4 v) {
    return OP == 1u ? max(a, v) : OP == 2u ? min(a, v) : a + v;
}
#define COMBINE(i) part = combine(part, x[base + b + i]);

void main() {
    uint index = thread_index();
    if (index >= outputs) return;
    uint base = index * plane;
    vec4 total = OP == 0u ? vec4(0.0) : x[base];
    for (uint b = 0u; b < plane; b += 256u) {
        uint end = min(256u, plane - b);
        vec4 part = OP == 0u ? vec4(0.0) : total;
        EACH_OF(i, end, COMBINE)
        total = OP == 0u ? total + part : part;
    }
    y[index] = total * scale;
}
