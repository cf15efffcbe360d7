// Linear output; operands broadcast by strides of 0. Dimensions that could be merged were merged, so the rank is small.
#include "nn/common.glsl"
#include "nn/alarm.glsl"
#include "nn/binary_ops.glsl"
layout(push_constant) uniform Push {
    uint dim[8];
    uint a_stride[8], b_stride[8];
    uint count;  // words
    uint rank;
    float act_a, act_b;
};
layout(binding = 0) readonly buffer A {
    uint a[];
};
layout(binding = 1) readonly buffer B {
    uint b[];
};
layout(binding = 2) writeonly buffer Out {
    uint y[];
};

void main() {
    // Four neighbours a thread, computed as one vector.
    for (uint k = 0u; k < ITEMS; k++) {
        uint first = item_index(k, ITEMS) * 4u;
        if (first >= count) return;
        uvec4 rest = min(first + uvec4(0u, 1u, 2u, 3u), uvec4(count - 1u)), ia = uvec4(0u), ib = uvec4(0u);
        for (int d = int(rank) - 1; d >= 0; d--) {
            uvec4 q = rest / dim[d], at = rest - q * dim[d];
            ia += at * a_stride[d];
            ib += at * b_stride[d];
            rest = q;
        }
        uvec4 va = uvec4(a[ia.x], a[ia.y], a[ia.z], a[ia.w]), vb = uvec4(b[ib.x], b[ib.y], b[ib.z], b[ib.w]);
        uvec4 r = binary(va, vb, act_a, act_b);
        ALARM_IF(is_lost(ivec4(va), ivec4(vb), ivec4(r)))
        y[first] = r.x;
        if (first + 1u < count) y[first + 1u] = r.y;
        if (first + 2u < count) y[first + 2u] = r.z;
        if (first + 3u < count) y[first + 3u] = r.w;
    }
}
