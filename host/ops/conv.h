// The convolution family: what its files share. conv.c holds the rules, conv_kernels.c the kernels' packing and
// dispatch, conv_split.c pieces of convolutions that are too large for one binding.
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

// How a convolution of C4 tensors is computed. The rule picks one by the class of device and the shape, or the tuner
// (gpu/tune.h) among those that fit; the numbers are kept in its file.
typedef enum tm_conv_variant {
    TM_CONV_PLAIN = 0,  // the kernel itself, sums in registers
    TM_CONV_SHARED,     // a 1x1 kernel by products through shared memory
    TM_CONV_F4,         // Winograd F(4x4, 3x3)
    TM_CONV_F4_SHARED,  // the same, products through shared memory
    TM_CONV_F2          // Winograd F(2x2, 3x3)
} tm_conv_variant;

// What prepare() made of constant weights: lives as long as the graph.
typedef struct tm_conv_prepared {
    tm_conv_kernel kernel;
    tm_weights weights;  // no buffer: not constant (linear kernel only)
    tm_slice bias;       // the same; C4 kernels always have one
    // Weights of the products of Winograd F(2x2, 3x3) and F(4x4, 3x3); buffer NULL: not a 3x3 kernel that wants them.
    tm_weights winograd[2];
} tm_conv_prepared;

// Which kernel serves weights of this shape on this class of device. Only the members that weights and attributes
// decide are read. TAGMASK_CONV=linear|direct|winograd|winograd2|shared pins the choice
// where the kernel fits.
tm_conv_kernel tm_conv_choose(const tm_conv *conv, const tm_gpu_info *info);

// Packs constant weights (ONNX order) and bias (NULL: zeros) for prepared->kernel and uploads them.
tagmask_status tm_conv_pack(tm_op_ctx *ctx, const tm_conv *conv, const float *weights, const float *bias,
                            tm_conv_prepared *prepared, tm_recorder *recorder, tm_error *err);
// conv_variant.c: the variant for a plan's convolution; may time the candidates. A prepared kernel other than
// TM_CONV_LINEAR is required. The plan keeps it (ctx->choice).
tm_conv_variant tm_conv_variant_of(const tm_op_ctx *ctx, const tm_conv *conv);
uint64_t tm_conv_scratch(const tm_conv *conv, const tm_gpu_info *info, tm_conv_variant variant);
tagmask_status tm_conv_record(tm_op_ctx *ctx, const tm_conv *conv, tm_recorder *recorder, tm_error *err);
// By a variant of the tuner's choice; the kernel is not TM_CONV_LINEAR.
tagmask_status tm_conv_record_variant(tm_op_ctx *ctx, const tm_conv *conv, tm_conv_variant variant,
                                      tm_recorder *recorder, tm_error *err);
// conv_split.c: a piece of a convolution that is too large for one binding.
void tm_conv_cut(tm_op_ctx *ctx, tm_cut *cut);
tagmask_status tm_conv_record_piece(tm_op_ctx *ctx, const tm_conv *whole, tm_recorder *recorder, tm_error *err);

// ---- Between the files of the family.

// Strides, dilations and pads beyond this are no convolution that anybody runs; the bound keeps sums within 64 bits.
#define TM_CONV_LARGEST (1 << 20)
#define TM_CONV_REACH (1 << 29)  // of a dilated kernel or a side: positions stay within 32 bits
// Reads a list of `count` integers in [low, TM_CONV_LARGEST] from an attribute; absent: all `otherwise`.
tagmask_status tm_conv_ints(const tm_op_ctx *ctx, const char *name, size_t count, int64_t low, int64_t otherwise,
                            int64_t *values, tm_error *err);

// The convolution that attributes and inputs describe.
tagmask_status tm_conv_read(const tm_op_ctx *ctx, tm_conv *conv, tm_error *err);
// The Winograd tile of a variant: 2, 4, or 0.
int32_t tm_conv_winograd_tile(tm_conv_variant variant);

static inline int32_t tm_conv_blocks(int32_t channels) {
    return (channels + 3) / 4;
}
// A pipeline's activation constant and parameters; Relu becomes a clip without an upper bound: fewer pipelines.
void tm_conv_act(const tm_fused *fused, uint32_t *act, float *a, float *b);
uint32_t tm_conv_workgroup(const tm_gpu_info *info);
// A dispatch of one invocation for each of `total` outputs; its shader finds its number from both group numbers.
tagmask_status tm_conv_dispatch_each(tm_gpu *gpu, tm_dispatch_info *dispatch, uint32_t total, tm_recorder *recorder,
                                     tm_error *err);
// Elements of packed weights, or of the bias that belongs to them; 0: too many.
size_t tm_conv_packed_count(const tm_conv *conv, tm_conv_kernel kernel, bool bias);
// Packs for TM_CONV_TILE and uploads.
tagmask_status tm_conv_pack_tile(tm_op_ctx *ctx, const tm_conv *conv, const float *weights, tm_weights *packed,
                                 tm_recorder *recorder, tm_error *err);
// One convolution of C4 tensors with packed weights.
typedef struct tm_conv_pass {
    tm_weights weights;
    tm_slice in, bias, residual, out;  // bias and residual: buffer NULL for none
    tm_fused fused;
    double flops;
    const char *label;
} tm_conv_pass;
tagmask_status tm_conv_record_pass(tm_gpu *gpu, const tm_conv *conv, tm_conv_kernel kernel, bool shared,
                                   const tm_conv_pass *pass, tm_recorder *recorder, tm_error *err);
// A 1x1 kernel with stride 1 and no pads: pixels need no position.
bool tm_conv_pointwise(const tm_conv *conv);
bool tm_conv_pinned(const char *name);  // by TAGMASK_CONV

// The kernel of a node whose shape is known.
static inline tm_conv_kernel tm_conv_kernel_of(const tm_op_ctx *ctx) {
    const tm_conv_prepared *prepared = ctx->node->prepared;
    return prepared ? prepared->kernel : (tm_conv_kernel)ctx->choice;
}
// conv_changing.c: weights (input 1) and bias (input 2) that may change from run to run. The kernel that serves
// them: TM_CONV_LINEAR where nothing is packed.
tm_conv_kernel tm_conv_changing_kernel(const tm_op_ctx *ctx, const tm_conv *conv);
uint64_t tm_conv_changing_scratch(const tm_op_ctx *ctx, const tm_conv *conv, tm_conv_kernel kernel);
// Packs for packed->kernel into ctx->scratch. turned: the weights are those of the convolution, of stride 1, that this
// one is the gradient of.
tagmask_status tm_conv_changing_pack(tm_op_ctx *ctx, const tm_conv *conv, bool turned, tm_conv_prepared *packed,
                                     tm_recorder *recorder, tm_error *err);
// The same, and the convolution.
tagmask_status tm_conv_changing_record(tm_op_ctx *ctx, const tm_conv *conv, tm_conv_kernel kernel, bool turned,
                                       tm_recorder *recorder, tm_error *err);

// One axis of a transposed convolution; a signal has a second axis of size 1.
typedef struct tm_transpose_axis {
    int64_t in, out, kernel, stride, dilation, pad;
} tm_transpose_axis;
typedef struct tm_transpose {
    tm_transpose_axis y, x;
    int64_t batch, group_in, group_out, groups;
} tm_transpose;
int64_t tm_common_divisor(int64_t a, int64_t b);
// conv_transpose.c: of linear tensors, with the weights of input 1. bias: buffer NULL for none.
tagmask_status tm_conv_transpose_record(tm_op_ctx *ctx, const tm_transpose *t, tm_slice bias, tm_recorder *recorder,
                                        tm_error *err);
// conv_phases.c: a transposed convolution as a convolution, from constant weights; sets the node's prepared weights.
bool tm_conv_phases_fit(const tm_transpose *t);
tagmask_status tm_conv_phases_prepare(tm_op_ctx *ctx, const tm_transpose *t, const float *weights, const float *bias,
                                      tm_recorder *recorder, tm_error *err);
uint64_t tm_conv_phases_scratch(const tm_transpose *t);
tagmask_status tm_conv_phases_record(tm_op_ctx *ctx, const tm_transpose *t, tm_recorder *recorder, tm_error *err);

// Winograd with tiles of 2x2 or 4x4 pixels (`tile` 2 or 4). Fits: 3x3, stride 1, no dilation or groups.
bool tm_conv_winograd_fits(const tm_conv *conv);
int64_t tm_conv_winograd_tiles(const tm_conv *conv, int32_t tile);  // of a batch
// Whether there are weights for this tile, and they and what lies between the stages can be bound as a whole.
bool tm_conv_winograd_binds(const tm_conv *conv, const tm_gpu_info *info, int32_t tile, tm_slice weights);
uint64_t tm_conv_winograd_scratch(const tm_conv *conv, const tm_gpu_info *info, int32_t tile);
tagmask_status tm_conv_winograd_pack(tm_op_ctx *ctx, const tm_conv *conv, int32_t tile, const float *weights,
                                     tm_weights *packed, tm_recorder *recorder, tm_error *err);
tagmask_status tm_conv_winograd_record(tm_op_ctx *ctx, const tm_conv *conv, int32_t tile, bool shared,
                                       tm_recorder *recorder, tm_error *err);
// Whether weights for these tiles are worth packing.
bool tm_conv_winograd_wanted(const tm_conv *conv, tm_gpu *gpu, int32_t tile);

#endif
