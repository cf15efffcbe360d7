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

// Adds one input pixel to every output it reaches.
static void scatter(const ref_conv *c, int out_height, int out_width, const float *kernel, float v, int iy, int ix,
                    double *plane) {
    for (int ky = 0; ky < c->kernel_height; ky++)
        for (int kx = 0; kx < c->kernel_width; kx++) {
            int y = iy * c->stride_y - c->pad_top + ky * c->dilation_y;
            int x = ix * c->stride_x - c->pad_left + kx * c->dilation_x;
            if (y < 0 || y >= out_height || x < 0 || x >= out_width) continue;
            plane[y * out_width + x] += (double)v * kernel[ky * c->kernel_width + kx];
        }
}

float *ref_conv_transpose(const ref_conv *c, int out_height, int out_width, const float *x, const float *weights,
                          const float *bias) {
    int in = c->in_channels / c->groups, out = c->out_channels / c->groups, taps = c->kernel_height * c->kernel_width;
    size_t plane = (size_t)(out_height * out_width);
    float *y = malloc(sizeof *y * plane * (size_t)(c->batch * c->out_channels));
    double *sums = malloc(sizeof *sums * plane);
    if (!y || !sums) abort();
    for (int n = 0; n < c->batch; n++)
        for (int m = 0; m < c->out_channels; m++) {
            for (size_t p = 0; p < plane; p++) sums[p] = bias ? bias[m] : 0;
            for (int i = 0; i < in; i++) {
                int channel = m / out * in + i;
                const float *from = x + (size_t)((n * c->in_channels + channel) * c->in_height * c->in_width);
                const float *kernel = weights + (size_t)((channel * out + m % out) * taps);
                for (int p = 0; p < c->in_height * c->in_width; p++)
                    scatter(c, out_height, out_width, kernel, from[p], p / c->in_width, p % c->in_width, sums);
            }
            for (size_t p = 0; p < plane; p++) y[(size_t)(n * c->out_channels + m) * plane + p] = (float)sums[p];
        }
    free(sums);
    return y;
}
