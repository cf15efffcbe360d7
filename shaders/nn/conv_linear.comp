#version 450
#extension GL_GOOGLE_include_directive : require
// Convolution of linear tensors with weights in ONNX order (M, C/group, kh, kw), one invocation an output element: the
// fallback for weights that are computed at run time, for one-dimensional signals and for groups that do not fill
// blocks of four channels.
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
    int channels = group_out * groups, channel = rest % channels, image = rest / channels;
    int base = (image * groups + channel / group_out) * group_in * in_height * in_width;
    int w = channel * group_in * kernel_height * kernel_width;
    float sum = has_bias != 0 ? bias[channel] : 0.0;
    for (int c = 0; c < group_in; c++) {
        for (int ky = 0; ky < kernel_height; ky++) {
            int iy = y * stride_y - pad_y + ky * dilation_y;
            for (int kx = 0; kx < kernel_width; kx++) {
                int ix = x * stride_x - pad_x + kx * dilation_x;
                if (uint(ix) < uint(in_width) && uint(iy) < uint(in_height))
                    sum = fma(weights[w], source[base + iy * in_width + ix], sum);
                w++;
            }
        }
        base += in_height * in_width;
    }
    if (residual != 0) sum += residual_values[at];
    target[at] = activate(vec4(sum)).x;
}
