// Two operands of the output's shape and layout, or one of them a single element.
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
#include "nn/binary_inputs.glsl"
layout(binding = 2) writeonly buffer Out {
    uvec4 y[];
};

void main() {
    for (uint k = 0u; k < ITEMS; k++) {
        uint i = item_index(k, ITEMS);
        if (i >= count) return;
        uvec4 va = A(A_ONE ? 0u : i);
        uvec4 vb = B(B_ONE ? 0u : i);
        if (A_ONE) va = va.xxxx;
        if (B_ONE) vb = vb.xxxx;
        uvec4 r = binary(va, vb, act_a, act_b);
        y[i] = MASK ? c4_mask(r, i, plane, blocks, tail) : r;
    }
}
