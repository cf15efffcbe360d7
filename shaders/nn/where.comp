// Where: condition ? a : b, all three broadcast, linear.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/common.glsl"
layout(constant_id = 1) const uint RANK = 1u;
layout(push_constant) uniform Push {
    uint dim[8];
    uint c_stride[8], a_stride[8], b_stride[8];
};
layout(binding = 0) readonly buffer C {
    uint c[];
};
layout(binding = 1) readonly buffer A {
    uint a[];
};
layout(binding = 2) readonly buffer B {
    uint b[];
};
layout(binding = 3) writeonly buffer Out {
    uint y[];
};

void main() {
    uint i = thread_index(), rest = i, ic = 0u, ia = 0u, ib = 0u;
    for (int d = int(RANK) - 1; d >= 0; d--) {
        uint q = rest / dim[d], at = rest - q * dim[d];
        ic += at * c_stride[d];
        ia += at * a_stride[d];
        ib += at * b_stride[d];
        rest = q;
    }
    if (rest != 0u) return;  // beyond the last element: the outermost dimension overflowed
    y[i] = c[ic] != 0u ? a[ia] : b[ib];
}
