#include "ref_conv.h"

#include <stdlib.h>

int ref_conv_out_height(const ref_conv *c) {
    int reach = c->dilation_y * (c->kernel_height - 1) + 1;
    return (c->in_height + c->pad_top + c->pad_bottom - reach) / c->stride_y + 1;
}

int ref_conv_out_width(const ref_conv *c) {
    int reach = c->dilation_x * (c->kernel_width - 1) + 1;
    return (c->in_width + c->pad_left + c->pad_right - reach) / c->stride_x + 1;
}

static double at(const ref_conv *c, const float *plane, const float *kernel, int y, int x) {
    double sum = 0;
    for (int ky = 0; ky < c->kernel_height; ky++) {
        int iy = y * c->stride_y - c->pad_top + ky * c->dilation_y;
        if (iy < 0 || iy >= c->in_height) continue;
        for (int kx = 0; kx < c->kernel_width; kx++) {
            int ix = x * c->stride_x - c->pad_left + kx * c->dilation_x;
            if (ix < 0 || ix >= c->in_width) continue;
            sum += (double)plane[iy * c->in_width + ix] * kernel[ky * c->kernel_width + kx];
        }
    }
    return sum;
}

float *ref_conv_run(const ref_conv *c, const float *x, const float *weights, const float *bias) {
    int height = ref_conv_out_height(c), width = ref_conv_out_width(c);
    int in = c->in_channels / c->groups, out = c->out_channels / c->groups, taps = c->kernel_height * c->kernel_width;
    float *y = malloc(sizeof *y * (size_t)(c->batch * c->out_channels * height * width) + 4), *next = y;
    if (!y) abort();
    for (int n = 0; n < c->batch; n++)
        for (int m = 0; m < c->out_channels; m++)
            for (int p = 0; p < height * width; p++) {
                double sum = bias ? bias[m] : 0;
                for (int i = 0; i < in; i++) {
                    const float *plane =
                        x + (size_t)((n * c->in_channels + m / out * in + i) * c->in_height * c->in_width);
                    sum += at(c, plane, weights + (size_t)((m * in + i) * taps), p / width, p % width);
                }
                *next++ = (float)sum;
            }
    return y;
}
