// Last stage of a transposed convolution: an invocation takes one vector of the output out of the plane that holds its
// phase (its place within the stride), and adds residual and activation.
#include "nn/common.glsl"
layout(constant_id = 1) const uint ACT = 0u;
layout(constant_id = 2) const bool RESIDUAL = false;

layout(push_constant) uniform Parameters {
    int width, height, blocks, count;  // of the output; its vectors in all
    int stride_x, stride_y, grid_width, grid_height, out_channels;
    float act_a, act_b;
};
#define T vec4
#include "nn/input.glsl"  // [image][phase][block][grid]
layout(binding = 1, std430) readonly buffer Residual {
    vec4 residual_values[];
};
layout(binding = 2, std430) writeonly buffer Target {
    vec4 target[];
};
#include "nn/conv_act.glsl"

void main() {
    int at = int(thread_index());
    if (at >= count) return;
    int row = at / width, plane = row / height, image = plane / blocks, block = plane - image * blocks;
    int px = at - row * width, py = row - plane * height, gx = px / stride_x, gy = py / stride_y;
    int phase = (py - gy * stride_y) * stride_x + px - gx * stride_x;
    int from = (image * stride_x * stride_y + phase) * blocks + block;
    vec4 v = X((from * grid_height + gy) * grid_width + gx);
    if (RESIDUAL) v += residual_values[at];
    bvec4 used = lessThan(ivec4(0, 1, 2, 3), ivec4(out_channels - 4 * block));
    target[at] = mix(vec4(0.0), activate(v), used);
}
