// Matrix products over the channels of C4 tensors: a 1x1 convolution with stride 1, or the 36 products of the Winograd
// convolution (groups). An invocation computes CONV_PIXELS pixels (a workgroup's size apart) of two blocks of four
// channels in one plain loop: no tap to compute, and no branch that a CPU device would have to mask.
//
// Weights: [group][tile of 8 output channels][input block][8] vec4 of the block's four input channels.
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint ACT = 0u;
layout(constant_id = 2) const bool RESIDUAL = false;
layout(constant_id = 3) const bool BIASED = true;
layout(constant_id = 4) const bool WHOLE = false;  // pixels fill the workgroups, blocks the tiles and channels the blocks

layout(push_constant) uniform Parameters {
    int plane;                         // pixels
    int in_blocks, out_blocks, tiles;  // of a group
    int groups;                        // of an image
    int first_pixel, out_channels;
    float act_a, act_b;
};

#include "nn/conv_buffers.glsl"
#include "nn/conv_act.glsl"
#define CONV_USED_ID 5
#include "nn/conv_each.glsl"

#define DECLARE(p, a, s, i) \
    vec4 low##p = low_bias, high##p = high_bias; \
    int at##p = base + (WHOLE ? pixel + p * size : min(pixel + p * size, plane - 1));
#define LOAD(p, a, s, i)          \
    vec4 x##p = SOURCE(at##p);    \
    at##p += plane;
#define STORE(p, a, s, i)                                                                    \
    if (WHOLE || (pixel + p * size < plane && a)) {                                          \
        int to = first_target + p * size;                                                    \
        vec4 v = s##p;                                                                       \
        if (RESIDUAL) v += residual_values[to];                                              \
        v = activate(v);                                                                     \
        target[to] = WHOLE ? v : mix(vec4(0.0), v, used);                                    \
    }

void main() {
    int size = int(gl_WorkGroupSize.x), tile = int(gl_WorkGroupID.y), group = int(gl_WorkGroupID.z);
    int pixel = first_pixel + int(gl_WorkGroupID.x) * CONV_PIXELS * size + int(gl_LocalInvocationID.x);
    int base = group * in_blocks * plane, matrix = group % groups;
    int w = (matrix * tiles + tile) * in_blocks * 8;
    vec4 low_bias = vec4(0.0), high_bias = vec4(0.0);
    if (BIASED) {
        low_bias = bias[(matrix * tiles + tile) * 2];
        high_bias = bias[(matrix * tiles + tile) * 2 + 1];
    }
    EACH(DECLARE, 0, 0, 0)
    for (int c = 0; c < in_blocks; c++) {
        EACH(LOAD, 0, 0, 0)
        CONV_CHANNELS
        w += 8;
    }
    int first_target = (group * out_blocks + tile * 2) * plane + pixel;
    bvec4 used = lessThan(ivec4(0, 1, 2, 3), ivec4(out_channels - 8 * tile));
    EACH(STORE, true, low, 0)
    first_target += plane;
    used = lessThan(ivec4(4, 5, 6, 7), ivec4(out_channels - 8 * tile));
    bool second = USED > 4u && tile * 2 + 1 < out_blocks;
    EACH(STORE, second, high, 0)
}
