// Pad and Tile over elements of type T: every output coordinate is brought back into the input, or takes the constant.
#include "nn/common.glsl"
layout(constant_id = 1) const uint MODE = 0u;  // 0 constant, 1 reflect, 2 edge, 3 wrap
layout(push_constant) uniform Push {
    uint in_dim[8], out_dim[8];
    int begin[8];
    uint count, value, rank;
};
layout(binding = 0) readonly buffer In {
    T x[];
};
layout(binding = 1) writeonly buffer Out {
    T y[];
};

// Reflection about the first and last element, as often as the padding needs.
int reflect_index(int i, int n) {
    int period = max(2 * (n - 1), 1);
    i = abs(i) % period;
    return i < n ? i : period - i;
}
void main() {
    uint index = thread_index(), rest = index, from = 0u, scale = 1u;
    if (index >= count) return;
    bool inside = true;
    for (int d = int(rank) - 1; d >= 0; d--) {
        uint q = rest / out_dim[d];
        int n = int(in_dim[d]), i = int(rest - q * out_dim[d]) - begin[d];
        rest = q;
        if (MODE == 0u) inside = inside && i >= 0 && i < n;
        if (MODE == 1u) i = reflect_index(i, n);
        if (MODE == 3u) i = ((i % n) + n) % n;
        from += uint(clamp(i, 0, n - 1)) * scale;
        scale *= in_dim[d];
    }
    if (MODE != 0u || inside) y[index] = x[from];
    else y[index] = T(value);
}
