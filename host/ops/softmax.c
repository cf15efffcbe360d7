// Softmax, LogSoftmax and Hardmax. Before opset 13 they see a matrix: everything from the axis on is one line.
#include "ops/softmax.h"

#include <string.h>

#include "ops/gradients.h"

static int32_t softmax_axis(const tm_op_ctx *ctx, int32_t rank) {
    int64_t axis = tm_attr_int(ctx->node, "axis", ctx->node->opset < 13 ? 1 : -1);
    return (int32_t)(axis < 0 ? axis + rank : axis);
}

static tagmask_status shape_softmax(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 1, 1, err));
    TM_TRY(tm_need_float(ctx, 0, "the input", err));
    const tm_shape *in = &ctx->in[0].shape;
    bool old = ctx->node->opset < 13;
    int64_t axis = tm_attr_int(ctx->node, "axis", old ? 1 : -1);
    int32_t ignored;
    // The old form also allows the axis after the last one: lines of one element.
    if (!(old && axis == in->rank)) TM_TRY(tm_normalize_axis(ctx, "axis", axis, in->rank, &ignored, err));
    tm_set_output(ctx, 0, TM_FLOAT32, in);
    ctx->flops = 8.0 * (double)tm_span(in, 0, in->rank);
    return TAGMASK_OK;
}

void tm_softmax_cut(tm_op_ctx *ctx, tm_cut *cut, size_t count) {
    int32_t rank = ctx->in[0].shape.rank, axis = softmax_axis(ctx, rank);
    tm_cut_dims(ctx, cut, ctx->node->opset < 13 ? (1u << axis) - 1 : ~(1u << axis));
    for (size_t i = 1; i < count; i++)
        for (size_t a = 0; a < cut->axis_count; a++) cut->dim[i][a] = cut->dim[0][a];
}

static void cut_softmax(tm_op_ctx *ctx, tm_cut *cut) {
    tm_softmax_cut(ctx, cut, 1);
}

void tm_softmax_lines(const tm_op_ctx *ctx, const tm_shape *in, uint32_t *count, uint32_t *length, uint32_t *apart) {
    int32_t axis = softmax_axis(ctx, in->rank), end = ctx->node->opset < 13 ? in->rank : axis + 1;
    *length = (uint32_t)tm_span(in, axis, end);
    *apart = (uint32_t)tm_span(in, end, in->rank);
    *count = (uint32_t)tm_span(in, 0, axis) * *apart;
}

static tagmask_status record_softmax(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    struct {
        uint32_t count, axis, inner;
    } push;
    tm_softmax_lines(ctx, &ctx->gin[0].shape, &push.count, &push.axis, &push.inner);
    if (!push.axis) return TAGMASK_OK;
    const char *type = ctx->node->op_type;
    tm_launch launch = {.shader = "nn/softmax",
                        .constants = {!strcmp(type, "Softmax")      ? 0
                                      : !strcmp(type, "LogSoftmax") ? 1
                                                                    : 2},
                        .constant_count = 1,
                        .bindings = {ctx->gin[0].slice, ctx->gout[0].slice},
                        .binding_count = 2,
                        .push = &push,
                        .push_size = sizeof push,
                        .threads = push.count,
                        .rounds = 3 * ((uint64_t)push.axis / 8 + 1) + push.axis / 256 + 1,
                        .flops = 8.0 * push.count * push.axis};
    return tm_launch_threads(ctx, recorder, &launch, err);
}

const tm_op tm_ops_softmax[] = {
    {.type = "Softmax",
     .domain = "",
     .since = 1,
     .shape = shape_softmax,
     .cut = cut_softmax,
     .record = record_softmax,
     .gradient = tm_gradient_softmax},
    {.type = "LogSoftmax",
     .domain = "",
     .since = 1,
     .shape = shape_softmax,
     .cut = cut_softmax,
     .record = record_softmax,
     .gradient = tm_gradient_softmax},
    {.type = "Hardmax", .domain = "", .since = 1, .shape = shape_softmax, .cut = cut_softmax, .record = record_softmax},
    {.type = NULL},
};
