// MaxPool and AveragePool over the last two dimensions; T is float for planes, vec4 for planes of four channels.
#include "nn/common.glsl"
layout(constant_id = 1) const uint MODE = 0u;  // 0 maximum, 1 mean of the elements inside, 2 mean with the padding
layout(constant_id = 2) const int KERNEL_H = 0;  // 0: from the push constants
layout(constant_id = 3) const int KERNEL_W = 0;
layout(push_constant) uniform Push {
    uint count, column_major;  // column_major: how INDICES number a plane's elements
    ivec2 in_size, out_size;  // H, W
    ivec2 kernel, stride, dilation, begin, end;
};
#include "nn/input.glsl"
layout(binding = 1) writeonly buffer Out {
    T y[];
};
#ifdef INDICES  // where each maximum was found, in the whole tensor
layout(binding = 2) writeonly buffer Indices {
    int found[];
};
#endif

void main() {
    uint index = thread_index();
    if (index >= count) return;
    int row = int(index) / out_size.y, plane = row / out_size.x;
    ivec2 first = ivec2(row - plane * out_size.x, int(index) - row * out_size.y) * stride - begin;
    int kh = KERNEL_H > 0 ? KERNEL_H : kernel.x, kw = KERNEL_W > 0 ? KERNEL_W : kernel.y;
    T result = T(MODE == 0u ? uintBitsToFloat(0xff800000u) : 0.0);
    int inside = 0, padded = 0, best = -1;
    for (int i = 0; i < kh; i++) {
        int r = first.x + i * dilation.x;
        if (r >= in_size.x + end.x) break;
        for (int j = 0; j < kw; j++) {
            int c = first.y + j * dilation.y;
            if (c >= in_size.y + end.y) break;
            padded++;
            if (r < 0 || c < 0 || r >= in_size.x || c >= in_size.y) continue;
            inside++;
            T v = X((plane * in_size.x + r) * in_size.y + c);
#ifdef INDICES
            if (v > result || best < 0) best = column_major != 0u ? c * in_size.x + r : r * in_size.y + c;
#endif
            if (MODE == 0u) result = max(result, v);
            else result += v;
        }
    }
    if (MODE == 1u) result /= float(max(inside, 1));
    if (MODE == 2u) result /= float(max(padded, 1));
#ifdef INDICES
    found[index] = plane * in_size.x * in_size.y + best;
#endif
    y[index] = result;
}
