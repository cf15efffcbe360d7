// Gradients of pooling over one or two spatial dimensions, gathered by the elements of the input: MaxPoolGradient(x, g)
// first finds where each maximum was (the first one of a window), AveragePoolGradient(x, g) needs only the shape of x.
#include <string.h>

#include "ops/gradients.h"
#include "ops/pool.h"

enum { MAXIMUM = 0, MEAN_INSIDE, MEAN_PADDED };  // numbers of shaders/nn/pool_gradient.glsl

void tm_gradient_pool(tm_backward *back) {
    bool maximum = !strcmp(tm_back_node(back)->op_type, "MaxPool");
    const char *type = maximum ? "MaxPoolGradient" : "AveragePoolGradient";
    int32_t value = TM_BACK(back, type, tm_back_in(back, 0), tm_back_from(back, 0));
    tm_back_inherit(back);
    tm_back_give(back, 0, value);
}

static bool is_maximum(const tm_op_ctx *ctx) {
    return !strcmp(ctx->node->op_type, "MaxPoolGradient");
}

static tagmask_status shape_pool_gradient(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 2, 2, err));
    TM_TRY(tm_need_float(ctx, 0, "the input", err));
    TM_TRY(tm_need_float(ctx, 1, "the gradient", err));
    tm_pool_plan p;
    TM_TRY(tm_pool_plan_make(ctx, &p, err));
    const tm_shape *x = &ctx->in[0].shape, *g = &ctx->in[1].shape;
    if (x->rank > 4)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED,
                          "its input has rank %d; gradients of pooling over one or two dimensions are supported",
                          (int)x->rank);
    tm_set_output(ctx, 0, TM_FLOAT32, x);
    ctx->flops = (double)p.kernel[1] * (double)p.kernel[2] * (double)tm_span(x, 0, x->rank);
    if (is_maximum(ctx)) ctx->scratch_bytes = TM_MAX(tm_layout_bytes(g, x->rank == 4 ? TM_C4 : TM_LINEAR), (size_t)16);
    return TAGMASK_OK;
}

// As the input lies.
static void layout_pool_gradient(tm_op_ctx *ctx, tm_layout *in, tm_layout *out) {
    if (ctx->in[0].shape.rank != 4) in[0] = TM_LINEAR;
    in[1] = out[0] = in[0];
}

// By planes.
static void cut_pool_gradient(tm_op_ctx *ctx, tm_cut *cut) {
    for (int8_t d = 0; d < 2; d++) {
        size_t axis = tm_cut_add(cut, ctx->in[0].shape.dim[d], 1);
        cut->dim[0][axis] = cut->dim[1][axis] = cut->dim[2][axis] = d;
        cut->hidden[0].axes |= 1u << axis;
    }
    cut->hidden[0].bytes = ctx->scratch_bytes;
}

static tagmask_status record_pool_gradient(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    tm_pool_plan p;
    TM_TRY(tm_pool_plan_make(ctx, &p, err));
    bool c4 = ctx->gout[0].layout == TM_C4, maximum = is_maximum(ctx);
    tm_shape dims;
    tm_element_dims(&ctx->gout[0], &dims);
    struct {
        uint32_t count, unused;  // GLSL aligns ivec2 to 8 bytes
        int32_t in[2], out[2], kernel[2], stride[2], dilation[2], begin[2], end[2];
    } push = {0};
    for (int i = 0; i < 2; i++) {
        push.in[i] = (int32_t)p.in[i + 1];
        push.out[i] = (int32_t)p.out[i + 1];
        push.kernel[i] = (int32_t)p.kernel[i + 1];
        push.stride[i] = (int32_t)p.stride[i + 1];
        push.dilation[i] = (int32_t)p.dilation[i + 1];
        push.begin[i] = (int32_t)p.begin[i + 1];
        push.end[i] = (int32_t)p.end[i + 1];
    }
    uint32_t planes = (uint32_t)tm_span(&dims, 0, 2);
    uint32_t mode = maximum ? MAXIMUM : tm_attr_int(ctx->node, "count_include_pad", 0) ? MEAN_PADDED : MEAN_INSIDE;
    tm_slice g = ctx->gin[1].slice, found = maximum ? ctx->scratch : g;
    if (maximum) found.size = TM_MAX(tm_layout_bytes(&ctx->gin[1].shape, ctx->gin[1].layout), (size_t)16);
    for (uint32_t pass = maximum ? 0 : 1; pass < 2; pass++) {
        push.count = planes * (uint32_t)(pass ? push.in[0] * push.in[1] : push.out[0] * push.out[1]);
        tm_launch launch = {.shader = c4 ? "nn/pool_gradient_c4" : "nn/pool_gradient",
                            .constants = {pass, mode},
                            .constant_count = 2,
                            .bindings = {pass ? g : ctx->gin[0].slice, found, ctx->gout[0].slice},
                            .binding_count = 3,
                            .push = &push,
                            .push_size = sizeof push,
                            .threads = push.count,
                            .rounds = (uint64_t)push.kernel[0] * ((uint64_t)push.kernel[1] + 1),
                            .flops = (double)push.kernel[0] * (double)push.kernel[1] * push.count * 4};
        TM_TRY(tm_launch_threads(ctx, recorder, &launch, err));
    }
    return TAGMASK_OK;
}

const tm_op tm_ops_pool_gradient[] = {
    {.type = "MaxPoolGradient",
     .domain = TM_GRADIENT_DOMAIN,
     .since = 1,
     .shape = shape_pool_gradient,
     .layout = layout_pool_gradient,
     .cut = cut_pool_gradient,
     .record = record_pool_gradient},
    {.type = "AveragePoolGradient",
     .domain = TM_GRADIENT_DOMAIN,
     .since = 1,
     .shape = shape_pool_gradient,
     .layout = layout_pool_gradient,
     .shape_inputs = 1,
     .cut = cut_pool_gradient,
     .record = record_pool_gradient},
    {.type = NULL},
};
