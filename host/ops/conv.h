// The convolution family: what its files share. conv.c holds the rules, conv_kernels.c the kernels' packing and
// dispatch.
#ifndef TM_OPS_CONV_H
#define TM_OPS_CONV_H

#include "graph/op.h"

// A convolution of one plan; a one-dimensional signal counts as an image of height 1.
typedef struct tm_conv {
    int32_t batch, in_channels, in_height, in_width;
    int32_t out_channels, out_height, out_width;
    int32_t groups, kernel_height, kernel_width;
    int32_t stride_y, stride_x, dilation_y, dilation_x;
    int32_t pad_top, pad_left, pad_bottom, pad_right;
} tm_conv;

typedef enum tm_conv_kernel {
    TM_CONV_LINEAR = 0,  // any convolution, linear tensors, weights may be computed at run time
    TM_CONV_TILE,        // C4, register tile of pixels x 8 channels; groups of whole blocks
    TM_CONV_DEPTHWISE    // C4, one filter a channel
} tm_conv_kernel;

// What prepare() made of constant weights: lives as long as the graph.
typedef struct tm_conv_prepared {
    tm_conv_kernel kernel;
    tm_slice weights, bias;  // buffer NULL: not constant (linear kernel only); C4 kernels always have a bias
} tm_conv_prepared;

// Which kernel serves weights of this shape on this class of device. Only the members that weights and attributes
// decide are read. TAGMASK_CONV=linear|direct pins the choice where the kernel fits.
tm_conv_kernel tm_conv_choose(const tm_conv *conv, const tm_gpu_info *info);

// Packs constant weights (ONNX order) and bias (NULL: zeros) for prepared->kernel and uploads them.
tagmask_status tm_conv_pack(tm_op_ctx *ctx, const tm_conv *conv, const float *weights, const float *bias,
                            tm_conv_prepared *prepared, tm_recorder *recorder, tm_error *err);
tagmask_status tm_conv_record(tm_op_ctx *ctx, const tm_conv *conv, tm_recorder *recorder, tm_error *err);

#endif
