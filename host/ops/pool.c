// MaxPool and AveragePool over one to three spatial dimensions, with padding, dilation, ceil_mode and auto_pad. Windows
// are boxes, so that the third dimension is a second pass: maxima of maxima, means of means (the numbers of elements
// that means divide by are products of those along the axes).
#include "ops/pool.h"

#include <string.h>

#include "ops/gradients.h"

enum { MAXIMUM = 0, MEAN_INSIDE, MEAN_PADDED };  // numbers of shaders/nn/pool.glsl

static tagmask_status read_sizes(tm_op_ctx *ctx, const char *name, int32_t spatial, int64_t *sizes, tm_error *err) {
    size_t count;
    const int64_t *values = tm_attr_ints(ctx->node, name, &count);
    sizes[0] = sizes[1] = sizes[2] = 1;
    if (!values) return TAGMASK_OK;
    if (count != (size_t)spatial)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "%s has %zu entries; expected %d", name, count, (int)spatial);
    for (int32_t i = 0; i < spatial; i++) {
        if (values[i] < 1 || values[i] > INT32_MAX)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "%s is %lld; expected at least 1", name,
                              (long long)values[i]);
        sizes[3 - spatial + i] = values[i];
    }
    return TAGMASK_OK;
}

static tagmask_status read_pads(tm_op_ctx *ctx, tm_pool_plan *p, int32_t spatial, tm_error *err) {
    size_t count;
    const int64_t *pads = tm_attr_ints(ctx->node, "pads", &count);
    if (!pads) return TAGMASK_OK;
    if (count != (size_t)spatial * 2)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "pads has %zu entries; expected %d", count, 2 * (int)spatial);
    for (int32_t i = 0; i < spatial; i++) {
        int d = 3 - spatial + i;
        p->begin[d] = pads[i];
        p->end[d] = pads[i + spatial];
        if (pads[i] < 0 || pads[i + spatial] < 0 || pads[i] > INT32_MAX || pads[i + spatial] > INT32_MAX)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "pads are negative or huge");
    }
    return TAGMASK_OK;
}

// Output size and, for auto_pad, the padding of dimension d.
static tagmask_status pool_size(tm_op_ctx *ctx, tm_pool_plan *p, int d, const char *auto_pad, bool ceil_mode,
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

tagmask_status tm_pool_plan_make(tm_op_ctx *ctx, tm_pool_plan *p, tm_error *err) {
    const tm_shape *in = &ctx->in[0].shape;
    int32_t spatial = in->rank - 2;
    *p = (tm_pool_plan){.in = {1, 1, 1}, .out = {1, 1, 1}};
    if (spatial < 1 || spatial > 3)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "its input has rank %d; expected 3 to 5", (int)in->rank);
    for (int32_t i = 0; i < spatial; i++) p->in[3 - spatial + i] = in->dim[2 + i];
    if (!tm_attr_has(ctx->node, "kernel_shape"))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "has no attribute kernel_shape; it is required");
    TM_TRY(read_sizes(ctx, "kernel_shape", spatial, p->kernel, err));
    TM_TRY(read_sizes(ctx, "strides", spatial, p->stride, err));
    TM_TRY(read_sizes(ctx, "dilations", spatial, p->dilation, err));
    TM_TRY(read_pads(ctx, p, spatial, err));
    const char *auto_pad = tm_attr_string(ctx->node, "auto_pad", "NOTSET");
    bool ceil_mode = tm_attr_int(ctx->node, "ceil_mode", 0) != 0;
    for (int d = 3 - spatial; d < 3; d++) TM_TRY(pool_size(ctx, p, d, auto_pad, ceil_mode, err));
    return TAGMASK_OK;
}

static tagmask_status shape_pool(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 1, 1, err));
    TM_TRY(tm_need_float(ctx, 0, "the input", err));
    tm_pool_plan p;
    TM_TRY(tm_pool_plan_make(ctx, &p, err));
    tm_shape shape = ctx->in[0].shape;
    for (int32_t d = 2; d < shape.rank; d++) shape.dim[d] = p.out[d - (shape.rank - 3)];
    tm_set_output(ctx, 0, TM_FLOAT32, &shape);
    if (ctx->output_count > 1) {
        if (strcmp(ctx->node->op_type, "MaxPool") || shape.rank > 4)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED,
                              "asks for indices; expected MaxPool over one or two dimensions");
        tm_set_output(ctx, 1, TM_INT64, &shape);
    }
    ctx->flops =
        (double)p.kernel[0] * (double)p.kernel[1] * (double)p.kernel[2] * (double)tm_span(&shape, 0, shape.rank);
    // What lies between the two passes.
    size_t planes = tm_span(&shape, 0, 2), plane, between;
    if (shape.rank < 5) return TAGMASK_OK;
    if (!tm_mul_size(planes * (size_t)p.in[0], (size_t)p.out[1], &plane) ||
        !tm_mul_size(plane, (size_t)p.out[2], &between) || between > INT32_MAX)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "is too large in between its passes");
    ctx->scratch_bytes = (uint64_t)between * 4;
    return TAGMASK_OK;
}

static void layout_pool(tm_op_ctx *ctx, tm_layout *in, tm_layout *out) {
    if (ctx->in[0].shape.rank != 4 || ctx->output_count > 1) in[0] = TM_LINEAR;
    for (size_t i = 0; i < ctx->output_count; i++) out[i] = in[0];
}

// By planes. Indices count in the whole tensor, so that theirs cannot be told from a piece.
static void cut_pool(tm_op_ctx *ctx, tm_cut *cut) {
    if (ctx->output_count == 1) tm_cut_dims(ctx, cut, 3);
    if (ctx->scratch_bytes) cut->hidden[0].bytes = ctx->scratch_bytes;
    cut->hidden[0].axes = (1u << cut->axis_count) - 1;
}

// One pass over planes: axes[] names the dimensions of the plan that are their height and width; -1: the plane has rows
// of `width` elements that stay as they are.
typedef struct pool_pass {
    tm_slice from, to;
    uint64_t planes;
    int axes[2];
    int64_t width;
} pool_pass;

static tagmask_status record_pass(tm_op_ctx *ctx, tm_recorder *recorder, const tm_pool_plan *p, const pool_pass *pass,
                                  tm_error *err) {
    bool c4 = ctx->gin[0].layout == TM_C4, indices = ctx->output_count > 1 && ctx->gout[1].slice.buffer;
    struct {
        uint32_t count, column_major;
        int32_t in[2], out[2], kernel[2], stride[2], dilation[2], begin[2], end[2];
    } push = {.column_major = tm_attr_int(ctx->node, "storage_order", 0) != 0};
    for (int i = 0; i < 2; i++) {
        int d = pass->axes[i];
        push.in[i] = d < 0 ? (int32_t)pass->width : (int32_t)p->in[d];
        push.out[i] = d < 0 ? (int32_t)pass->width : (int32_t)p->out[d];
        push.kernel[i] = d < 0 ? 1 : (int32_t)p->kernel[d];
        push.stride[i] = d < 0 ? 1 : (int32_t)p->stride[d];
        push.dilation[i] = d < 0 ? 1 : (int32_t)p->dilation[d];
        push.begin[i] = d < 0 ? 0 : (int32_t)p->begin[d];
        push.end[i] = d < 0 ? 0 : (int32_t)p->end[d];
    }
    push.count = (uint32_t)pass->planes * (uint32_t)push.out[0] * (uint32_t)push.out[1];
    uint32_t mode = !strcmp(ctx->node->op_type, "MaxPool")           ? MAXIMUM
                    : tm_attr_int(ctx->node, "count_include_pad", 0) ? MEAN_PADDED
                                                                     : MEAN_INSIDE;
    // The common windows get their loops unrolled.
    uint32_t fixed = push.kernel[0] == push.kernel[1] && push.kernel[0] <= 3 ? (uint32_t)push.kernel[0] : 0;
    tm_launch launch = {.shader = c4        ? "nn/pool_c4"
                                  : indices ? "nn/pool_indices"
                                            : "nn/pool",
                        .texel_shader = c4 ? "nn/pool_c4_texel" : NULL,
                        .texel_inputs = 1,
                        .constants = {mode, fixed, fixed},
                        .constant_count = 3,
                        .bindings = {pass->from, pass->to},
                        .binding_count = 2,
                        .push = &push,
                        .push_size = sizeof push,
                        .threads = push.count,
                        .rounds = (uint64_t)push.kernel[0] * ((uint64_t)push.kernel[1] + 1),
                        .flops = (double)push.kernel[0] * (double)push.kernel[1] * push.count * 4};
    if (indices) launch.bindings[launch.binding_count++] = ctx->gout[1].slice;
    return tm_launch_threads(ctx, recorder, &launch, err);
}

static tagmask_status record_pool(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    tm_pool_plan p;
    TM_TRY(tm_pool_plan_make(ctx, &p, err));
    tm_shape dims;
    tm_element_dims(&ctx->gin[0], &dims);
    uint64_t planes = tm_span(&dims, 0, 2);
    bool deep = dims.rank == 5;
    tm_slice between = ctx->scratch;
    if (deep) between.size = TM_MAX(planes * (uint64_t)(p.in[0] * p.out[1] * p.out[2]) * 4, (uint64_t)16);
    pool_pass pass = {ctx->gin[0].slice, deep ? between : ctx->gout[0].slice, planes * (uint64_t)p.in[0], {1, 2}, 0};
    TM_TRY(record_pass(ctx, recorder, &p, &pass, err));
    if (!deep) return TAGMASK_OK;
    pass = (pool_pass){between, ctx->gout[0].slice, planes, {0, -1}, p.out[1] * p.out[2]};
    return record_pass(ctx, recorder, &p, &pass, err);
}

const tm_op tm_ops_pool[] = {
    {.type = "MaxPool",
     .domain = "",
     .since = 1,
     .shape = shape_pool,
     .layout = layout_pool,
     .cut = cut_pool,
     .record = record_pool,
     .gradient = tm_gradient_pool},
    {.type = "AveragePool",
     .domain = "",
     .since = 1,
     .shape = shape_pool,
     .layout = layout_pool,
     .cut = cut_pool,
     .record = record_pool,
     .gradient = tm_gradient_pool},
    {.type = NULL},
};
