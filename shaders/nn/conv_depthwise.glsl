// Depthwise convolution on C4 tensors: an invocation computes four output pixels of one block of four channels.
// Weights: [block][ky][kx] vec4 of the block's channels.
#include "nn/conv.glsl"

#define EACH(M) M(0) M(1) M(2) M(3)
#define DECLARE(p)                                                                                              \
    int pixel##p = first_pixel + (int(gl_WorkGroupID.x) * 4 + p) * int(gl_WorkGroupSize.x) +                    \
                   int(gl_LocalInvocationID.x);                                                                 \
    ivec2 corner##p = output_position(min(pixel##p, out_plane - 1)) * ivec2(stride_x, stride_y) - ivec2(pad_x, pad_y); \
    vec4 sum##p = bias[block];
#define TAP(p)                                                                                \
    {                                                                                         \
        ivec2 t = corner##p + offset;                                                         \
        bool inside = uint(t.x) < uint(in_width) && uint(t.y) < uint(in_height);              \
        vec4 v = SOURCE(base + (inside ? t.y * in_width + t.x : 0));                          \
        sum##p = fma(inside ? v : vec4(0.0), k, sum##p);                                      \
    }
#define STORE(p) \
    if (pixel##p < out_plane) finish(sum##p, image, block, pixel##p);

void main() {
    int block = int(gl_WorkGroupID.y), image = int(gl_WorkGroupID.z);
    int base = (image * in_blocks + block) * in_plane;
    int w = block * kernel_width * kernel_height;
    EACH(DECLARE)
    for (int ky = 0; ky < kernel_height; ky++) {
        for (int kx = 0; kx < kernel_width; kx++) {
            ivec2 offset = ivec2(kx * dilation_x, ky * dilation_y);
            vec4 k = WEIGHT(w);
            w++;
            EACH(TAP)
        }
    }
    EACH(STORE)
}
