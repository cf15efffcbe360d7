// Gradients of normalizations. ChannelScale(g, scale): a tensor times one number for each channel.
#include <string.h>

#include "ops/common.h"
#include "ops/gradients.h"

// ---- BatchNormalization, at inference an affine map of each channel: y = (x - mean) s + bias, s = scale /
// sqrt(variance + epsilon).
static int32_t inverse_deviation(tm_backward *back) {
    float epsilon = tm_attr_float(tm_back_node(back), "epsilon", 1e-5f);
    int32_t variance = TM_BACK(back, "Add", tm_back_in(back, 4), tm_back_scalar(back, epsilon));
    return TM_BACK(back, "Reciprocal", TM_BACK(back, "Sqrt", variance));
}

void tm_gradient_batch_norm(tm_backward *back) {
    int32_t g = tm_back_from(back, 0), scale = tm_back_in(back, 1), inverse = inverse_deviation(back);
    int32_t product = TM_BACK(back, "Mul", scale, inverse);
    if (tm_back_wants(back, 3) || tm_back_wants(back, 4)) tm_back_refuse(back, "for the mean and the variance");
    if (tm_back_wants(back, 0)) tm_back_give(back, 0, TM_BACK(back, "ChannelScale", g, product));
    if (tm_back_wants(back, 2)) tm_back_give(back, 2, TM_BACK(back, "ChannelSum", g));
    if (!tm_back_wants(back, 1)) return;
    int32_t zeros = TM_BACK(back, "Sub", scale, scale), ones = TM_BACK(back, "Add", zeros, tm_back_scalar(back, 1));
    int32_t normal =
        TM_BACK(back, "BatchNormalization", tm_back_in(back, 0), ones, zeros, tm_back_in(back, 3), tm_back_in(back, 4));
    tm_back_float(back, "epsilon", tm_attr_float(tm_back_node(back), "epsilon", 1e-5f));
    tm_back_give(back, 1, TM_BACK(back, "ChannelSum", TM_BACK(back, "Mul", g, normal)));
}

bool tm_gradient_is_scaled(const tm_backward *back, int32_t value, int32_t *from, int32_t *scale) {
    const tm_node *node = tm_back_producer(back, value);
    if (!node || strcmp(node->op_type, "ChannelScale") != 0) return false;
    *from = node->inputs[0];
    *scale = node->inputs[1];
    return true;
}

static tagmask_status shape_scale(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 2, 2, err));
    TM_TRY(tm_need_float(ctx, 0, "the gradient", err));
    TM_TRY(tm_need_float(ctx, 1, "the scale", err));
    const tm_shape *g = &ctx->in[0].shape, *scale = &ctx->in[1].shape;
    if (scale->rank != 1 || (g->rank > 1 && scale->dim[0] != g->dim[1]))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "its scale does not have one element for each channel");
    tm_set_output(ctx, 0, TM_FLOAT32, g);
    ctx->flops = (double)tm_span(g, 0, g->rank);
    return TAGMASK_OK;
}

static void layout_scale(tm_op_ctx *ctx, tm_layout *in, tm_layout *out) {
    (void)ctx;
    in[1] = TM_LINEAR;
    out[0] = in[0];
}

static tagmask_status record_scale(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    // The scale as a tensor that broadcasts.
    tm_tensor scale = ctx->gin[1];
    int32_t rank = ctx->gin[0].shape.rank;
    if (rank > 1) scale.shape.rank = rank - 1;
    for (int32_t d = 1; d < rank - 1; d++) scale.shape.dim[d] = 1;
    return tm_record_product(ctx, recorder, &ctx->gin[0], &scale, &ctx->gout[0], err);
}

const tm_op tm_ops_norm_gradient[] = {
    {.type = "ChannelScale",
     .domain = TM_GRADIENT_DOMAIN,
     .since = 1,
     .shape = shape_scale,
     .layout = layout_scale,
     .alias_inputs = 1,
     .record = record_scale},
    {.type = NULL},
};
