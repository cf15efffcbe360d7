// Convolutions in pieces, where a tensor or the weights are larger than the device binds: by images, by output channels
// (contiguous in C4 tensors and in packed weights; with groups, by whole groups), and by rows of the output with the
// rows of the input that they need.
#include <string.h>

#include "ops/common.h"
#include "ops/conv.h"

// Axes of a cut, in the order of tm_conv_cut.
enum { IMAGES = 0, CHANNELS, ROWS };

#define TILE_CHANNELS 8  // of the packed weights of TM_CONV_TILE

static bool has_bias(const tm_op_ctx *ctx) {
    return ctx->input_count > 2 && ctx->in[2].dtype != TM_DTYPE_NONE;
}

// Output channels between which packed weights and bias start at what the device binds.
static int64_t channel_grain(const tm_op_ctx *ctx, const tm_conv *conv, int64_t alignment) {
    const tm_conv_prepared *prepared = ctx->node->prepared;
    int64_t group = conv->out_channels / conv->groups;
    bool packed = prepared && prepared->weights.slice.buffer, halves = packed && prepared->weights.half;
    switch (tm_conv_kernel_of(ctx)) {
        case TM_CONV_DEPTHWISE:
            return packed ? alignment / (halves ? 2 : 4) : 4;
        case TM_CONV_TILE:
            if (conv->groups == 1) return TM_MAX(TILE_CHANNELS, alignment / 4);
            return group * TM_MAX(1, alignment / 4 / TILE_CHANNELS);
        default:
            return packed ? group * (alignment / 4) : conv->groups > 1 ? group : 1;
    }
}

static void follow(const tm_op_ctx *ctx, tm_cut *cut, size_t axis, int8_t dim) {
    int32_t added = ctx->node->fused.residual;
    cut->dim[ctx->input_count][axis] = dim;
    if (added >= 0) cut->dim[added][axis] = dim;
}

static void cut_channels(const tm_op_ctx *ctx, const tm_conv *conv, tm_cut *cut) {
    const tm_conv_prepared *prepared = ctx->node->prepared;
    int64_t alignment = (int64_t)tm_gpu_get_info(ctx->gpu)->buffer_alignment;
    size_t axis = tm_cut_add(cut, conv->out_channels, channel_grain(ctx, conv, alignment));
    follow(ctx, cut, axis, 1);
    if (conv->groups > 1) {
        // Group g of the outputs needs group g of the inputs.
        int64_t in = conv->in_channels / conv->groups, out = conv->out_channels / conv->groups;
        cut->dim[0][axis] = 1;
        if (in != out) {
            cut->axis[axis].mul = in;
            cut->axis[axis].div = out;
            cut->axis[axis].high = in - out;
        }
    }
    if (!prepared || !prepared->weights.slice.buffer) cut->dim[1][axis] = 0;
    if (has_bias(ctx) && (!prepared || !prepared->bias.buffer)) cut->dim[2][axis] = 0;
}

void tm_conv_cut(tm_op_ctx *ctx, tm_cut *cut) {
    tm_conv conv;
    tm_error ignored;
    if (tm_conv_read(ctx, &conv, &ignored) != TAGMASK_OK) return;
    const tm_conv_prepared *prepared = ctx->node->prepared;
    bool flat = ctx->in[0].shape.rank == 3, packed = prepared && prepared->kernel != TM_CONV_LINEAR;
    int32_t winograd = packed ? tm_conv_winograd_tile((tm_conv_variant)ctx->choice) : 0;
    size_t axis = tm_cut_add(cut, conv.batch, 1);
    cut->dim[0][axis] = 0;
    follow(ctx, cut, axis, 0);
    // Winograd's weights are not contiguous by output channels.
    if (winograd)
        tm_cut_add(cut, conv.out_channels, conv.out_channels);
    else
        cut_channels(ctx, &conv, cut);
    int64_t stride = flat ? conv.stride_x : conv.stride_y, before = flat ? conv.pad_left : conv.pad_top;
    int64_t after = flat ? conv.pad_right : conv.pad_bottom;
    int64_t reach = flat ? (int64_t)(conv.kernel_width - 1) * conv.dilation_x + 1
                         : (int64_t)(conv.kernel_height - 1) * conv.dilation_y + 1;
    // Whole tiles of Winograd, so that pieces compute what the whole would.
    axis = tm_cut_add(cut, flat ? conv.out_width : conv.out_height, winograd ? winograd : 1);
    if (before < reach && after < reach) {
        cut->dim[0][axis] = 2;
        follow(ctx, cut, axis, 2);
        cut->axis[axis].mul = stride;
        cut->axis[axis].div = 1;
        cut->axis[axis].low = -before;
        cut->axis[axis].high = reach - 1 - before;
    }
    if (!prepared) {
        cut->hidden[0].bytes = ctx->scratch_bytes;
        cut->hidden[0].axes = 1u << CHANNELS;
        return;
    }
    cut->hidden[0].bytes = winograd ? prepared->winograd[winograd / 4].slice.size : prepared->weights.slice.size;
    cut->hidden[0].axes = 1u << CHANNELS;
    cut->hidden[1].bytes = prepared->bias.size;
    cut->hidden[1].axes = 1u << CHANNELS;
}

// ---- One piece.

// The part of packed weights or bias for `count` of all output channels from `first` on, of `padded` that they hold.
static void narrow_slice(tm_slice *slice, const tm_conv *whole, uint64_t bytes, int64_t first, int64_t count,
                         int64_t padded) {
    if (!slice->buffer) return;
    uint64_t begin = bytes * (uint64_t)first / (uint64_t)padded, end = bytes;
    if (first + count < whole->out_channels) end = bytes * (uint64_t)(first + count) / (uint64_t)padded;
    slice->offset += begin;
    slice->size = end - begin;
}

// Channels that packed weights and bias hold, those that pad tiles and blocks included.
static int64_t padded_channels(const tm_conv *conv, tm_conv_kernel kernel) {
    int64_t group = conv->out_channels / conv->groups;
    if (kernel == TM_CONV_TILE && conv->groups == 1) return (group + TILE_CHANNELS - 1) / TILE_CHANNELS * TILE_CHANNELS;
    if (kernel == TM_CONV_DEPTHWISE) return (int64_t)tm_conv_blocks(conv->out_channels) * 4;
    return conv->out_channels;
}

static void narrow_axis(int64_t first, int32_t stride, int32_t *pad, int32_t *in, int64_t in_piece, int32_t *out,
                        int64_t out_piece) {
    if (out_piece == *out) return;
    int64_t wanted = first * stride - *pad, begin = TM_CLAMP(wanted, 0, (int64_t)*in - 1);
    *pad = (int32_t)(begin - wanted);
    *in = (int32_t)in_piece;
    *out = (int32_t)out_piece;
}

tagmask_status tm_conv_record_piece(tm_op_ctx *ctx, const tm_conv *whole, tm_recorder *recorder, tm_error *err) {
    const tm_shape *x = &ctx->gin[0].shape, *y = &ctx->gout[0].shape;
    tm_conv conv = *whole;
    tm_node node = *ctx->node;
    tm_conv_prepared prepared;
    tm_op_ctx piece = *ctx;
    piece.node = &node;
    conv.batch = (int32_t)y->dim[0];
    if (node.prepared) {
        prepared = *(const tm_conv_prepared *)node.prepared;
        node.prepared = &prepared;
    }
    if (y->dim[1] != whole->out_channels) {
        conv.out_channels = (int32_t)y->dim[1];
        if (whole->groups > 1) {
            conv.groups = (int32_t)(y->dim[1] / (whole->out_channels / whole->groups));
            conv.in_channels = (int32_t)x->dim[1];
        }
        if (node.prepared) {
            int64_t padded = padded_channels(whole, prepared.kernel), first = ctx->first[CHANNELS];
            uint64_t weights = tm_conv_packed_count(whole, prepared.kernel, false) * (prepared.weights.half ? 2 : 4);
            uint64_t bias = tm_conv_packed_count(whole, prepared.kernel, true) * 4;
            narrow_slice(&prepared.weights.slice, whole, weights, first, y->dim[1], padded);
            narrow_slice(&prepared.bias, whole, bias, first, y->dim[1], padded);
        }
    }
    if (x->rank == 3)
        narrow_axis(ctx->first[ROWS], conv.stride_x, &conv.pad_left, &conv.in_width, x->dim[2], &conv.out_width,
                    y->dim[2]);
    else
        narrow_axis(ctx->first[ROWS], conv.stride_y, &conv.pad_top, &conv.in_height, x->dim[2], &conv.out_height,
                    y->dim[2]);
    return tm_conv_record(&piece, &conv, recorder, err);  // by the whole's choice: pieces compute what it would
}
