// The gradient of a depthwise convolution's input, on C4 tensors: an invocation gathers one pixel of four channels from the
// outputs that it was part of. Weights as in conv_depthwise.glsl.
#include "nn/common.glsl"
layout(constant_id = 1) const bool RESIDUAL = false;
layout(constant_id = 2) const bool DILATED = false;
layout(push_constant) uniform Push {
    int count, blocks;
    ivec2 size, from_size, kernel, stride, pad, dilation;  // x, y
    ivec2 period, back;  // taps that an element meets are `period` apart, and the outputs that they belong to `back`
};
#include "nn/conv_reads.glsl"
layout(binding = 2) readonly buffer Residual {
    vec4 residual[];
};
layout(binding = 3) writeonly buffer Target {
    vec4 target[];
};

// The first tap that meets an output at `at`, which counts from the padding; period: there is none.
int first_tap(int at, int tap_period, int step, int apart) {
    if (!DILATED) return at - at / step * step;
    int tap = 0;
    while (tap < tap_period && (at - tap * apart) % step != 0) tap++;
    return tap;
}

void main() {
    int at = int(thread_index());
    if (at >= count) return;
    int row = at / size.x, plane = row / size.y;
    ivec2 place = ivec2(at - row * size.x, row - plane * size.y) + pad;
    ivec2 first = ivec2(first_tap(place.x, period.x, stride.x, dilation.x), first_tap(place.y, period.y, stride.y, dilation.y));
    // Rounded down also below zero, where nothing is.
    ivec2 from = (place - first * dilation + stride * kernel * dilation) / stride - kernel * dilation;
    int base = plane * from_size.x * from_size.y, w = plane % blocks * kernel.x * kernel.y;
    vec4 sum = RESIDUAL ? residual[at] : vec4(0.0);
    bvec2 any = lessThan(first, period);
    for (int i = 0; i * period.y < kernel.y; i++) {
        int ky = first.y + i * period.y, oy = from.y - i * back.y;
        bool in_row = all(any) && ky < kernel.y && uint(oy) < uint(from_size.y);
        for (int j = 0; j * period.x < kernel.x; j++) {
            int kx = first.x + j * period.x, ox = from.x - j * back.x;
            bool meets = in_row && kx < kernel.x && uint(ox) < uint(from_size.x);
            vec4 g = SOURCE(base + (meets ? oy * from_size.x + ox : 0));
            vec4 k = WEIGHT(w + (meets ? ky * kernel.x + kx : 0));
            sum = fma(meets ? k : vec4(0.0), g, sum);
        }
    }
    target[at] = sum;
}
