// BatchNormalization (inference), InstanceNormalization, GroupNormalization, LayerNormalization and RMSNormalization.
#include "ops/norm.h"

#include <string.h>

#include "ops/gradients.h"

// ---- BatchNormalization: coefficients a, b of each channel into scratch memory, then y = act(x * a + b).
static tagmask_status channel_inputs(tm_op_ctx *ctx, size_t first, size_t last, tm_error *err) {
    for (size_t i = 0; i <= last; i++) TM_TRY(tm_need_float(ctx, i, "an input", err));
    const tm_shape *x = &ctx->in[0].shape;
    int64_t channels = x->rank > 1 ? x->dim[1] : 1;
    for (size_t i = first; i <= last; i++) {
        const tm_shape *s = &ctx->in[i].shape;
        if (s->rank != 1 || s->dim[0] != channels)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT,
                              "input %zu does not have one element for each of %lld channels", i, (long long)channels);
    }
    return TAGMASK_OK;
}

static tagmask_status shape_batch(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 5, 5, err));
    TM_TRY(channel_inputs(ctx, 1, 4, err));
    bool training = tm_attr_int(ctx->node, "training_mode", 0) != 0 || !tm_attr_int(ctx->node, "spatial", 1);
    if (training || (ctx->output_count > 1 && ctx->node->opset >= 14))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "is in training mode; export the model for inference");
    const tm_shape *x = &ctx->in[0].shape;
    int64_t channels = x->rank > 1 ? x->dim[1] : 1;
    for (size_t i = 0; i < ctx->output_count; i++) tm_set_output(ctx, i, TM_FLOAT32, i ? &ctx->in[1].shape : x);
    ctx->scratch_bytes = (uint64_t)(channels + 3) / 4 * 4 * 8;
    ctx->flops = 2.0 * (double)tm_span(x, 0, x->rank);
    return TAGMASK_OK;
}

// Along the first `dims` dimensions; parameters of the channels follow those.
static void cut_channels(const tm_op_ctx *ctx, tm_cut *cut, int32_t dims, int64_t channel_grain, bool parameters) {
    const tm_shape *x = &ctx->in[0].shape;
    for (int8_t d = 0; d < TM_MIN(x->rank, dims); d++) {
        size_t axis = tm_cut_add(cut, x->dim[d], d == 1 ? channel_grain : 1);
        cut->dim[0][axis] = cut->dim[ctx->input_count][axis] = d;
        for (size_t i = 1; d == 1 && parameters && i < ctx->input_count; i++) cut->dim[i][axis] = 0;
    }
}

static void cut_batch(tm_op_ctx *ctx, tm_cut *cut) {
    cut_channels(ctx, cut, TM_MAX_RANK, 1, true);
}

static void layout_first(tm_op_ctx *ctx, tm_layout *in, tm_layout *out) {
    for (size_t i = 1; i < ctx->input_count; i++) in[i] = TM_LINEAR;
    out[0] = in[0];
    for (size_t i = 1; i < ctx->output_count; i++) out[i] = TM_LINEAR;
}

static bool shifts_zero(tm_fused fused) {
    return fused.act == TM_ACT_SIGMOID || (fused.act == TM_ACT_CLIP && (fused.a > 0 || fused.b < 0));
}

static tagmask_status record_affine(tm_op_ctx *ctx, tm_recorder *recorder, uint32_t channels, tm_error *err) {
    const tm_tensor *x = &ctx->gin[0], *y = &ctx->gout[0];
    bool c4 = x->layout == TM_C4;
    tm_fused fused = ctx->node->fused;
    struct {
        uint32_t count, plane, blocks, tail;
        float act_a, act_b;
    } push = {.count = (uint32_t)(tm_layout_bytes(&y->shape, y->layout) / (c4 ? 16 : 4)),
              .plane = (uint32_t)tm_span(&x->shape, x->shape.rank > 1 ? 2 : 1, x->shape.rank),
              .blocks = c4 ? (channels + 3) / 4 : channels,
              .tail = channels % 4,
              .act_a = fused.a,
              .act_b = fused.b};
    tm_launch launch = {.shader = "nn/affine",
                        .constants = {c4, fused.act, c4 && push.tail && shifts_zero(fused)},
                        .constant_count = 3,
                        .bindings = {x->slice, x->slice, ctx->scratch, y->slice, y->slice},
                        .binding_count = 5,
                        .push = &push,
                        .push_size = sizeof push,
                        .threads = push.count,
                        .flops = 8.0 * push.count};
    return tm_launch_threads(ctx, recorder, &launch, err);
}

static tagmask_status record_batch(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    const tm_shape *x = &ctx->gin[0].shape;
    struct {
        uint32_t channels, padded;
        float epsilon;
    } push = {.channels = x->rank > 1 ? (uint32_t)x->dim[1] : 1, .epsilon = tm_attr_float(ctx->node, "epsilon", 1e-5f)};
    push.padded = (push.channels + 3) / 4 * 4;
    if (!push.channels) return TAGMASK_OK;
    tm_launch launch = {
        .shader = "nn/batch_coefficients",
        .bindings = {ctx->gin[1].slice, ctx->gin[2].slice, ctx->gin[3].slice, ctx->gin[4].slice, ctx->scratch},
        .binding_count = 5,
        .push = &push,
        .push_size = sizeof push,
        .threads = push.padded};
    TM_TRY(tm_launch_threads(ctx, recorder, &launch, err));
    return record_affine(ctx, recorder, push.channels, err);
}

// ---- The others: statistics of each row of a linear tensor, then one pass over the elements.
static tagmask_status record_norm(tm_op_ctx *ctx, tm_recorder *recorder, const tm_norm_rows *p, bool rms,
                                  tm_error *err) {
    struct {
        uint32_t rows, length, row_mod, row_mul, at_div;
        float epsilon;
    } push = {(uint32_t)p->rows, (uint32_t)p->length, p->row_mod,
              p->row_mul,        p->at_div,           tm_attr_float(ctx->node, "epsilon", 1e-5f)};
    bool bias = ctx->input_count > 2 && ctx->gin[2].dtype != TM_DTYPE_NONE;
    tm_slice x = ctx->gin[0].slice, scale = ctx->gin[1].slice, statistics = ctx->scratch;
    statistics.size = TM_MAX(p->rows, (uint64_t)1) * 8;
    for (uint32_t pass = 0; pass < 2; pass++) {
        tm_launch launch = {.shader = "nn/norm",
                            .constants = {pass, bias, rms},
                            .constant_count = 3,
                            .bindings = {x, scale, bias ? ctx->gin[2].slice : scale, statistics, ctx->gout[0].slice},
                            .binding_count = 5,
                            .push = &push,
                            .push_size = sizeof push,
                            .threads = pass ? p->rows * p->length : p->rows,
                            .rounds = pass ? 0 : 2 * (p->length / 8 + p->length / 256 + 2),
                            .flops = 4.0 * (double)(p->rows * p->length)};
        TM_TRY(tm_launch_threads(ctx, recorder, &launch, err));
    }
    return TAGMASK_OK;
}

// Mean and inverse deviation of each row lie in scratch memory as pairs; outputs 1 and 2 ask for them.
static tagmask_status copy_statistics(tm_op_ctx *ctx, tm_recorder *recorder, uint64_t rows, tm_error *err) {
    for (size_t i = 1; i < ctx->output_count; i++) {
        if (!ctx->gout[i].slice.buffer) continue;
        tm_copy_spec copy = {.from = ctx->scratch,
                             .to = ctx->gout[i].slice,
                             .rank = 1,
                             .dim = {(int64_t)rows},
                             .in_stride = {2},
                             .out_stride = {1},
                             .in_offset = (int64_t)i - 1};
        TM_TRY(tm_strided_copy(ctx, recorder, &copy, err));
    }
    return TAGMASK_OK;
}

static void finish_norm_shape(tm_op_ctx *ctx, uint64_t rows) {
    tm_set_output(ctx, 0, TM_FLOAT32, &ctx->in[0].shape);
    ctx->scratch_bytes = TM_MAX(rows, 1) * 8;
    ctx->flops = 8.0 * (double)tm_span(&ctx->in[0].shape, 0, ctx->in[0].shape.rank);
}

static tagmask_status shape_instance(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 3, 3, err));
    if (ctx->in[0].shape.rank < 2)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "its input has rank %d; expected at least 2",
                          (int)ctx->in[0].shape.rank);
    TM_TRY(channel_inputs(ctx, 1, 2, err));
    finish_norm_shape(ctx, tm_span(&ctx->in[0].shape, 0, 2));
    return TAGMASK_OK;
}

static void cut_instance(tm_op_ctx *ctx, tm_cut *cut) {
    cut_channels(ctx, cut, 2, 1, true);
}

static tm_norm_rows instance_rows(const tm_shape *x) {
    return (tm_norm_rows){tm_span(x, 0, 2), tm_span(x, 2, x->rank), (uint32_t)x->dim[1], 1, UINT32_MAX};
}

static tagmask_status record_instance(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    tm_norm_rows p = instance_rows(&ctx->gin[0].shape);
    return record_norm(ctx, recorder, &p, false, err);
}

// Opset 18 scales by group, opset 21 by channel.
static tagmask_status shape_group(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 3, 3, err));
    for (size_t i = 0; i < 3; i++) TM_TRY(tm_need_float(ctx, i, "an input", err));
    const tm_shape *x = &ctx->in[0].shape;
    int64_t groups = tm_attr_int(ctx->node, "num_groups", 0);
    if (x->rank < 2 || groups < 1 || x->dim[1] % groups)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "num_groups is %lld, which does not divide the channels",
                          (long long)groups);
    int64_t expected = ctx->node->opset >= 21 ? x->dim[1] : groups;
    for (size_t i = 1; i < 3; i++) {
        if (ctx->in[i].shape.rank != 1 || ctx->in[i].shape.dim[0] != expected)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "input %zu does not have %lld elements", i,
                              (long long)expected);
    }
    finish_norm_shape(ctx, (uint64_t)x->dim[0] * (uint64_t)groups);
    return TAGMASK_OK;
}

static int64_t group_channels(const tm_op_ctx *ctx) {
    return ctx->in[0].shape.dim[1] / tm_attr_int(ctx->node, "num_groups", 0);
}

// Between groups, where scale and bias belong to channels.
static void cut_group(tm_op_ctx *ctx, tm_cut *cut) {
    bool by_channel = ctx->node->opset >= 21;
    cut_channels(ctx, cut, by_channel ? 2 : 1, TM_MAX(group_channels(ctx), (int64_t)1), by_channel);
}

static tm_norm_rows group_rows(const tm_op_ctx *ctx, const tm_shape *x) {
    uint32_t each = (uint32_t)group_channels(ctx), groups = each ? (uint32_t)x->dim[1] / each : 0;
    uint64_t plane = tm_span(x, 2, x->rank);
    tm_norm_rows p = {(uint64_t)x->dim[0] * groups, each * plane, groups, each, (uint32_t)TM_MAX(plane, 1)};
    if (ctx->node->opset < 21) {
        p.row_mul = 1;
        p.at_div = UINT32_MAX;
    }
    return p;
}

static tagmask_status record_group(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    tm_norm_rows p = group_rows(ctx, &ctx->gin[0].shape);
    return record_norm(ctx, recorder, &p, false, err);
}

static tagmask_status shape_layer(tm_op_ctx *ctx, tm_error *err) {
    bool rms = !strcmp(ctx->node->op_type, "RMSNormalization");
    TM_TRY(tm_need_inputs(ctx, 2, rms ? 2 : 3, err));
    const tm_shape *x = &ctx->in[0].shape;
    int32_t axis;
    TM_TRY(tm_normalize_axis(ctx, "axis", tm_attr_int(ctx->node, "axis", -1), x->rank, &axis, err));
    for (size_t i = 0; i < ctx->input_count; i++) {
        TM_TRY(tm_need_float(ctx, i, "an input", err));
        if (i == 0 || !tm_has_input(ctx, i)) continue;
        const tm_shape *s = &ctx->in[i].shape;
        size_t count;
        if (!tm_shape_count(s, &count) || count != tm_span(x, axis, x->rank))
            return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED,
                              "input %zu has another shape than what is normalized", i);
    }
    tm_shape rows = *x;
    for (int32_t d = axis; d < rows.rank; d++) rows.dim[d] = 1;
    if (ctx->output_count > (rms ? 1 : 3))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "has %zu outputs; expected at most %d", ctx->output_count,
                          rms ? 1 : 3);
    for (size_t i = 1; i < ctx->output_count; i++) tm_set_output(ctx, i, TM_FLOAT32, &rows);
    finish_norm_shape(ctx, tm_span(x, 0, axis));
    return TAGMASK_OK;
}

static void cut_layer(tm_op_ctx *ctx, tm_cut *cut) {
    int64_t axis = tm_attr_int(ctx->node, "axis", -1);
    if (axis < 0) axis += ctx->in[0].shape.rank;
    tm_cut_dims(ctx, cut, (1u << axis) - 1);
}

static tm_norm_rows layer_rows(const tm_op_ctx *ctx, const tm_shape *x) {
    int64_t axis = tm_attr_int(ctx->node, "axis", -1);
    if (axis < 0) axis += x->rank;
    return (tm_norm_rows){tm_span(x, 0, (int32_t)axis), tm_span(x, (int32_t)axis, x->rank), 1, 0, 1};
}

static tagmask_status record_layer(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    tm_norm_rows p = layer_rows(ctx, &ctx->gin[0].shape);
    TM_TRY(record_norm(ctx, recorder, &p, !strcmp(ctx->node->op_type, "RMSNormalization"), err));
    return copy_statistics(ctx, recorder, p.rows, err);
}

tm_norm_rows tm_norm_rows_of(const tm_op_ctx *ctx, const char *type, const tm_shape *x) {
    if (!strcmp(type, "InstanceNormalization")) return instance_rows(x);
    return !strcmp(type, "GroupNormalization") ? group_rows(ctx, x) : layer_rows(ctx, x);
}

const tm_op tm_ops_norm[] = {
    {.type = "BatchNormalization",
     .domain = "",
     .since = 7,
     .shape = shape_batch,
     .layout = layout_first,
     .cut = cut_batch,
     .record = record_batch,
     .gradient = tm_gradient_batch_norm},
    {.type = "InstanceNormalization",
     .domain = "",
     .since = 6,
     .shape = shape_instance,
     .cut = cut_instance,
     .record = record_instance,
     .gradient = tm_gradient_norm},
    {.type = "GroupNormalization",
     .domain = "",
     .since = 18,
     .shape = shape_group,
     .cut = cut_group,
     .record = record_group,
     .gradient = tm_gradient_norm},
    {.type = "LayerNormalization",
     .domain = "",
     .since = 17,
     .shape = shape_layer,
     .cut = cut_layer,
     .record = record_layer,
     .gradient = tm_gradient_norm},
    {.type = "RMSNormalization",
     .domain = "",
     .since = 23,
     .shape = shape_layer,
     .cut = cut_layer,
     .record = record_layer,
     .gradient = tm_gradient_norm},
    {.type = NULL},
};
