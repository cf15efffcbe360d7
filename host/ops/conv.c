// Conv (ONNX 1 to current): attributes, shapes, layouts and the choice of a kernel.
#include "ops/conv.h"

#include <stdlib.h>
#include <string.h>

#include "ops/gradients.h"

tagmask_status tm_conv_ints(const tm_op_ctx *ctx, const char *name, size_t count, int64_t low, int64_t otherwise,
                            int64_t *values, tm_error *err) {
    size_t given = 0;
    const int64_t *list = tm_attr_ints(ctx->node, name, &given);
    for (size_t i = 0; i < count; i++) values[i] = otherwise;
    if (!list) return TAGMASK_OK;
    if (given != count)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "attribute %s has %zu values, expected %zu", name, given,
                          count);
    for (size_t i = 0; i < count; i++) {
        if (list[i] < low || list[i] > TM_CONV_LARGEST)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "attribute %s holds %lld, expected %lld to %d", name,
                              (long long)list[i], (long long)low, TM_CONV_LARGEST);
        values[i] = list[i];
    }
    return TAGMASK_OK;
}

// What weights and attributes say: channels, kernel, strides, dilations, groups (not pads, which may depend on sizes).
static tagmask_status read_weights(const tm_op_ctx *ctx, tm_conv *conv, tm_error *err) {
    const tm_shape *w = &ctx->in[1].shape;
    if (w->rank != 3 && w->rank != 4)
        return tm_op_fail(
            ctx, err, TAGMASK_ERROR_UNSUPPORTED,
            "the weights have rank %d; one- and two-dimensional convolutions (rank 3 and 4) are supported", w->rank);
    for (int i = 0; i < w->rank; i++)
        if (w->dim[i] < 1 || w->dim[i] > INT32_MAX / 16)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "dimension %d of the weights is %lld", i,
                              (long long)w->dim[i]);
    size_t spatial = (size_t)w->rank - 2, given = 0;
    int64_t strides[2], dilations[2], groups = tm_attr_int(ctx->node, "group", 1);
    const int64_t *kernel = tm_attr_ints(ctx->node, "kernel_shape", &given);
    if (kernel && (given != spatial || memcmp(kernel, w->dim + 2, spatial * sizeof *kernel)))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "attribute kernel_shape disagrees with the weights' shape");
    TM_TRY(tm_conv_ints(ctx, "strides", spatial, 1, 1, strides, err));
    TM_TRY(tm_conv_ints(ctx, "dilations", spatial, 1, 1, dilations, err));
    int64_t in_channels;
    if (groups < 1 || groups > w->dim[0] || w->dim[0] % groups || !tm_mul_i64(groups, w->dim[1], &in_channels) ||
        in_channels > INT32_MAX / 16)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT,
                          "attribute group is %lld, expected a divisor of the %lld output channels", (long long)groups,
                          (long long)w->dim[0]);
    bool flat = spatial == 1;
    *conv = (tm_conv){.in_channels = (int32_t)in_channels,
                      .out_channels = (int32_t)w->dim[0],
                      .groups = (int32_t)groups,
                      .kernel_height = flat ? 1 : (int32_t)w->dim[2],
                      .kernel_width = (int32_t)w->dim[flat ? 2 : 3],
                      .stride_y = flat ? 1 : (int32_t)strides[0],
                      .stride_x = (int32_t)strides[flat ? 0 : 1],
                      .dilation_y = flat ? 1 : (int32_t)dilations[0],
                      .dilation_x = (int32_t)dilations[flat ? 0 : 1]};
    return TAGMASK_OK;
}

// Output size and leading and trailing pad of one axis, by auto_pad or the given pads.
static tagmask_status read_axis(const tm_op_ctx *ctx, const char *auto_pad, int64_t size, int64_t kernel,
                                int64_t stride, int64_t dilation, int32_t *before, int32_t *after, int32_t *out,
                                tm_error *err) {
    int64_t reach = dilation * (kernel - 1) + 1, result;
    if (reach > TM_CONV_REACH || size > TM_CONV_REACH)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "a side of %lld with a kernel over %lld is too large",
                          (long long)size, (long long)reach);
    if (!strcmp(auto_pad, "SAME_UPPER") || !strcmp(auto_pad, "SAME_LOWER")) {
        result = (size + stride - 1) / stride;
        int64_t total = (result - 1) * stride + reach - size;
        if (total < 0) total = 0;
        int64_t small = total / 2;
        bool upper = auto_pad[5] == 'U';
        *before = (int32_t)(upper ? small : total - small);
        *after = (int32_t)(upper ? total - small : small);
    } else {
        int64_t room = size + *before + *after - reach;
        if (room < 0)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT,
                              "the kernel reaches over %lld elements, the padded input has only %lld", (long long)reach,
                              (long long)(size + *before + *after));
        result = room / stride + 1;
    }
    *out = (int32_t)result;
    return TAGMASK_OK;
}

static tagmask_status read_pads(const tm_op_ctx *ctx, tm_conv *conv, tm_error *err) {
    const tm_shape *x = &ctx->in[0].shape;
    size_t spatial = (size_t)x->rank - 2;
    bool flat = spatial == 1;
    const char *auto_pad = tm_attr_string(ctx->node, "auto_pad", "NOTSET");
    if (strcmp(auto_pad, "NOTSET") && strcmp(auto_pad, "VALID") && strcmp(auto_pad, "SAME_UPPER") &&
        strcmp(auto_pad, "SAME_LOWER"))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT,
                          "attribute auto_pad is '%.40s', expected NOTSET, VALID, SAME_UPPER or SAME_LOWER", auto_pad);
    int64_t pads[4] = {0};
    if (!strcmp(auto_pad, "NOTSET")) TM_TRY(tm_conv_ints(ctx, "pads", 2 * spatial, 0, 0, pads, err));
    conv->pad_left = (int32_t)pads[flat ? 0 : 1];
    conv->pad_right = (int32_t)pads[flat ? 1 : 3];
    conv->pad_top = flat ? 0 : (int32_t)pads[0];
    conv->pad_bottom = flat ? 0 : (int32_t)pads[2];
    TM_TRY(read_axis(ctx, auto_pad, conv->in_width, conv->kernel_width, conv->stride_x, conv->dilation_x,
                     &conv->pad_left, &conv->pad_right, &conv->out_width, err));
    if (flat) {
        conv->out_height = 1;
        return TAGMASK_OK;
    }
    return read_axis(ctx, auto_pad, conv->in_height, conv->kernel_height, conv->stride_y, conv->dilation_y,
                     &conv->pad_top, &conv->pad_bottom, &conv->out_height, err);
}

tagmask_status tm_conv_read(const tm_op_ctx *ctx, tm_conv *conv, tm_error *err) {
    TM_TRY(read_weights(ctx, conv, err));
    const tm_shape *x = &ctx->in[0].shape;
    char text[128];
    if (x->rank != ctx->in[1].shape.rank || x->dim[1] != conv->in_channels)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT,
                          "the input has shape %s, expected rank %d with %d channels as the weights say",
                          tm_shape_text(x, text, sizeof text), ctx->in[1].shape.rank, conv->in_channels);
    // Shaders count elements in 32 bits with a sign.
    if (tm_layout_bytes(x, x->rank == 4 ? TM_C4 : TM_LINEAR) / 4 > INT32_MAX)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "the input has shape %s, more than 2^31 elements",
                          tm_shape_text(x, text, sizeof text));
    conv->batch = (int32_t)x->dim[0];
    conv->in_height = x->rank == 3 ? 1 : (int32_t)x->dim[2];
    conv->in_width = (int32_t)x->dim[x->rank - 1];
    return read_pads(ctx, conv, err);
}

static tagmask_status check_bias(const tm_op_ctx *ctx, int64_t count, tm_error *err) {
    const tm_host_tensor *bias = &ctx->in[2];
    if (bias->dtype != TM_FLOAT32 || bias->shape.rank != 1 || bias->shape.dim[0] != count || count < 1 ||
        count > INT32_MAX / 16)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "the bias must hold one float for each of the %lld channels",
                          (long long)count);
    return TAGMASK_OK;
}

static tagmask_status conv_shape(tm_op_ctx *ctx, tm_error *err) {
    if (ctx->input_count < 2 || ctx->output_count != 1 || ctx->in[1].dtype == TM_DTYPE_NONE)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "expected an input, weights and one output");
    if (ctx->in[0].dtype != TM_FLOAT32 || ctx->in[1].dtype != TM_FLOAT32)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "input and weights must be float");
    tm_conv conv;
    TM_TRY(tm_conv_read(ctx, &conv, err));
    bool biased = ctx->input_count > 2 && ctx->in[2].dtype != TM_DTYPE_NONE;
    if (biased &&
        (ctx->in[2].dtype != TM_FLOAT32 || ctx->in[2].shape.rank != 1 || ctx->in[2].shape.dim[0] != conv.out_channels))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "the bias must hold one float for each of the %d channels",
                          conv.out_channels);
    tm_shape *shape = &ctx->out[0].shape;
    *shape = ctx->in[0].shape;
    shape->dim[1] = conv.out_channels;
    if (shape->rank == 4) shape->dim[2] = conv.out_height;
    shape->dim[shape->rank - 1] = conv.out_width;
    ctx->out[0].dtype = TM_FLOAT32;
    size_t count;
    if (!tm_shape_count(shape, &count) || tm_layout_bytes(shape, shape->rank == 4 ? TM_C4 : TM_LINEAR) / 4 > INT32_MAX)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "the output would have more than 2^31 elements");
    const tm_conv_prepared *prepared = ctx->node->prepared;
    ctx->flops = 2.0 * (double)count * (conv.in_channels / conv.groups) * conv.kernel_height * conv.kernel_width;
    if (prepared && prepared->kernel != TM_CONV_LINEAR) {
        tm_conv_variant variant = tm_conv_variant_of(ctx, &conv);
        ctx->choice = (int32_t)variant;
        ctx->scratch_bytes = tm_conv_scratch(&conv, tm_gpu_get_info(ctx->gpu), variant);
    }
    if (prepared) return TAGMASK_OK;
    ctx->choice = (int32_t)tm_conv_changing_kernel(ctx, &conv);
    if (ctx->choice != TM_CONV_LINEAR)
        ctx->scratch_bytes = tm_conv_changing_scratch(ctx, &conv, (tm_conv_kernel)ctx->choice);
    return TAGMASK_OK;
}

static tagmask_status conv_prepare(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    const float *weights = ctx->in[1].data;
    bool biased = ctx->input_count > 2 && ctx->in[2].dtype != TM_DTYPE_NONE;
    const float *bias = biased ? ctx->in[2].data : NULL;
    tm_conv conv = {0};
    if (weights) {
        TM_TRY(read_weights(ctx, &conv, err));
        if (ctx->in[1].dtype != TM_FLOAT32)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "the weights must be float");
    } else if (bias) {
        conv.out_channels = (int32_t)TM_CLAMP(ctx->in[2].shape.dim[0], 0, INT32_MAX);
    }
    if (bias) TM_TRY(check_bias(ctx, conv.out_channels, err));
    tm_conv_prepared *prepared = tm_calloc(1, sizeof *prepared);
    if (!prepared) return tm_op_fail(ctx, err, TAGMASK_ERROR_MEMORY, "out of memory");
    bool constant = weights && (bias || !biased) && ctx->in[1].shape.rank == 4;
    prepared->kernel = constant ? tm_conv_choose(&conv, tm_gpu_get_info(ctx->gpu)) : TM_CONV_LINEAR;
    tagmask_status status = tm_conv_pack(ctx, &conv, weights, bias, prepared, recorder, err);
    if (status != TAGMASK_OK) {
        free(prepared);
        return status;
    }
    ctx->node->prepared = prepared;
    return TAGMASK_OK;
}

static void conv_release(tm_node *node) {
    free(node->prepared);
    node->prepared = NULL;
}

static void conv_layout(tm_op_ctx *ctx, tm_layout *in, tm_layout *out) {
    tm_layout wanted = tm_conv_kernel_of(ctx) != TM_CONV_LINEAR ? TM_C4 : TM_LINEAR;
    for (size_t i = 0; i < ctx->input_count; i++) in[i] = i == 0 || i > 2 ? wanted : TM_LINEAR;
    out[0] = wanted;
}

static tagmask_status conv_record(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    tm_conv conv;
    TM_TRY(tm_conv_read(ctx, &conv, err));
    if (ctx->first) return tm_conv_record_piece(ctx, &conv, recorder, err);
    return tm_conv_record(ctx, &conv, recorder, err);
}

const tm_op tm_ops_conv[] = {{.type = "Conv",
                              .domain = "",
                              .since = 1,
                              .shape = conv_shape,
                              .layout = conv_layout,
                              .prepare = conv_prepare,
                              .release = conv_release,
                              .constant_inputs = 6,
                              .cut = tm_conv_cut,
                              .fuses = TM_FUSES_ACT | TM_FUSES_RESIDUAL,
                              .record = conv_record,
                              .gradient = tm_gradient_conv},
                             {.type = NULL}};
