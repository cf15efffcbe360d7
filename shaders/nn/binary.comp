// Two operands of the output's shape and layout, or one of them a single element.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/common.glsl"
#define COMMON
#include "nn/binary_ops.glsl"
layout(constant_id = 5) const bool A_ONE = false;
layout(constant_id = 6) const bool B_ONE = false;
layout(constant_id = 7) const bool MASK = false;
layout(push_constant) uniform Push {
    uint count;  // vec4s
    uint plane, blocks, tail;
    float act_a, act_b;
};
layout(binding = 0) readonly buffer A {
    uvec4 a[];
};
layout(binding = 1) readonly buffer B {
    uvec4 b[];
};
layout(binding = 2) writeonly buffer Out {
    uvec4 y[];
};

void main() {
    for (uint k = 0u; k < ITEMS; k++) {
        uint i = item_index(k, ITEMS);
        if (i >= count) return;
        uvec4 va = A_ONE ? a[0].xxxx : a[i];
        uvec4 vb = B_ONE ? b[0].xxxx : b[i];
        uvec4 r = binary(va, vb, act_a, act_b);
        y[i] = MASK ? c4_mask(r, i, plane, blocks, tail) : r;
    }
}
