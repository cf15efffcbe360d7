// The gradient of a convolution's weights, of linear tensors. PASS 0: an invocation sums, for one weight, the products of
// gradient and input over a part of the rows of the output. PASS 1: adds the parts.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/common.glsl"
#include "nn/unroll.glsl"
layout(constant_id = 1) const uint PASS = 0u;
layout(push_constant) uniform Push {
    int weights, parts, rows, rows_a_part;  // rows: of all images
    int in_width, in_height, out_width, out_height;
    int group_in, group_out, groups;  // channels of a group
    int kernel_x, kernel_y, stride_x, stride_y, pad_x, pad_y, dilation_x, dilation_y;
};
layout(binding = 0) readonly buffer Gradient {
    float g[];
};
layout(binding = 1) readonly buffer Source {
    float x[];
};
layout(binding = 2) buffer Parts {
    float sums[];
};
layout(binding = 3) writeonly buffer Target {
    float y[];
};

#define ADD_PART(i) total += sums[int(i) * weights + at];
#define ADD_PRODUCT(i) row += g[from + int(i)] * x[source + int(i) * stride_x];

void main() {
    int index = int(thread_index());
    if (PASS == 1u) {
        int at = index;
        float total = 0.0;
        if (at >= weights) return;
        EACH_OF(i, uint(parts), ADD_PART)
        y[at] = total;
        return;
    }
    if (index >= weights * parts) return;
    int part = index / weights, at = index - part * weights, rest = at / kernel_x, kx = at - rest * kernel_x;
    int ky = rest % kernel_y;
    rest /= kernel_y;
    int i = rest % group_in, o = rest / group_in, channel = o / group_out * group_in + i;
    // Columns whose tap lies in the image.
    int left = kx * dilation_x - pad_x, first = left < 0 ? (-left + stride_x - 1) / stride_x : 0;
    int room = in_width - 1 - left, last = room < 0 ? 0 : min(room / stride_x + 1, out_width);
    float sum = 0.0;
    for (int r = part * rows_a_part; r < min((part + 1) * rows_a_part, rows); r++) {
        int image = r / out_height, oy = r - image * out_height, iy = oy * stride_y - pad_y + ky * dilation_y;
        if (iy < 0 || iy >= in_height || last <= first) continue;
        int from = ((image * group_out * groups + o) * out_height + oy) * out_width + first;
        int source = ((image * group_in * groups + channel) * in_height + iy) * in_width + left + first * stride_x;
        float row = 0.0;
        EACH_OF(c, uint(last - first), ADD_PRODUCT)
        sum += row;
    }
    sums[index] = sum;
}
