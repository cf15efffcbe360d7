// Depthwise convolution on C4 tensors for kernels of KERNEL x KERNEL with steps of STRIDE: an invocation computes
// CONV_PIXELS neighbours in a row of one block of four channels, so that they share what they load. Sums are added in the
// order of conv_depthwise.glsl: the same bits.
#extension GL_EXT_control_flow_attributes : require
#include "nn/conv.glsl"

void main() {
    int block = int(gl_WorkGroupID.y), image = int(gl_WorkGroupID.z);
    int runs = (out_width + CONV_PIXELS - 1) / CONV_PIXELS;  // of CONV_PIXELS pixels in a row
    int run = first_pixel + int(gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x);
    int y = run / runs, x = (run - y * runs) * CONV_PIXELS;
    int base = (image * in_blocks + block) * in_plane, w = block * KERNEL * KERNEL;
    int left = x * STRIDE - pad_x, top = y * STRIDE - pad_y;
    vec4 sum[CONV_PIXELS];
    [[unroll]] for (int p = 0; p < CONV_PIXELS; p++) sum[p] = bias[block];
    for (int ky = 0; ky < KERNEL; ky++) {
        vec4 k[KERNEL];
        [[unroll]] for (int kx = 0; kx < KERNEL; kx++) k[kx] = WEIGHT(w + kx);
        w += KERNEL;
        bool row = uint(top + ky) < uint(in_height);
        int from = base + (row ? top + ky : 0) * in_width;
        [[unroll]] for (int i = 0; i < (CONV_PIXELS - 1) * STRIDE + KERNEL; i++) {
            bool inside = row && uint(left + i) < uint(in_width);
            vec4 v = SOURCE(from + (inside ? left + i : 0));
            v = inside ? v : vec4(0.0);
            [[unroll]] for (int p = 0; p < CONV_PIXELS; p++) {
                int kx = i - p * STRIDE;
                // What is not computed must have indices of the array all the same: SPIR-V keeps the branch.
                if (kx >= 0 && kx < KERNEL) sum[p] = fma(v, k[clamp(kx, 0, KERNEL - 1)], sum[p]);
            }
        }
    }
    int pixel = y * out_width + x;
    [[unroll]] for (int p = 0; p < CONV_PIXELS; p++)
        if (x + p < out_width && pixel < out_plane) finish(sum[p], image, block, pixel + p);
}
