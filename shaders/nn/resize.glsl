// Resize of the last two dimensions in one pass; T is float for planes, vec4 for planes of four channels.
// Nearest finds its source with integers, floor((x * mul + add) / div): a float would round ties either way. Linear
// clamps (x * scale + offset) to the image, which is what the standard's edge rule comes to.
#include "nn/common.glsl"
layout(constant_id = 1) const uint MODE = 0u;  // 0 nearest, 1 linear, 2 linear by strips
layout(push_constant) uniform Push {
    uint count;  // threads: elements, or strips of four of them
    ivec2 in_size, out_size;  // H, W
    ivec2 mul, add, div;
    vec2 scale, offset;
};
#include "nn/input.glsl"
layout(binding = 1) writeonly buffer Out {
    T y[];
};

int source(int at, int m, int a, int d, int size) {
    int n = at * m + a;
    int q = n / d;
    if (q * d > n) q--;
    return clamp(q, 0, size - 1);
}
// Enlarging by at least one and a half, four neighbours of a row lie between four columns: a thread reads those once.
// The weight of a column is its distance from the source, counted down from one.
void strip(uint index) {
    int strips = (out_size.y + 3) / 4, row = int(index) / strips, plane = row / out_size.x;
    int out_row = row - plane * out_size.x, first_out = (int(index) - row * strips) * 4;
    float r = clamp(float(out_row) * scale.x + offset.x, 0.0, float(in_size.x - 1));
    int top = int(r), bottom = min(top + 1, in_size.x - 1), base = plane * in_size.x * in_size.y;
    float w = r - float(top), last = float(in_size.y - 1);
    int first = int(clamp(float(first_out) * scale.y + offset.y, 0.0, last));
    ivec4 c = base + min(first + ivec4(0, 1, 2, 3), in_size.y - 1), t = c + top * in_size.y, b = c + bottom * in_size.y;
    T v0 = mix(X(t.x), X(b.x), w), v1 = mix(X(t.y), X(b.y), w), v2 = mix(X(t.z), X(b.z), w), v3 = mix(X(t.w), X(b.w), w);
    for (int k = 0; k < 4; k++) {
        if (first_out + k >= out_size.y) return;
        float p = clamp(float(first_out + k) * scale.y + offset.y, 0.0, last) - float(first);
        vec4 d = max(1.0 - abs(p - vec4(0.0, 1.0, 2.0, 3.0)), vec4(0.0));
        y[row * out_size.y + first_out + k] = v0 * d.x + v1 * d.y + v2 * d.z + v3 * d.w;
    }
}
void main() {
    uint index = thread_index();
    if (index >= count) return;
    if (MODE == 2u) {
        strip(index);
        return;
    }
    int row = int(index) / out_size.y, plane = row / out_size.x;
    ivec2 at = ivec2(row - plane * out_size.x, int(index) - row * out_size.y);
    int base = plane * in_size.x * in_size.y;
    if (MODE == 0u) {
        int r = source(at.x, mul.x, add.x, div.x, in_size.x), c = source(at.y, mul.y, add.y, div.y, in_size.y);
        y[index] = X(base + r * in_size.y + c);
        return;
    }
    vec2 p = clamp(vec2(at) * scale + offset, vec2(0.0), vec2(in_size - 1));
    ivec2 i0 = ivec2(p), i1 = min(i0 + 1, in_size - 1);
    vec2 w = p - vec2(i0);
    int top = base + i0.x * in_size.y, bottom = base + i1.x * in_size.y;
    T upper = mix(X(top + i0.y), X(top + i1.y), w.y), lower = mix(X(bottom + i0.y), X(bottom + i1.y), w.y);
    y[index] = mix(upper, lower, w.x);
}
