// MaxPool and AveragePool over one or two spatial dimensions, with padding, dilation, ceil_mode and auto_pad.
#include <string.h>

#include "ops/common.h"

enum { MAXIMUM = 0, MEAN_INSIDE, MEAN_PADDED };  // numbers of shaders/nn/pool.glsl

// Height first; one spatial dimension is a height of one.
typedef struct pool_plan {
    int64_t kernel[2], stride[2], dilation[2], begin[2], end[2], in[2], out[2];
} pool_plan;

static tagmask_status read_pair(tm_op_ctx *ctx, const char *name, int32_t spatial, int64_t otherwise, int64_t *pair,
                                tm_error *err) {
    size_t count;
    const int64_t *values = tm_attr_ints(ctx->node, name, &count);
    pair[0] = pair[1] = otherwise;
    if (!values) return TAGMASK_OK;
    if (count != (size_t)spatial)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "%s has %zu entries; expected %d", name, count, (int)spatial);
    for (int32_t i = 0; i < spatial; i++) {
        if (values[i] < 1 || values[i] > INT32_MAX)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "%s is %lld; expected at least 1", name,
                              (long long)values[i]);
        pair[2 - spatial + i] = values[i];
    }
    if (spatial == 1) pair[0] = 1;
    return TAGMASK_OK;
}

static tagmask_status read_pads(tm_op_ctx *ctx, pool_plan *p, int32_t spatial, tm_error *err) {
    size_t count;
    const int64_t *pads = tm_attr_ints(ctx->node, "pads", &count);
    if (!pads) return TAGMASK_OK;
    if (count != (size_t)spatial * 2)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "pads has %zu entries; expected %d", count, 2 * (int)spatial);
    for (int32_t i = 0; i < spatial; i++) {
        int d = 2 - spatial + i;
        p->begin[d] = pads[i];
        p->end[d] = pads[i + spatial];
        if (pads[i] < 0 || pads[i + spatial] < 0 || pads[i] > INT32_MAX || pads[i + spatial] > INT32_MAX)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "pads are negative or huge");
    }
    return TAGMASK_OK;
}

// Output size and, for auto_pad, the padding of dimension d.
static tagmask_status pool_size(tm_op_ctx *ctx, pool_plan *p, int d, const char *auto_pad, bool ceil_mode,
                                tm_error *err) {
    int64_t window = (p->kernel[d] - 1) * p->dilation[d] + 1, in = p->in[d], stride = p->stride[d];
    if (!strcmp(auto_pad, "SAME_UPPER") || !strcmp(auto_pad, "SAME_LOWER")) {
        p->out[d] = (in + stride - 1) / stride;
        int64_t total = TM_MAX((p->out[d] - 1) * stride + window - in, 0);
        p->begin[d] = (total + !strcmp(auto_pad, "SAME_LOWER")) / 2;
        p->end[d] = total - p->begin[d];
        return TAGMASK_OK;
    }
    if (strcmp(auto_pad, "NOTSET") && strcmp(auto_pad, "VALID"))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT,
                          "auto_pad is '%s'; expected NOTSET, VALID, SAME_UPPER or SAME_LOWER", auto_pad);
    if (!strcmp(auto_pad, "VALID")) p->begin[d] = p->end[d] = 0;
    int64_t padded = in + p->begin[d] + p->end[d];
    if (padded < window)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "its window of %lld does not fit into %lld elements",
                          (long long)window, (long long)padded);
    p->out[d] = (padded - window + (ceil_mode ? stride - 1 : 0)) / stride + 1;
    // A window that would start in the padding at the end is dropped.
    if (ceil_mode && (p->out[d] - 1) * stride >= in + p->begin[d]) p->out[d]--;
    return TAGMASK_OK;
}

static tagmask_status make_pool_plan(tm_op_ctx *ctx, pool_plan *p, tm_error *err) {
    const tm_shape *in = &ctx->in[0].shape;
    int32_t spatial = in->rank - 2;
    *p = (pool_plan){.in = {1, 1}};
    if (spatial < 1 || spatial > 2)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "its input has rank %d; expected 3 or 4", (int)in->rank);
    for (int32_t i = 0; i < spatial; i++) p->in[2 - spatial + i] = in->dim[2 + i];
    if (!tm_attr_has(ctx->node, "kernel_shape"))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "has no attribute kernel_shape; it is required");
    TM_TRY(read_pair(ctx, "kernel_shape", spatial, 1, p->kernel, err));
    TM_TRY(read_pair(ctx, "strides", spatial, 1, p->stride, err));
    TM_TRY(read_pair(ctx, "dilations", spatial, 1, p->dilation, err));
    TM_TRY(read_pads(ctx, p, spatial, err));
    const char *auto_pad = tm_attr_string(ctx->node, "auto_pad", "NOTSET");
    bool ceil_mode = tm_attr_int(ctx->node, "ceil_mode", 0) != 0;
    p->out[0] = 1;
    for (int d = 2 - spatial; d < 2; d++) TM_TRY(pool_size(ctx, p, d, auto_pad, ceil_mode, err));
    return TAGMASK_OK;
}

static tagmask_status shape_pool(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 1, 1, err));
    TM_TRY(tm_need_float(ctx, 0, "the input", err));
    if (ctx->output_count > 1)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "asks for the indices of the maxima; not supported");
    pool_plan p;
    TM_TRY(make_pool_plan(ctx, &p, err));
    tm_shape shape = ctx->in[0].shape;
    for (int32_t d = 2; d < shape.rank; d++) shape.dim[d] = p.out[d - (shape.rank - 2)];
    tm_set_output(ctx, 0, TM_FLOAT32, &shape);
    ctx->flops = (double)p.kernel[0] * (double)p.kernel[1] * (double)tm_span(&shape, 0, shape.rank);
    return TAGMASK_OK;
}

static void layout_pool(tm_op_ctx *ctx, tm_layout *in, tm_layout *out) {
    if (ctx->in[0].shape.rank != 4) in[0] = TM_LINEAR;
    out[0] = in[0];
}

static tagmask_status record_pool(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    pool_plan p;
    TM_TRY(make_pool_plan(ctx, &p, err));
    const tm_tensor *in = &ctx->gin[0], *out = &ctx->gout[0];
    bool c4 = in->layout == TM_C4;
    struct {
        uint32_t count, unused;  // GLSL aligns ivec2 to 8 bytes
        int32_t in[2], out[2], kernel[2], stride[2], dilation[2], begin[2], end[2];
    } push = {.count = (uint32_t)(tm_layout_bytes(&out->shape, out->layout) / (c4 ? 16 : 4))};
    for (int d = 0; d < 2; d++) {
        push.in[d] = (int32_t)p.in[d];
        push.out[d] = (int32_t)p.out[d];
        push.kernel[d] = (int32_t)p.kernel[d];
        push.stride[d] = (int32_t)p.stride[d];
        push.dilation[d] = (int32_t)p.dilation[d];
        push.begin[d] = (int32_t)p.begin[d];
        push.end[d] = (int32_t)p.end[d];
    }
    uint32_t mode = !strcmp(ctx->node->op_type, "MaxPool")           ? MAXIMUM
                    : tm_attr_int(ctx->node, "count_include_pad", 0) ? MEAN_PADDED
                                                                     : MEAN_INSIDE;
    // The common windows get their loops unrolled.
    uint32_t fixed = p.kernel[0] == p.kernel[1] && p.kernel[0] <= 3 ? (uint32_t)p.kernel[0] : 0;
    tm_launch launch = {.shader = c4 ? "nn/pool_c4" : "nn/pool",
                        .texel_shader = c4 ? "nn/pool_c4_texel" : NULL,
                        .texel_inputs = 1,
                        .constants = {mode, fixed, fixed},
                        .constant_count = 3,
                        .bindings = {in->slice, out->slice},
                        .binding_count = 2,
                        .push = &push,
                        .push_size = sizeof push,
                        .threads = push.count,
                        .flops = (double)p.kernel[0] * (double)p.kernel[1] * push.count * 4};
    return tm_launch_threads(ctx, recorder, &launch, err);
}

const tm_op tm_ops_pool[] = {
    {.type = "MaxPool", .domain = "", .since = 1, .shape = shape_pool, .layout = layout_pool, .record = record_pool},
    {.type = "AveragePool",
     .domain = "",
     .since = 1,
     .shape = shape_pool,
     .layout = layout_pool,
     .record = record_pool},
    {.type = NULL},
};
