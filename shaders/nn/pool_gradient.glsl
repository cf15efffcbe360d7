// The gradient of MaxPool and AveragePool over the last two dimensions. T is float for planes and vec4 for planes of four
// channels, I int or ivec4. PASS 0, for maxima: where each window has its first maximum, by the position in the plane.
// PASS 1: an element of the input gathers from the windows that it lies in.
#include "nn/common.glsl"
layout(constant_id = 1) const uint PASS = 0u;
layout(constant_id = 2) const uint MODE = 0u;  // 0 maximum, 1 mean of the elements inside, 2 mean with the padding
layout(push_constant) uniform Push {
    uint count, unused;
    ivec2 in_size, out_size;  // H, W
    ivec2 kernel, stride, dilation, begin, end;
};
layout(binding = 0) readonly buffer In {
    T x[];  // the input in pass 0, the gradient in pass 1
};
layout(binding = 1) buffer Found {
    I found[];
};
layout(binding = 2) writeonly buffer Out {
    T y[];
};

// mix() with a condition for each channel, also of one.
float choose(float a, float b, bool second) {
    return second ? b : a;
}
int choose(int a, int b, bool second) {
    return second ? b : a;
}
vec4 choose(vec4 a, vec4 b, bvec4 second) {
    return mix(a, b, second);
}
ivec4 choose(ivec4 a, ivec4 b, bvec4 second) {
    return mix(a, b, second);
}

void find(uint index) {
    int row = int(index) / out_size.y, plane = row / out_size.x;
    ivec2 first = ivec2(row - plane * out_size.x, int(index) - row * out_size.y) * stride - begin;
    T best = T(0.0);
    I at = I(-1);
    for (int i = 0; i < kernel.x; i++) {
        int r = first.x + i * dilation.x;
        if (r < 0 || r >= in_size.x) continue;
        for (int j = 0; j < kernel.y; j++) {
            int c = first.y + j * dilation.y;
            if (c < 0 || c >= in_size.y) continue;
            T v = x[(plane * in_size.x + r) * in_size.y + c];
            BOOL larger = LARGER(v, best, at);
            best = choose(best, v, larger);
            at = choose(at, I(r * in_size.y + c), larger);
        }
    }
    found[index] = at;
}
// How many positions of a window along one axis count.
int positions(int first, int taps, int step, int low, int high) {
    int n = 0;
    for (int i = 0; i < taps; i++) {
        int at = first + i * step;
        if (at >= low && at < high) n++;
    }
    return n;
}
int divisor(ivec2 window) {
    ivec2 first = window * stride - begin, low = MODE == 1u ? ivec2(0) : first,
          high = MODE == 1u ? in_size : in_size + end;
    return max(positions(first.x, kernel.x, dilation.x, low.x, high.x) *
               positions(first.y, kernel.y, dilation.y, low.y, high.y), 1);
}
void gather(uint index) {
    int row = int(index) / in_size.y, plane = row / in_size.x;
    ivec2 at = ivec2(row - plane * in_size.x, int(index) - row * in_size.y);
    T sum = T(0.0);
    for (int i = 0; i < kernel.x; i++) {
        int r = at.x + begin.x - i * dilation.x, wr = r / stride.x;
        if (r < 0 || wr * stride.x != r || wr >= out_size.x) continue;
        for (int j = 0; j < kernel.y; j++) {
            int c = at.y + begin.y - j * dilation.y, wc = c / stride.y;
            if (c < 0 || wc * stride.y != c || wc >= out_size.y) continue;
            int window = (plane * out_size.x + wr) * out_size.y + wc;
            T g = x[window];
            if (MODE == 0u) sum += choose(T(0.0), g, SAME(found[window], I(at.x * in_size.y + at.y)));
            else sum += g / float(divisor(ivec2(wr, wc)));
        }
    }
    y[index] = sum;
}

void main() {
    uint index = thread_index();
    if (index >= count) return;
    if (PASS == 0u) find(index);
    else gather(index);
}
