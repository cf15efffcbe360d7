// Direct convolution on C4 tensors: an invocation computes CONV_PIXELS output pixels (a workgroup's size apart) of two
// blocks of four channels. Sums stay in registers; every loaded input vector serves 8 channels and every loaded weight
// vector CONV_PIXELS pixels. Loops over kernel and channels have uniform run-time bounds, which keeps the shader small.
//
// Weights: [group][tile of 8 output channels][ky][kx][input block][8] vec4 of the block's four input channels.
#include "nn/conv.glsl"
layout(constant_id = 2) const bool PADDED = true;  // false: no tap ever lies outside of the input

#define CONV_USED_ID 3
#include "nn/conv_each.glsl"

#define DECLARE(p, a, s, i)                                                                                     \
    int pixel##p = first_pixel + (int(gl_WorkGroupID.x) * CONV_PIXELS + p) * int(gl_WorkGroupSize.x) +          \
                   int(gl_LocalInvocationID.x);                                                                 \
    ivec2 corner##p = output_position(min(pixel##p, out_plane - 1)) * ivec2(stride_x, stride_y) - ivec2(pad_x, pad_y); \
    vec4 low##p = low_bias, high##p = high_bias;                                                                \
    int at##p;                                                                                                  \
    bool inside##p;                                                                                             \
    vec4 x##p;
// Where the tap lies; outside taps read element 0 and are zeroed.
#define TAP(p, a, s, i)                                                                                   \
    {                                                                                                     \
        ivec2 t = corner##p + ivec2(kx * dilation_x, ky * dilation_y);                                    \
        inside##p = uint(t.x) < uint(in_width) && uint(t.y) < uint(in_height);                            \
        at##p = base + (PADDED && !inside##p ? 0 : t.y * in_width + t.x);                                 \
    }
#define LOAD(p, a, s, i)                          \
    x##p = SOURCE(at##p);                         \
    if (PADDED) x##p = inside##p ? x##p : vec4(0.0); \
    at##p += in_plane;
#define STORE(p, a, s, i)                                                    \
    if (pixel##p < out_plane) {                                              \
        finish(low##p, image, block, pixel##p);                              \
        if (two_blocks) finish(high##p, image, block + 1, pixel##p);         \
    }

void main() {
    int tile = int(gl_WorkGroupID.y), image = int(gl_WorkGroupID.z);
    int group = tile / group_tiles, group_block = (tile - group * group_tiles) * 2;
    int block = group * group_out_blocks + group_block;
    bool two_blocks = USED > 4u && group_block + 1 < group_out_blocks;
    vec4 low_bias = vec4(0.0), high_bias = vec4(0.0);
    if (biased != 0) {
        low_bias = bias[tile * 2];
        high_bias = bias[tile * 2 + 1];
    }
    int base = (image * in_blocks + group * group_in_blocks) * in_plane;
    int w = tile * kernel_width * kernel_height * group_in_blocks * 8;
    EACH(DECLARE, 0, 0, 0)
    for (int ky = 0; ky < kernel_height; ky++) {
        for (int kx = 0; kx < kernel_width; kx++) {
            EACH(TAP, 0, 0, 0)
            for (int c = 0; c < group_in_blocks; c++) {
                EACH(LOAD, 0, 0, 0)
                CONV_CHANNELS
                w += 8;
            }
        }
    }
    EACH(STORE, 0, 0, 0)
}
