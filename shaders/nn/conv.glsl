// Shared by the convolution shaders: parameters, input and weight access, and what happens to a finished vector.
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint ACT = 0u;

layout(push_constant) uniform Parameters {
    int in_width, in_height, in_plane;  // in_plane = in_width * in_height
    int in_blocks;                      // blocks of four channels of the whole input
    int out_width, out_plane, out_blocks;
    int kernel_width, kernel_height, stride_x, stride_y, pad_x, pad_y, dilation_x, dilation_y;
    int group_in_blocks, group_out_blocks, group_tiles;
    int first_pixel;   // of this dispatch
    int out_channels;  // the last block may have fewer than four
    int residual;      // 1: add binding 3
    int biased;        // 0: binding 2 is not read
    float act_a, act_b;
    float inverse_out_width;
};

#include "nn/conv_buffers.glsl"
#include "nn/conv_act.glsl"

// x and y of an output pixel. An integer division costs a loop over the lanes on CPU devices; the float quotient is off
// by at most one for planes below 2^24 pixels.
ivec2 output_position(int pixel) {
    int y = int(float(pixel) * inverse_out_width);
    int x = pixel - y * out_width;
    if (x < 0) {
        y--;
        x += out_width;
    } else if (x >= out_width) {
        y++;
        x -= out_width;
    }
    return ivec2(x, y);
}

// Residual, activation and the zeroes that pad the channels; block counts within the image, pixel within the plane.
void finish(vec4 v, int image, int block, int pixel) {
    int at = (image * out_blocks + block) * out_plane + pixel;
    if (residual != 0) v += residual_values[at];
    v = activate(v);
    int left = out_channels - 4 * block;
    if (left < 4) v = mix(vec4(0.0), v, lessThan(ivec4(0, 1, 2, 3), ivec4(left)));
    target[at] = v;
}
