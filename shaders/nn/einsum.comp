// Einsum of one or two operands: y[kept labels] = sum over the other labels of a[...] * b[...]. Each label has a stride in
// each operand: 0 where it does not occur, the sum of its strides where it occurs twice (a diagonal).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/common.glsl"
layout(constant_id = 1) const bool PAIR = false;  // there is a second operand
layout(push_constant) uniform Push {
    uint dim[8], a_stride[8], b_stride[8];
    uint kept, labels;     // kept labels come first
    uint outputs, length;  // terms of each sum
};
layout(binding = 0) readonly buffer A {
    float a[];
};
layout(binding = 1) readonly buffer B {
    float b[];
};
layout(binding = 2) writeonly buffer Out {
    float y[];
};

void offsets(uint first, uint last, uint rest, inout uint ia, inout uint ib) {
    for (uint d = last; d-- > first;) {
        uint q = rest / dim[d], at = rest - q * dim[d];
        ia += at * a_stride[d];
        ib += at * b_stride[d];
        rest = q;
    }
}
void main() {
    uint i = thread_index(), base_a = 0u, base_b = 0u;
    if (i >= outputs) return;
    offsets(0u, kept, i, base_a, base_b);
    float total = 0.0;
    for (uint block = 0u; block < length; block += 256u) {  // blocks keep the rounding error small
        float part = 0.0;
        uint end = min(block + 256u, length);
        for (uint t = block; t < end; t++) {
            uint ia = base_a, ib = base_b;
            offsets(kept, labels, t, ia, ib);
            part += PAIR ? a[ia] * b[ib] : a[ia];
        }
        total += part;
    }
    y[i] = total;
}
