// Strided copy of elements of type T: transposition, slices, concatenation, broadcasting. Strides count elements and
// wrap modulo 2^32, so negative steps are large strides.
#include "nn/common.glsl"
layout(constant_id = 1) const uint ITEMS = 1u;
layout(push_constant) uniform Push {
    uint dim[8];
    uint in_stride[8], out_stride[8];
    uint in_offset, out_offset, count, rank;
};
layout(binding = 0) readonly buffer In {
    T x[];
};
layout(binding = 1) writeonly buffer Out {
    T y[];
};

void main() {
    for (uint k = 0u; k < ITEMS; k++) {
        uint rest = item_index(k, ITEMS);
        if (rest >= count) return;
        uint from = in_offset, to = out_offset;
        for (int d = int(rank) - 1; d > 0; d--) {
            uint q = rest / dim[d], at = rest - q * dim[d];
            from += at * in_stride[d];
            to += at * out_stride[d];
            rest = q;
        }
        y[to + rest * out_stride[0]] = x[from + rest * in_stride[0]];
    }
}
