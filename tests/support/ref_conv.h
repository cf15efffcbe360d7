// Plain C convolution: the oracle of the convolution shaders. Sums in double.
#ifndef TEST_REF_CONV_H
#define TEST_REF_CONV_H

typedef struct ref_conv {
    int batch, in_channels, in_height, in_width;
    int out_channels, kernel_height, kernel_width, groups;
    int stride_y, stride_x, dilation_y, dilation_x;
    int pad_top, pad_left, pad_bottom, pad_right;
} ref_conv;

int ref_conv_out_height(const ref_conv *conv);
int ref_conv_out_width(const ref_conv *conv);
// x (N,C,H,W), weights (M,C/group,kh,kw), bias M or NULL; malloc'ed (N,M,OH,OW).
float *ref_conv_run(const ref_conv *conv, const float *x, const float *weights, const float *bias);
// Transposed convolution by scattering: weights (C,M/group,kh,kw), out_height x out_width cut out at the leading pads.
float *ref_conv_transpose(const ref_conv *conv, int out_height, int out_width, const float *x, const float *weights,
                          const float *bias);

#endif
