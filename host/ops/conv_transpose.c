// ConvTranspose (ONNX 1 to current) in one and two dimensions: with constant weights as a convolution (conv_phases.c),
// else a gather over linear tensors.
#include <stdlib.h>
#include <string.h>

#include "ops/common.h"
#include "ops/conv.h"
#include "ops/gradients.h"

// As in shaders/nn/conv_transpose.comp.
typedef struct transpose_push {
    int32_t in_width, in_height, group_in, group_out, groups, out_width, out_height, out_total;
    int32_t kernel_width, kernel_height, stride_x, stride_y, pad_x, pad_y, dilation_x, dilation_y;
    int32_t has_bias, residual;
    float act_a, act_b;
} transpose_push;

static tagmask_status check_weights(const tm_op_ctx *ctx, tm_transpose *t, tm_error *err) {
    const tm_shape *x = &ctx->in[0].shape, *w = &ctx->in[1].shape;
    if (x->rank != w->rank || (x->rank != 3 && x->rank != 4))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED,
                          "input and weights have ranks %d and %d; both 3 or both 4 are supported", x->rank, w->rank);
    t->groups = tm_attr_int(ctx->node, "group", 1);
    for (int i = 0; i < w->rank; i++)
        if (w->dim[i] < 1 || w->dim[i] > TM_CONV_REACH || x->dim[i] < 0 || x->dim[i] > TM_CONV_REACH)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT,
                              "dimension %d of the input or the weights is out of range", i);
    if (t->groups < 1 || t->groups > w->dim[0] || w->dim[0] % t->groups || x->dim[1] != w->dim[0])
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT,
                          "%lld input channels, weights for %lld and %lld groups do not fit together",
                          (long long)x->dim[1], (long long)w->dim[0], (long long)t->groups);
    size_t given;
    const int64_t *kernel = tm_attr_ints(ctx->node, "kernel_shape", &given);
    if (kernel && (given != (size_t)w->rank - 2 || memcmp(kernel, w->dim + 2, given * sizeof *kernel)))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "attribute kernel_shape disagrees with the weights' shape");
    t->batch = x->dim[0];
    t->group_in = w->dim[0] / t->groups;
    t->group_out = w->dim[1];
    return TAGMASK_OK;
}

// Output size and leading pad by the explicit pads, by output_shape or by auto_pad SAME_* (output = input * stride). A
// given size decides the pads' sum; a size larger than the input reaches leaves a margin at the end, as ONNX Runtime
// has it (the standard does not say).
static tagmask_status place_axis(const tm_op_ctx *ctx, tm_transpose_axis *a, const char *auto_pad, int64_t extra,
                                 int64_t wanted, int64_t before, int64_t after, tm_error *err) {
    int64_t reach = a->dilation * (a->kernel - 1) + 1, full = a->stride * (a->in - 1) + extra + reach;
    bool upper = !strcmp(auto_pad, "SAME_UPPER"), same = upper || !strcmp(auto_pad, "SAME_LOWER");
    if (wanted < 0 && same) wanted = a->in * a->stride;
    if (wanted >= 0) {
        int64_t total = TM_MAX(full - wanted, (int64_t)0), half = total / 2;
        a->out = wanted;
        a->pad = upper ? half : total - half;
    } else {
        a->out = full - before - after;
        a->pad = before;
    }
    if (reach > TM_CONV_REACH || a->out < 1 || a->out > TM_CONV_REACH)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "the output would have a side of %lld", (long long)a->out);
    return TAGMASK_OK;
}

static tagmask_status read_transpose(const tm_op_ctx *ctx, tm_transpose *t, tm_error *err) {
    TM_TRY(check_weights(ctx, t, err));
    const tm_shape *x = &ctx->in[0].shape, *w = &ctx->in[1].shape;
    size_t n = (size_t)x->rank - 2;
    int64_t strides[2], dilations[2], extra[2], pads[4], wanted[2];
    const char *auto_pad = tm_attr_string(ctx->node, "auto_pad", "NOTSET");
    if (strcmp(auto_pad, "NOTSET") && strcmp(auto_pad, "VALID") && strcmp(auto_pad, "SAME_UPPER") &&
        strcmp(auto_pad, "SAME_LOWER"))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT,
                          "attribute auto_pad is '%.40s', expected NOTSET, VALID, SAME_UPPER or SAME_LOWER", auto_pad);
    TM_TRY(tm_conv_ints(ctx, "strides", n, 1, 1, strides, err));
    TM_TRY(tm_conv_ints(ctx, "dilations", n, 1, 1, dilations, err));
    TM_TRY(tm_conv_ints(ctx, "output_padding", n, 0, 0, extra, err));
    TM_TRY(tm_conv_ints(ctx, "pads", 2 * n, 0, 0, pads, err));
    TM_TRY(tm_conv_ints(ctx, "output_shape", n, 1, -1, wanted, err));
    t->x = (tm_transpose_axis){
        .in = x->dim[n + 1], .kernel = w->dim[n + 1], .stride = strides[n - 1], .dilation = dilations[n - 1]};
    TM_TRY(place_axis(ctx, &t->x, auto_pad, extra[n - 1], wanted[n - 1], pads[n - 1], pads[2 * n - 1], err));
    t->y = (tm_transpose_axis){.in = 1, .out = 1, .kernel = 1, .stride = 1, .dilation = 1};
    if (n == 1) return TAGMASK_OK;
    t->y = (tm_transpose_axis){.in = x->dim[2], .kernel = w->dim[2], .stride = strides[0], .dilation = dilations[0]};
    return place_axis(ctx, &t->y, auto_pad, extra[0], wanted[0], pads[0], pads[2], err);
}

static tagmask_status transpose_shape(tm_op_ctx *ctx, tm_error *err) {
    if (ctx->input_count < 2 || ctx->output_count != 1 || ctx->in[1].dtype == TM_DTYPE_NONE)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "expected an input, weights and one output");
    if (ctx->in[0].dtype != TM_FLOAT32 || ctx->in[1].dtype != TM_FLOAT32)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "input and weights must be float");
    tm_transpose t;
    TM_TRY(read_transpose(ctx, &t, err));
    tm_shape *shape = &ctx->out[0].shape;
    *shape = ctx->in[0].shape;
    if (!tm_mul_i64(t.groups, t.group_out, &shape->dim[1]))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "too many output channels");
    if (shape->rank == 4) shape->dim[2] = t.y.out;
    shape->dim[shape->rank - 1] = t.x.out;
    ctx->out[0].dtype = TM_FLOAT32;
    size_t in, out, weights;
    if (!tm_shape_count(&ctx->in[0].shape, &in) || !tm_shape_count(shape, &out) ||
        !tm_shape_count(&ctx->in[1].shape, &weights) || in > INT32_MAX || out > INT32_MAX || weights > INT32_MAX)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "input, weights or output have more than 2^31 elements");
    bool biased = ctx->input_count > 2 && ctx->in[2].dtype != TM_DTYPE_NONE;
    if (biased &&
        (ctx->in[2].dtype != TM_FLOAT32 || ctx->in[2].shape.rank != 1 || ctx->in[2].shape.dim[0] != shape->dim[1]))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "the bias must hold one float for each of the %lld channels",
                          (long long)shape->dim[1]);
    if (ctx->node->prepared) ctx->scratch_bytes = tm_conv_phases_scratch(&t);
    ctx->flops = 2.0 * (double)in * (double)t.group_out * (double)t.y.kernel * (double)t.x.kernel;
    return TAGMASK_OK;
}

// What the weights become depends on the pads, but not on the image's size, unless output_shape is given.
static tagmask_status transpose_prepare(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    bool biased = ctx->input_count > 2 && ctx->in[2].dtype != TM_DTYPE_NONE;
    tm_host_tensor in[3] = {{TM_FLOAT32, {4, {1, ctx->in[1].shape.dim[0], 4096, 4096}}, NULL}, ctx->in[1]};
    tm_op_ctx any = *ctx;
    any.in = in;
    tm_transpose t;
    tm_error ignored;
    bool fits = ctx->in[1].data && ctx->in[1].shape.rank == 4 && ctx->in[1].dtype == TM_FLOAT32 &&
                (!biased || (ctx->in[2].data && ctx->in[2].dtype == TM_FLOAT32)) &&
                !tm_attr_has(ctx->node, "output_shape");
    // What is wrong with the node is said when its shape is known.
    if (!fits || read_transpose(&any, &t, &ignored) != TAGMASK_OK || !tm_conv_phases_fit(&t)) return TAGMASK_OK;
    size_t biases;
    if (biased && (!tm_shape_count(&ctx->in[2].shape, &biases) || biases != (size_t)t.group_out)) return TAGMASK_OK;
    return tm_conv_phases_prepare(ctx, &t, ctx->in[1].data, biased ? ctx->in[2].data : NULL, recorder, err);
}

static void transpose_release(tm_node *node) {
    free(node->prepared);
    node->prepared = NULL;
}

static void transpose_layout(tm_op_ctx *ctx, tm_layout *in, tm_layout *out) {
    tm_layout wanted = ctx->node->prepared ? TM_C4 : TM_LINEAR;
    for (size_t i = 0; i < ctx->input_count; i++) in[i] = i == 0 || i > 2 ? wanted : TM_LINEAR;
    out[0] = wanted;
}

// By images, output channels (if there are no groups, and weights that can be cut), and rows of the output with the
// rows of the input that reach them; with prepared weights by rows of whole phases.
static void transpose_cut(tm_op_ctx *ctx, tm_cut *cut) {
    tm_transpose t;
    tm_error ignored;
    if (read_transpose(ctx, &t, &ignored) != TAGMASK_OK) return;
    const tm_transpose_axis *rows = ctx->in[0].shape.rank == 3 ? &t.x : &t.y;
    int32_t added = ctx->node->fused.residual;
    bool phases = ctx->node->prepared, channels = t.groups == 1 && !phases;
    int64_t extents[3] = {t.batch, channels ? t.group_out : 1, rows->out};
    for (int8_t d = 0; d < 3; d++) {
        size_t a = tm_cut_add(cut, extents[d], d == 2 && phases ? rows->stride : 1);
        if (d == 1 && !channels) continue;
        cut->dim[ctx->input_count][a] = d;
        if (d != 1) cut->dim[0][a] = d;
        if (added >= 0) cut->dim[added][a] = d;
    }
    if (channels) cut->dim[1][1] = 1;
    if (channels && ctx->input_count > 2 && ctx->in[2].dtype != TM_DTYPE_NONE) cut->dim[2][1] = 0;
    cut->axis[2].mul = 1;
    cut->axis[2].div = rows->stride;
    cut->axis[2].high = rows->pad;
    cut->axis[2].low = rows->pad - rows->dilation * (rows->kernel - 1) + rows->stride - 1;
    if (!phases) return;
    cut->hidden[0].bytes = tm_conv_phases_scratch(&t);
    cut->hidden[0].axes = 1u << 0 | 1u << 2;
}

static void narrow_axis(tm_transpose_axis *a, int64_t first, int64_t in, int64_t out) {
    if (out == a->out) return;
    int64_t low = first + a->pad - a->dilation * (a->kernel - 1) + a->stride - 1;
    int64_t begin = TM_CLAMP(low < 0 ? 0 : low / a->stride, 0, a->in - 1);
    a->pad += first - begin * a->stride;
    a->in = in;
    a->out = out;
}

// What a piece sees of the whole.
static void narrow(const tm_op_ctx *ctx, tm_transpose *t) {
    const tm_shape *x = &ctx->gin[0].shape, *y = &ctx->gout[0].shape;
    t->batch = y->dim[0];
    if (t->groups == 1) t->group_out = y->dim[1];
    narrow_axis(x->rank == 3 ? &t->x : &t->y, ctx->first[2], x->dim[2], y->dim[2]);
}

int64_t tm_common_divisor(int64_t a, int64_t b) {
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

// How many taps meet an element of the output at most: the others fall between the input's elements.
static uint64_t taps_that_meet(const tm_transpose_axis *a) {
    int64_t period = a->stride / tm_common_divisor(a->stride, a->dilation);
    return (uint64_t)((a->kernel + period - 1) / period);
}

tagmask_status tm_conv_transpose_record(tm_op_ctx *ctx, const tm_transpose *t, tm_slice bias, tm_recorder *recorder,
                                        tm_error *err) {
    int32_t added = ctx->node->fused.residual;
    transpose_push push = {.in_width = (int32_t)t->x.in,
                           .in_height = (int32_t)t->y.in,
                           .group_in = (int32_t)t->group_in,
                           .group_out = (int32_t)t->group_out,
                           .groups = (int32_t)t->groups,
                           .out_width = (int32_t)t->x.out,
                           .out_height = (int32_t)t->y.out,
                           .out_total = (int32_t)(t->batch * t->groups * t->group_out * t->y.out * t->x.out),
                           .kernel_width = (int32_t)t->x.kernel,
                           .kernel_height = (int32_t)t->y.kernel,
                           .stride_x = (int32_t)t->x.stride,
                           .stride_y = (int32_t)t->y.stride,
                           .pad_x = (int32_t)t->x.pad,
                           .pad_y = (int32_t)t->y.pad,
                           .dilation_x = (int32_t)t->x.dilation,
                           .dilation_y = (int32_t)t->y.dilation,
                           .has_bias = bias.buffer != NULL,
                           .residual = added >= 0};
    uint64_t row = (uint64_t)t->x.kernel + taps_that_meet(&t->x) * (uint64_t)t->group_in;
    TM_TRY(tm_check_rounds(ctx, (uint64_t)t->y.kernel + taps_that_meet(&t->y) * row, err));
    const tm_gpu_info *info = tm_gpu_get_info(ctx->gpu);
    uint32_t constants[2] = {tm_conv_workgroup(info), 0};
    tm_conv_act(&ctx->node->fused, &constants[1], &push.act_a, &push.act_b);
    tm_slice weights = ctx->gin[1].slice;
    tm_dispatch_info dispatch = {.bindings = {ctx->gin[0].slice, weights, bias.buffer ? bias : weights,
                                              added >= 0 ? ctx->gin[added].slice : weights, ctx->gout[0].slice},
                                 .push = &push,
                                 .push_size = sizeof push,
                                 .divisible = true,
                                 .flops = ctx->flops,
                                 .label = "conv transpose"};
    TM_TRY(tm_pipeline_get(ctx->gpu, "nn/conv_transpose", constants, 2, &dispatch.pipeline, err));
    return tm_conv_dispatch_each(ctx->gpu, &dispatch, (uint32_t)push.out_total, recorder, err);
}

static tagmask_status transpose_record(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    tm_transpose t;
    TM_TRY(read_transpose(ctx, &t, err));
    if (ctx->first) narrow(ctx, &t);
    if (ctx->node->prepared) return tm_conv_phases_record(ctx, &t, recorder, err);
    bool biased = ctx->input_count > 2 && ctx->in[2].dtype != TM_DTYPE_NONE;
    return tm_conv_transpose_record(ctx, &t, biased ? ctx->gin[2].slice : (tm_slice){0}, recorder, err);
}

const tm_op tm_ops_conv_transpose[] = {{.type = "ConvTranspose",
                                        .domain = "",
                                        .since = 1,
                                        .shape = transpose_shape,
                                        .layout = transpose_layout,
                                        .prepare = transpose_prepare,
                                        .release = transpose_release,
                                        .constant_inputs = 6,
                                        .cut = transpose_cut,
                                        .fuses = TM_FUSES_ACT | TM_FUSES_RESIDUAL,
                                        .record = transpose_record,
                                        .gradient = tm_gradient_conv_transpose},
                                       {.type = NULL}};
