// Operands of the output's shape and layout, or that repeat themselves: a single element, one row, or a column of one
// element for each row. Rows are whole vectors then.
#include "nn/common.glsl"
#define COMMON
#include "nn/binary_ops.glsl"
layout(constant_id = 5) const uint A_FORM = 0u;  // 0 full, 1 an element, 2 a row, 3 a column
layout(constant_id = 6) const uint B_FORM = 0u;
layout(constant_id = 7) const bool MASK = false;
layout(push_constant) uniform Push {
    uint count;  // vec4s
    uint plane, blocks, tail;  // plane: vec4s of a channel block, or of a row
    float act_a, act_b;
};
#include "nn/binary_inputs.glsl"
layout(binding = 2) writeonly buffer Out {
    uvec4 y[];
};

uint place(uint form, uint i) {
    return form == 0u ? i : form == 1u ? 0u : form == 2u ? i % plane : i / plane / 4u;
}
uvec4 spread(uint form, uvec4 v, uint i) {
    if (form == 1u) return v.xxxx;
    if (form != 3u) return v;
    uint lane = i / plane & 3u;
    return uvec4((lane & 2u) != 0u ? ((lane & 1u) != 0u ? v.w : v.z) : (lane & 1u) != 0u ? v.y : v.x);
}

void main() {
    for (uint k = 0u; k < ITEMS; k++) {
        uint i = item_index(k, ITEMS);
        if (i >= count) return;
        uvec4 r = binary(spread(A_FORM, A(place(A_FORM, i)), i), spread(B_FORM, B(place(B_FORM, i)), i), act_a, act_b);
        y[i] = MASK ? c4_mask(r, i, plane, blocks, tail) : r;
    }
}
