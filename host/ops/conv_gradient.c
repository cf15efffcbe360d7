// The gradient of a convolution's input. ConvGradient(g, weights, like): Dumoulin and Visin, "A guide to convolution
// arithmetic for deep learning", 2016, chapter 4: with stride 1 a convolution of the gradient by the kernel turned
// round, with the channels of input and output exchanged, which the kernels of Conv compute; with larger strides a
// transposed convolution.
#include <stdlib.h>
#include <string.h>

#include "ops/common.h"
#include "ops/conv.h"
#include "ops/gradients.h"

// ---- The rule.

// Weights by which the gradient of a convolution is a constant times that of what follows it, for each channel: they
// take the constant in. -1: they are not constant.
static int32_t scale_weights(tm_backward *back, int32_t weights, int32_t scale) {
    tm_host_tensor w;
    if (!tm_back_constant(back, weights, &w) || w.shape.rank > 4) return -1;
    int64_t column[4] = {w.shape.dim[0], 1, 1, 1}, rank = w.shape.rank;
    int32_t shape = tm_back_vector(back, column, (size_t)rank);
    return TM_BACK(back, "Mul", weights, TM_BACK(back, "Reshape", scale, shape));
}

void tm_gradient_conv(tm_backward *back) {
    int32_t g = tm_back_from(back, 0), x = tm_back_in(back, 0), weights = tm_back_in(back, 1), from, scale;
    if (tm_back_wants(back, 0)) {
        int32_t scaled = tm_gradient_is_scaled(back, g, &from, &scale) ? scale_weights(back, weights, scale) : -1;
        int32_t value =
            scaled < 0 ? TM_BACK(back, "ConvGradient", g, weights, x) : TM_BACK(back, "ConvGradient", from, scaled, x);
        tm_back_inherit(back);
        tm_back_give(back, 0, value);
    }
    if (tm_back_wants(back, 1)) {
        int32_t value = TM_BACK(back, "ConvWeightGradient", g, x, weights);
        tm_back_inherit(back);
        tm_back_give(back, 1, value);
    }
    if (tm_back_wants(back, 2)) tm_back_give(back, 2, TM_BACK(back, "ChannelSum", g));
}

// Whether outputs are added that no element of the input reaches: the convolution would find more elements then.
static bool is_padded_beyond(const tm_node *node) {
    size_t count, stride_count;
    const int64_t *extra = tm_attr_ints(node, "output_padding", &count);
    const int64_t *strides = tm_attr_ints(node, "strides", &stride_count);
    for (size_t i = 0; i < count; i++)
        if (extra[i] >= (i < stride_count ? strides[i] : 1)) return true;
    return false;
}

// A transposed convolution is what the gradient of a convolution is: its own is that convolution.
void tm_gradient_conv_transpose(tm_backward *back) {
    const tm_node *node = tm_back_node(back);
    int32_t g = tm_back_from(back, 0), x = tm_back_in(back, 0), weights = tm_back_in(back, 1);
    const char *automatic = tm_attr_string(node, "auto_pad", "NOTSET");
    bool given = tm_attr_has(node, "output_shape") || !strncmp(automatic, "SAME", 4) ||
                 (!strcmp(automatic, "VALID") && tm_attr_has(node, "pads"));
    if (is_padded_beyond(node)) tm_back_refuse(back, "for an output_padding that is not less than the stride");
    if (given && (tm_back_wants(back, 0) || tm_back_wants(back, 1)))
        tm_back_refuse(back, "for pads that an output's shape decides");
    if (tm_back_wants(back, 0)) {
        int32_t value = TM_BACK(back, "Conv", g, weights);
        tm_back_inherit(back);
        tm_back_give(back, 0, value);
    }
    if (tm_back_wants(back, 1)) {
        int32_t value = TM_BACK(back, "ConvWeightGradient", x, g, weights);
        tm_back_inherit(back);
        tm_back_give(back, 1, value);
    }
    if (tm_back_wants(back, 2)) tm_back_give(back, 2, TM_BACK(back, "ChannelSum", g));
}

// ---- The operator.

// How it is computed.
typedef enum way {
    GATHER = 0,  // nn/conv_transpose on linear tensors: any convolution
    TURNED,      // stride 1: a convolution with other weights
    DEPTHWISE,   // larger strides, one filter a channel: nn/conv_depthwise_gradient
    PHASES       // larger strides, no groups, constant weights: see conv_phases.c
} way;

typedef struct prepared {
    tm_conv_prepared conv;  // first: the convolution family's files find it
    way way;
} prepared;

// Of a node whose shape is known.
static way way_of(const tm_op_ctx *ctx) {
    const prepared *p = ctx->node->prepared;
    return p ? p->way : (way)ctx->choice;
}

// The node as the convolution that it is the gradient of.
typedef struct forward {
    tm_host_tensor in[2];
    tm_op_ctx ctx;
} forward;

static tagmask_status read_forward(const tm_op_ctx *ctx, forward *f, tm_conv *conv, tm_error *err) {
    f->ctx = *ctx;
    f->in[0] = ctx->in[2];
    f->in[1] = ctx->in[1];
    f->ctx.in = f->in;
    f->ctx.input_count = 2;
    return tm_conv_read(&f->ctx, conv, err);
}

// Of stride 1: what the gradient goes through.
static tm_conv turn(const tm_conv *conv) {
    tm_conv turned = *conv;
    turned.in_channels = conv->out_channels;
    turned.out_channels = conv->in_channels;
    turned.in_height = conv->out_height;
    turned.in_width = conv->out_width;
    turned.out_height = conv->in_height;
    turned.out_width = conv->in_width;
    int32_t reach_y = conv->dilation_y * (conv->kernel_height - 1);
    int32_t reach_x = conv->dilation_x * (conv->kernel_width - 1);
    turned.pad_top = reach_y - conv->pad_top;
    turned.pad_left = reach_x - conv->pad_left;
    turned.pad_bottom = reach_y - conv->pad_bottom;
    turned.pad_right = reach_x - conv->pad_right;
    return turned;
}

static tm_transpose transpose_of(const tm_conv *conv) {
    return (tm_transpose){.y = {.in = conv->out_height,
                                .out = conv->in_height,
                                .kernel = conv->kernel_height,
                                .stride = conv->stride_y,
                                .dilation = conv->dilation_y,
                                .pad = conv->pad_top},
                          .x = {.in = conv->out_width,
                                .out = conv->in_width,
                                .kernel = conv->kernel_width,
                                .stride = conv->stride_x,
                                .dilation = conv->dilation_x,
                                .pad = conv->pad_left},
                          .batch = conv->batch,
                          .group_in = conv->out_channels / conv->groups,
                          .group_out = conv->in_channels / conv->groups,
                          .groups = conv->groups};
}

static bool is_depthwise(const tm_conv *conv) {
    return conv->groups == conv->in_channels && conv->groups == conv->out_channels;
}

// Of weights that may change from run to run: the way, and what it packs them in.
static void choose_changing(tm_op_ctx *ctx, const tm_conv *conv) {
    tm_conv turned = turn(conv);
    bool plain = conv->stride_y == 1 && conv->stride_x == 1;
    tm_conv_kernel kernel = tm_conv_changing_kernel(ctx, plain ? &turned : conv);
    ctx->choice = GATHER;
    if (plain && kernel != TM_CONV_LINEAR) ctx->choice = TURNED;
    if (!plain && kernel == TM_CONV_DEPTHWISE) ctx->choice = DEPTHWISE;
    if (ctx->choice != GATHER) ctx->scratch_bytes = tm_conv_changing_scratch(ctx, plain ? &turned : conv, kernel);
}

static tagmask_status shape_conv_gradient(tm_op_ctx *ctx, tm_error *err) {
    forward f;
    tm_conv conv;
    TM_TRY(tm_need_inputs(ctx, 3, 4, err));
    for (size_t i = 0; i < ctx->input_count; i++) TM_TRY(tm_need_float(ctx, i, "an input", err));
    TM_TRY(read_forward(ctx, &f, &conv, err));
    const tm_shape *g = &ctx->in[0].shape, *x = &ctx->in[2].shape;
    bool fits = g->rank == x->rank && g->dim[0] == x->dim[0] && g->dim[1] == conv.out_channels &&
                g->dim[g->rank - 1] == conv.out_width && (g->rank == 3 || g->dim[2] == conv.out_height);
    char text[128];
    if (!fits)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_INTERNAL, "the gradient has shape %s, not that of the output",
                          tm_shape_text(g, text, sizeof text));
    tm_set_output(ctx, 0, TM_FLOAT32, x);
    ctx->flops = 2.0 * (double)tm_span(g, 0, g->rank) * (conv.in_channels / conv.groups) * conv.kernel_height *
                 conv.kernel_width;
    tm_transpose t = transpose_of(&conv);
    if (!ctx->node->prepared) {
        choose_changing(ctx, &conv);
        return TAGMASK_OK;
    }
    if (way_of(ctx) == PHASES) ctx->scratch_bytes = tm_conv_phases_scratch(&t);
    if (way_of(ctx) != TURNED || ((const prepared *)ctx->node->prepared)->conv.kernel == TM_CONV_LINEAR)
        return TAGMASK_OK;
    tm_conv turned = turn(&conv);
    tm_conv_variant variant = tm_conv_variant_of(ctx, &turned);
    ctx->choice = (int32_t)variant;
    ctx->scratch_bytes = tm_conv_scratch(&turned, tm_gpu_get_info(ctx->gpu), variant);
    return TAGMASK_OK;
}

// [group][input channel][output channel][tap, from the last to the first]
static float *turn_weights(const tm_conv *conv, const float *weights) {
    size_t in = (size_t)(conv->in_channels / conv->groups), out = (size_t)(conv->out_channels / conv->groups),
           groups = (size_t)conv->groups, taps = (size_t)conv->kernel_height * (size_t)conv->kernel_width;
    float *turned = tm_calloc(groups * in * out, taps * sizeof *turned);
    for (size_t g = 0; turned && g < groups; g++)
        for (size_t o = 0; o < out; o++)
            for (size_t i = 0; i < in; i++)
                for (size_t t = 0; t < taps; t++)
                    turned[((g * in + i) * out + o) * taps + taps - 1 - t] =
                        weights[((g * out + o) * in + i) * taps + t];
    return turned;
}

static tagmask_status pack(tm_op_ctx *ctx, const tm_conv *conv, prepared *p, tm_recorder *recorder, tm_error *err) {
    const float *weights = ctx->in[1].data;
    if (conv->stride_y == 1 && conv->stride_x == 1) {
        tm_conv turned = turn(conv);
        float *copy = turn_weights(conv, weights);
        if (!copy) return tm_op_fail(ctx, err, TAGMASK_ERROR_MEMORY, "out of memory for its weights");
        p->way = TURNED;
        p->conv.kernel =
            ctx->in[1].shape.rank == 4 ? tm_conv_choose(&turned, tm_gpu_get_info(ctx->gpu)) : TM_CONV_LINEAR;
        tagmask_status status = tm_conv_pack(ctx, &turned, copy, NULL, &p->conv, recorder, err);
        free(copy);
        return status;
    }
    if (is_depthwise(conv) && ctx->in[1].shape.rank == 4 && !tm_conv_pinned("linear")) {
        p->way = DEPTHWISE;
        p->conv.kernel = TM_CONV_DEPTHWISE;
        return tm_conv_pack(ctx, conv, weights, NULL, &p->conv, recorder, err);
    }
    return TAGMASK_OK;
}

// The convolution with an input as small as its kernel allows, for what does not depend on the input's size. False:
// what is wrong with the node is said when its shape is known.
static bool read_any(const tm_op_ctx *ctx, tm_conv *conv) {
    const tm_shape *w = &ctx->in[1].shape;
    int64_t dilations[2], channels;
    tm_error ignored;
    if (ctx->in[1].dtype != TM_FLOAT32 || w->rank < 3 || w->rank > 4) return false;
    if (tm_conv_ints(ctx, "dilations", (size_t)w->rank - 2, 1, 1, dilations, &ignored) != TAGMASK_OK) return false;
    if (!tm_mul_i64(w->dim[1], tm_attr_int(ctx->node, "group", 1), &channels)) return false;
    tm_host_tensor in[3] = {{0}, ctx->in[1], {TM_FLOAT32, {w->rank, {1, channels}}, NULL}};
    for (int32_t d = 2; d < w->rank; d++)
        if (!tm_mul_i64(w->dim[d] - 1, dilations[d - 2], &in[2].shape.dim[d]) || in[2].shape.dim[d]++ > TM_CONV_REACH)
            return false;
    tm_op_ctx any = *ctx;
    forward f;
    any.in = in;
    return read_forward(&any, &f, conv, &ignored) == TAGMASK_OK;
}

// Pads that depend on the input's size are not known yet: weights are then bound as they are.
static bool phases_fit(const tm_op_ctx *ctx, const tm_transpose *t) {
    const char *automatic = tm_attr_string(ctx->node, "auto_pad", "NOTSET");
    return ctx->in[1].shape.rank == 4 && strncmp(automatic, "SAME", 4) != 0 && !tm_conv_pinned("linear") &&
           tm_conv_phases_fit(t);
}

static tagmask_status prepare_conv_gradient(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    tm_conv conv;
    if (!read_any(ctx, &conv)) return TAGMASK_OK;
    prepared *p = tm_calloc(1, sizeof *p);
    if (!p) return tm_op_fail(ctx, err, TAGMASK_ERROR_MEMORY, "out of memory");
    tm_transpose t = transpose_of(&conv);
    tagmask_status status = pack(ctx, &conv, p, recorder, err);
    if (status == TAGMASK_OK && p->way == GATHER && phases_fit(ctx, &t)) {
        status = tm_conv_phases_prepare(ctx, &t, ctx->in[1].data, NULL, recorder, err);
        tm_conv_prepared *made = status == TAGMASK_OK ? ctx->node->prepared : NULL;
        if (made) {
            p->conv = *made;
            p->way = PHASES;
        }
        free(made);
        ctx->node->prepared = NULL;
    }
    if (status == TAGMASK_OK && p->way != GATHER)
        ctx->node->prepared = p;
    else
        free(p);
    return status;
}

static void release_conv_gradient(tm_node *node) {
    free(node->prepared);
    node->prepared = NULL;
}

static void layout_conv_gradient(tm_op_ctx *ctx, tm_layout *in, tm_layout *out) {
    const prepared *p = ctx->node->prepared;
    bool vectors = p ? p->conv.kernel != TM_CONV_LINEAR : way_of(ctx) != GATHER;
    tm_layout wanted = vectors ? TM_C4 : TM_LINEAR;
    for (size_t i = 0; i < ctx->input_count; i++) in[i] = i == 0 || i > 2 ? wanted : TM_LINEAR;
    out[0] = wanted;
}

static tagmask_status record_depthwise(tm_op_ctx *ctx, const tm_conv *conv, tm_weights weights, tm_recorder *recorder,
                                       tm_error *err) {
    int32_t added = ctx->node->fused.residual;
    struct {
        int32_t count, blocks, size[2], from_size[2], kernel[2], stride[2], pad[2], dilation[2], period[2], back[2];
    } push = {.blocks = tm_conv_blocks(conv->in_channels),
              .size = {conv->in_width, conv->in_height},
              .from_size = {conv->out_width, conv->out_height},
              .kernel = {conv->kernel_width, conv->kernel_height},
              .stride = {conv->stride_x, conv->stride_y},
              .pad = {conv->pad_left, conv->pad_top},
              .dilation = {conv->dilation_x, conv->dilation_y}};
    for (int i = 0; i < 2; i++) {
        push.period[i] = push.stride[i] / (int32_t)tm_common_divisor(push.stride[i], push.dilation[i]);
        push.back[i] = push.period[i] * push.dilation[i] / push.stride[i];
    }
    push.count = conv->batch * push.blocks * conv->in_width * conv->in_height;
    tm_launch launch = {
        .shader = weights.half ? "nn/conv_depthwise_gradient_half" : "nn/conv_depthwise_gradient",
        .texel_shader = weights.half ? "nn/conv_depthwise_gradient_texel_half" : "nn/conv_depthwise_gradient_texel",
        .texel_inputs = 2,
        .half = weights.half ? 2 : 0,
        .constants = {added >= 0, conv->dilation_x > 1 || conv->dilation_y > 1},
        .constant_count = 2,
        .bindings = {ctx->gin[0].slice, weights.slice, added >= 0 ? ctx->gin[added].slice : weights.slice,
                     ctx->gout[0].slice},
        .binding_count = 4,
        .push = &push,
        .push_size = sizeof push,
        .threads = (uint64_t)push.count,
        .rounds = (uint64_t)push.kernel[1] * ((uint64_t)push.kernel[0] + 1),
        .flops = ctx->flops};
    return tm_launch_threads(ctx, recorder, &launch, err);
}

static tagmask_status record_turned(tm_op_ctx *ctx, const tm_conv *conv, tm_recorder *recorder, tm_error *err) {
    tm_conv turned = turn(conv);
    if (ctx->node->prepared) return tm_conv_record(ctx, &turned, recorder, err);
    return tm_conv_changing_record(ctx, &turned, tm_conv_changing_kernel(ctx, &turned), true, recorder, err);
}

static tagmask_status record_strided(tm_op_ctx *ctx, const tm_conv *conv, tm_recorder *recorder, tm_error *err) {
    const prepared *p = ctx->node->prepared;
    tm_conv_prepared packed = {.kernel = TM_CONV_DEPTHWISE};
    if (p) return record_depthwise(ctx, conv, p->conv.weights, recorder, err);
    TM_TRY(tm_conv_changing_pack(ctx, conv, false, &packed, recorder, err));
    return record_depthwise(ctx, conv, packed.weights, recorder, err);
}

// By images. The scratch memory of all of them is bound whole.
static void cut_conv_gradient(tm_op_ctx *ctx, tm_cut *cut) {
    size_t axis = tm_cut_add(cut, ctx->out[0].shape.dim[0], 1);
    cut->dim[0][axis] = cut->dim[ctx->input_count][axis] = 0;
    if (ctx->node->fused.residual >= 0) cut->dim[ctx->node->fused.residual][axis] = 0;
    cut->hidden[0].bytes = ctx->scratch_bytes;
    cut->hidden[0].axes = way_of(ctx) == PHASES ? 1u << axis : 0;
}

static tagmask_status record_conv_gradient(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    forward f;
    tm_conv conv;
    TM_TRY(read_forward(ctx, &f, &conv, err));
    conv.batch = (int32_t)ctx->gout[0].shape.dim[0];
    tm_transpose t = transpose_of(&conv);
    // The third input is no bias.
    tm_host_tensor in[4];
    tm_op_ctx plain = *ctx;
    memcpy(in, ctx->in, ctx->input_count * sizeof *in);
    in[2].dtype = TM_DTYPE_NONE;
    plain.in = in;
    switch (way_of(ctx)) {
        case TURNED:
            return record_turned(&plain, &conv, recorder, err);
        case DEPTHWISE:
            return record_strided(&plain, &conv, recorder, err);
        case PHASES:
            return tm_conv_phases_record(ctx, &t, recorder, err);
        default:
            return tm_conv_transpose_record(ctx, &t, (tm_slice){0}, recorder, err);
    }
}

const tm_op tm_ops_conv_gradient[] = {
    {.type = "ConvGradient",
     .domain = TM_GRADIENT_DOMAIN,
     .since = 1,
     .shape = shape_conv_gradient,
     .layout = layout_conv_gradient,
     .prepare = prepare_conv_gradient,
     .release = release_conv_gradient,
     .constant_inputs = 2,
     .shape_inputs = 4,
     .cut = cut_conv_gradient,
     .fuses = TM_FUSES_RESIDUAL,
     .record = record_conv_gradient},
    {.type = NULL},
};
