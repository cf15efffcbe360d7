// Resize of the last two dimensions in one pass; T is float for planes, vec4 for planes of four channels.
// Nearest finds its source with integers, floor((x * mul + add) / div): a float would round ties either way. Linear
// clamps (x * scale + offset) to the image, which is what the standard's edge rule comes to.
#include "nn/common.glsl"
layout(constant_id = 1) const uint MODE = 0u;  // 0 nearest, 1 linear
layout(push_constant) uniform Push {
    uint count;
    ivec2 in_size, out_size;  // H, W
    ivec2 mul, add, div;
    vec2 scale, offset;
};
layout(binding = 0) readonly buffer In {
    T x[];
};
layout(binding = 1) writeonly buffer Out {
    T y[];
};

int source(int at, int m, int a, int d, int size) {
    int n = at * m + a;
    int q = n / d;
    if (q * d > n) q--;
    return clamp(q, 0, size - 1);
}
void main() {
    uint index = thread_index();
    if (index >= count) return;
    int row = int(index) / out_size.y, plane = row / out_size.x;
    ivec2 at = ivec2(row - plane * out_size.x, int(index) - row * out_size.y);
    int base = plane * in_size.x * in_size.y;
    if (MODE == 0u) {
        int r = source(at.x, mul.x, add.x, div.x, in_size.x), c = source(at.y, mul.y, add.y, div.y, in_size.y);
        y[index] = x[base + r * in_size.y + c];
        return;
    }
    vec2 p = clamp(vec2(at) * scale + offset, vec2(0.0), vec2(in_size - 1));
    ivec2 i0 = ivec2(p), i1 = min(i0 + 1, in_size - 1);
    vec2 w = p - vec2(i0);
    int top = base + i0.x * in_size.y, bottom = base + i1.x * in_size.y;
    T upper = mix(x[top + i0.y], x[top + i1.y], w.y), lower = mix(x[bottom + i0.y], x[bottom + i1.y], w.y);
    y[index] = mix(upper, lower, w.x);
}
