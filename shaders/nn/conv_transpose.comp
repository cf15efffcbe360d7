#version 450
#extension GL_GOOGLE_include_directive : require
// Transposed convolution of linear tensors, weights in ONNX order (C, M/group, kh, kw). An invocation gathers one output
// element: input pixel i and tap k meet at output i * stride - pad + k * dilation.
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint ACT = 0u;

layout(push_constant) uniform Parameters {
    int in_width, in_height;
    int group_in, group_out, groups;  // channels of a group, groups
    int out_width, out_height, out_total;
    int kernel_width, kernel_height, stride_x, stride_y, pad_x, pad_y, dilation_x, dilation_y;
    int has_bias, residual;
    float act_a, act_b;
};
layout(binding = 0, std430) readonly buffer Source {
    float source[];
};
layout(binding = 1, std430) readonly buffer Weights {
    float weights[];
};
layout(binding = 2, std430) readonly buffer Bias {
    float bias[];
};
layout(binding = 3, std430) readonly buffer Residual {
    float residual_values[];
};
layout(binding = 4, std430) writeonly buffer Target {
    float target[];
};
#include "nn/conv_act.glsl"

void main() {
    uint groups_before = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    int at = int(groups_before * gl_WorkGroupSize.x + gl_LocalInvocationID.x);
    if (at >= out_total) return;
    int x = at % out_width, rest = at / out_width;
    int y = rest % out_height;
    rest /= out_height;
    int channels = group_out * groups, channel = rest % channels, image = rest / channels, group = channel / group_out;
    int plane = in_width * in_height, taps = kernel_width * kernel_height;
    int base = (image * groups + group) * group_in * plane;
    int first_weight = (group * group_in * group_out + channel - group * group_out) * taps;
    float sum = has_bias != 0 ? bias[channel] : 0.0;
    for (int ky = 0; ky < kernel_height; ky++) {
        int ty = y + pad_y - ky * dilation_y, iy = ty / stride_y;
        if (ty < 0 || iy * stride_y != ty || iy >= in_height) continue;
        for (int kx = 0; kx < kernel_width; kx++) {
            int tx = x + pad_x - kx * dilation_x, ix = tx / stride_x;
            if (tx < 0 || ix * stride_x != tx || ix >= in_width) continue;
            int from = base + iy * in_width + ix, w = first_weight + ky * kernel_width + kx;
            for (int c = 0; c < group_in; c++) {
                sum = fma(weights[w], source[from], sum);
                from += plane;
                w += group_out * taps;
            }
        }
    }
    if (residual != 0) sum += residual_values[at];
    target[at] = activate(vec4(sum)).x;
}
