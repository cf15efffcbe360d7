// Gradients of normalizations. ChannelScale(g, scale): a tensor times one number for each channel. NormGradient(x,
// scale, g): the gradient of the input of a normalization by its own statistics.
#include <string.h>

#include "ops/gradients.h"
#include "ops/norm.h"

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

// ---- Instance, Group, Layer and RMSNormalization.

// What the operator makes of its input before scale and bias.
static int32_t normal(tm_backward *back) {
    int32_t scale = tm_back_in(back, 1), zeros = TM_BACK(back, "Sub", scale, scale);
    const int32_t inputs[3] = {tm_back_in(back, 0), TM_BACK(back, "Add", zeros, tm_back_scalar(back, 1)), zeros};
    bool biased = strcmp(tm_back_node(back)->op_type, "RMSNormalization") != 0;
    return tm_back_again(back, inputs, biased ? 3 : 2);
}

// Parameters of channels, or before opset 21 of groups of them.
static int32_t sum_parameter(tm_backward *back, size_t i, int32_t value) {
    const tm_node *node = tm_back_node(back);
    bool group = !strcmp(node->op_type, "GroupNormalization");
    if (!group && strcmp(node->op_type, "InstanceNormalization") != 0)
        return TM_BACK(back, "SumLike", value, tm_back_in(back, i));
    int32_t sum = TM_BACK(back, "ChannelSum", value);
    if (!group || node->opset >= 21) return sum;
    const int64_t rows[2] = {tm_attr_int(node, "num_groups", 1), -1}, axis = 1;
    sum = TM_BACK(back, "Reshape", sum, tm_back_vector(back, rows, 2));
    sum = TM_BACK(back, "ReduceSum", sum, tm_back_vector(back, &axis, 1));
    tm_back_int(back, "keepdims", 0);
    return sum;
}

void tm_gradient_norm(tm_backward *back) {
    const tm_node *node = tm_back_node(back);
    int32_t g = tm_back_from(back, 0);
    if (tm_back_from(back, 1) >= 0 || tm_back_from(back, 2) >= 0) tm_back_refuse(back, "for its statistics");
    if (g < 0) return;
    if (tm_back_wants(back, 0)) {
        int32_t value = TM_BACK(back, "NormGradient", tm_back_in(back, 0), tm_back_in(back, 1), g);
        tm_back_inherit(back);
        tm_back_string(back, "of", node->op_type);
        tm_back_give(back, 0, value);
    }
    if (tm_back_wants(back, 1)) tm_back_give(back, 1, sum_parameter(back, 1, TM_BACK(back, "Mul", g, normal(back))));
    if (tm_back_wants(back, 2)) tm_back_give(back, 2, sum_parameter(back, 2, g));
}

static tagmask_status shape_norm_gradient(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 3, 3, err));
    for (size_t i = 0; i < 3; i++) TM_TRY(tm_need_float(ctx, i, "an input", err));
    const tm_shape *x = &ctx->in[0].shape;
    tm_norm_rows p = tm_norm_rows_of(ctx, tm_attr_string(ctx->node, "of", ""), x);
    tm_set_output(ctx, 0, TM_FLOAT32, x);
    ctx->scratch_bytes = TM_MAX(p.rows, (uint64_t)1) * 16;
    ctx->flops = 16.0 * (double)tm_span(x, 0, x->rank);
    return TAGMASK_OK;
}

static tagmask_status record_norm_gradient(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    const char *type = tm_attr_string(ctx->node, "of", "");
    tm_norm_rows p = tm_norm_rows_of(ctx, type, &ctx->gin[0].shape);
    struct {
        uint32_t rows, length, row_mod, row_mul, at_div;
        float epsilon;
    } push = {(uint32_t)p.rows, (uint32_t)p.length, p.row_mod,
              p.row_mul,        p.at_div,           tm_attr_float(ctx->node, "epsilon", 1e-5f)};
    for (uint32_t pass = 0; pass < 2; pass++) {
        tm_launch launch = {
            .shader = "nn/norm_gradient",
            .constants = {pass, !strcmp(type, "RMSNormalization")},
            .constant_count = 2,
            .bindings = {ctx->gin[0].slice, ctx->gin[1].slice, ctx->gin[2].slice, ctx->scratch, ctx->gout[0].slice},
            .binding_count = 5,
            .push = &push,
            .push_size = sizeof push,
            .threads = pass ? p.rows * p.length : p.rows,
            .rounds = pass ? 0 : 4 * (p.length / 8 + p.length / 256 + 2),
            .flops = 8.0 * (double)(p.rows * p.length)};
        TM_TRY(tm_launch_threads(ctx, recorder, &launch, err));
    }
    return TAGMASK_OK;
}

// ---- ChannelScale.
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

static void cut_scale(tm_op_ctx *ctx, tm_cut *cut) {
    const tm_shape *g = &ctx->in[0].shape;
    for (int8_t d = 0; d < g->rank; d++) {
        size_t axis = tm_cut_add(cut, g->dim[d], 1);
        cut->dim[0][axis] = cut->dim[2][axis] = d;
        if (d == (g->rank > 1)) cut->dim[1][axis] = 0;
    }
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
     .cut = cut_scale,
     .record = record_scale},
    {.type = "NormGradient",
     .domain = TM_GRADIENT_DOMAIN,
     .since = 1,
     .shape = shape_norm_gradient,
     .record = record_norm_gradient},
    {.type = NULL},
};
