// Convolutions whose weights may change from run to run: those that a network is differentiated by, or that it
// computes. Their weights and bias are packed on the device, in scratch memory, before each of their runs.
#include "ops/common.h"
#include "ops/conv.h"

#define TILE_CHANNELS 8  // as in conv_kernels.c

tm_conv_kernel tm_conv_changing_kernel(const tm_op_ctx *ctx, const tm_conv *conv) {
    bool fits = ctx->gpu && ctx->in[1].shape.rank == 4;  // plans without a device are for their shapes
    tm_conv_kernel kernel = fits ? tm_conv_choose(conv, tm_gpu_get_info(ctx->gpu)) : TM_CONV_LINEAR;
    return tm_conv_packed_count(conv, kernel, false) ? kernel : TM_CONV_LINEAR;
}

static uint64_t weight_bytes(const tm_op_ctx *ctx, const tm_conv *conv, tm_conv_kernel kernel) {
    uint64_t bytes = (uint64_t)tm_conv_packed_count(conv, kernel, false) * 4;
    return tm_align_up(bytes, tm_gpu_get_info(ctx->gpu)->buffer_alignment);
}

uint64_t tm_conv_changing_scratch(const tm_op_ctx *ctx, const tm_conv *conv, tm_conv_kernel kernel) {
    return weight_bytes(ctx, conv, kernel) + (uint64_t)tm_conv_packed_count(conv, kernel, true) * 4;
}

// ---- Packing: copies from weights [group][out][in][tap], or of the convolution that this one is the gradient of.

// Strides of the weight of output o, input i and tap t, in a group each.
typedef struct reading {
    int64_t first, group, out, in, tap;
} reading;

static reading read_weights(const tm_conv *conv, bool turned) {
    int64_t taps = (int64_t)conv->kernel_height * conv->kernel_width, in = conv->in_channels / conv->groups,
            out = conv->out_channels / conv->groups;
    if (turned) return (reading){taps - 1, in * out * taps, taps, out * taps, -1};
    return (reading){0, in * out * taps, in * taps, taps, 1};
}

// A range of channels in whole blocks, or what is left of one.
typedef struct range {
    int64_t first, blocks, size;
} range;

static int split(int64_t channels, int64_t block, range ranges[2]) {
    int count = 0;
    if (channels / block) ranges[count++] = (range){0, channels / block, block};
    if (channels % block) ranges[count++] = (range){channels / block * block, 1, channels % block};
    return count;
}

// [group][tile][tap][input block][8 output channels][4 input channels]
static tagmask_status pack_tiles(tm_op_ctx *ctx, const tm_conv *conv, const reading *r, tm_slice to,
                                 tm_recorder *recorder, tm_error *err) {
    int64_t taps = (int64_t)conv->kernel_height * conv->kernel_width, in = conv->in_channels / conv->groups,
            out = conv->out_channels / conv->groups;
    int64_t slot = tm_conv_blocks((int32_t)in) * 4 * TILE_CHANNELS, tile = taps * slot,
            group = (out + TILE_CHANNELS - 1) / TILE_CHANNELS * tile;
    range outs[2], ins[2];
    int out_count = split(out, TILE_CHANNELS, outs), in_count = split(in, 4, ins);
    for (int k = 0; k < out_count * in_count; k++) {
        const range *o = &outs[k / in_count], *i = &ins[k % in_count];
        tm_copy_spec spec = {.from = ctx->gin[1].slice,
                             .to = to,
                             .rank = 6,
                             .dim = {conv->groups, o->blocks, taps, i->blocks, o->size, i->size},
                             .in_stride = {r->group, r->out * TILE_CHANNELS, r->tap, r->in * 4, r->out, r->in},
                             .out_stride = {group, tile, slot, 4 * TILE_CHANNELS, 4, 1},
                             .in_offset = r->first + o->first * r->out + i->first * r->in,
                             .out_offset = o->first / TILE_CHANNELS * tile + i->first / 4 * (4 * TILE_CHANNELS)};
        TM_TRY(tm_strided_copy(ctx, recorder, &spec, err));
    }
    return TAGMASK_OK;
}

// [block of 4 channels][tap][4 channels]
static tagmask_status pack_channels(tm_op_ctx *ctx, const tm_conv *conv, const reading *r, tm_slice to,
                                    tm_recorder *recorder, tm_error *err) {
    int64_t taps = (int64_t)conv->kernel_height * conv->kernel_width;
    range ranges[2];
    int count = split(conv->out_channels, 4, ranges);
    for (int k = 0; k < count; k++) {
        tm_copy_spec spec = {.from = ctx->gin[1].slice,
                             .to = to,
                             .rank = 3,
                             .dim = {ranges[k].blocks, taps, ranges[k].size},
                             .in_stride = {4 * taps, r->tap, taps},
                             .out_stride = {4 * taps, 4, 1},
                             .in_offset = r->first + ranges[k].first * taps,
                             .out_offset = ranges[k].first * taps};
        TM_TRY(tm_strided_copy(ctx, recorder, &spec, err));
    }
    return TAGMASK_OK;
}

// Zeros where there is none: not every kernel does without.
static tagmask_status pack_bias(tm_op_ctx *ctx, const tm_conv *conv, tm_conv_kernel kernel, bool given, tm_slice to,
                                tm_recorder *recorder, tm_error *err) {
    int64_t out = conv->out_channels / conv->groups,
            step = (int64_t)tm_conv_packed_count(conv, kernel, true) / conv->groups;
    if (kernel == TM_CONV_DEPTHWISE) step = out;  // only the end is padded
    TM_TRY(tm_fill(recorder, to, 0, err));
    if (!given) return TAGMASK_OK;
    tm_copy_spec spec = {.from = ctx->gin[2].slice,
                         .to = to,
                         .rank = 2,
                         .dim = {conv->groups, out},
                         .in_stride = {out, 1},
                         .out_stride = {step, 1}};
    return tm_strided_copy(ctx, recorder, &spec, err);
}

tagmask_status tm_conv_changing_pack(tm_op_ctx *ctx, const tm_conv *conv, bool turned, tm_conv_prepared *packed,
                                     tm_recorder *recorder, tm_error *err) {
    tm_conv_kernel kernel = packed->kernel;
    uint64_t bytes = (uint64_t)tm_conv_packed_count(conv, kernel, false) * 4;
    reading r = read_weights(conv, turned);
    bool depthwise = kernel == TM_CONV_DEPTHWISE;
    int64_t in = conv->in_channels / conv->groups, out = conv->out_channels / conv->groups;
    packed->weights.slice = (tm_slice){ctx->scratch.buffer, ctx->scratch.offset, bytes};
    if (depthwise ? conv->out_channels % 4 : in % 4 || out % TILE_CHANNELS)
        TM_TRY(tm_fill(recorder, packed->weights.slice, 0, err));
    if (depthwise)
        TM_TRY(pack_channels(ctx, conv, &r, packed->weights.slice, recorder, err));
    else
        TM_TRY(pack_tiles(ctx, conv, &r, packed->weights.slice, recorder, err));
    packed->bias = (tm_slice){ctx->scratch.buffer, ctx->scratch.offset + weight_bytes(ctx, conv, kernel),
                              (uint64_t)tm_conv_packed_count(conv, kernel, true) * 4};
    return pack_bias(ctx, conv, kernel, !turned && tm_has_input(ctx, 2), packed->bias, recorder, err);
}

tagmask_status tm_conv_changing_record(tm_op_ctx *ctx, const tm_conv *conv, tm_conv_kernel kernel, bool turned,
                                       tm_recorder *recorder, tm_error *err) {
    tm_conv_prepared packed = {.kernel = kernel};
    tm_node node = *ctx->node;
    tm_op_ctx own = *ctx;
    TM_TRY(tm_conv_changing_pack(ctx, conv, turned, &packed, recorder, err));
    node.prepared = &packed;
    own.node = &node;
    return tm_conv_record_variant(&own, conv, TM_CONV_PLAIN, recorder, err);
}
