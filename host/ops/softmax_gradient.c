// Gradients of Softmax and LogSoftmax from their outputs: SoftmaxGradient(y, g), which reads its attributes as they do.
#include <string.h>

#include "ops/gradients.h"
#include "ops/softmax.h"

void tm_gradient_softmax(tm_backward *back) {
    int32_t value = TM_BACK(back, "SoftmaxGradient", tm_back_out(back, 0), tm_back_from(back, 0));
    tm_back_inherit(back);
    tm_back_int(back, "logarithm", !strcmp(tm_back_node(back)->op_type, "LogSoftmax"));
    tm_back_give(back, 0, value);
}

static tagmask_status shape_softmax_gradient(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 2, 2, err));
    TM_TRY(tm_need_float(ctx, 0, "the output", err));
    TM_TRY(tm_need_float(ctx, 1, "the gradient", err));
    const tm_shape *y = &ctx->in[0].shape;
    tm_set_output(ctx, 0, TM_FLOAT32, y);
    ctx->flops = 4.0 * (double)tm_span(y, 0, y->rank);
    return TAGMASK_OK;
}

static void cut_softmax_gradient(tm_op_ctx *ctx, tm_cut *cut) {
    tm_softmax_cut(ctx, cut, 2);
}

static tagmask_status record_softmax_gradient(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    struct {
        uint32_t count, axis, inner;
    } push;
    tm_softmax_lines(ctx, &ctx->gin[0].shape, &push.count, &push.axis, &push.inner);
    if (!push.axis) return TAGMASK_OK;
    tm_launch launch = {.shader = "nn/softmax_gradient",
                        .constants = {tm_attr_int(ctx->node, "logarithm", 0) != 0},
                        .constant_count = 1,
                        .bindings = {ctx->gin[0].slice, ctx->gin[1].slice, ctx->gout[0].slice},
                        .binding_count = 3,
                        .push = &push,
                        .push_size = sizeof push,
                        .threads = push.count,
                        .rounds = 2 * ((uint64_t)push.axis / 8 + 1) + push.axis / 256 + 1,
                        .flops = 4.0 * push.count * push.axis};
    return tm_launch_threads(ctx, recorder, &launch, err);
}

const tm_op tm_ops_softmax_gradient[] = {
    {.type = "SoftmaxGradient",
     .domain = TM_GRADIENT_DOMAIN,
     .since = 1,
     .shape = shape_softmax_gradient,
     .cut = cut_softmax_gradient,
     .record = record_softmax_gradient},
    {.type = NULL},
};
