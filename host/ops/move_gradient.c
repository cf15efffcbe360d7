// Gradients of operators that move elements. Operators of our own take the inputs of the one that is differentiated,
// whose first counts by its shape only, and then the gradient:
//     SliceGradient(x, starts, ends, axes, steps, g)    PadGradient(x, pads, value, axes, g)
//     GatherGradient(x, indices, g)                      TileGradient(x, repeats, g)
// SplitLike(g, like...) cuts along an axis as the tensors are long; ZerosLike(like) is nothing.
#include <stdlib.h>
#include <string.h>

#include "ops/axis_sum.h"
#include "ops/gradients.h"
#include "ops/pad.h"

// ---- Rules.
void tm_gradient_slice(tm_backward *back) {
    int32_t value = TM_BACK(back, "SliceGradient", tm_back_in(back, 0), tm_back_in(back, 1), tm_back_in(back, 2),
                            tm_back_in(back, 3), tm_back_in(back, 4), tm_back_from(back, 0));
    tm_back_inherit(back);
    tm_back_give(back, 0, value);
}

void tm_gradient_concat(tm_backward *back) {
    const tm_node *node = tm_back_node(back);
    int32_t *inputs = tm_back_values(back, node->input_count + 1), *outputs = tm_back_values(back, node->input_count);
    if (!inputs || !outputs) return;
    inputs[0] = tm_back_from(back, 0);
    memcpy(inputs + 1, node->inputs, node->input_count * sizeof *inputs);
    tm_back_add_many(back, "SplitLike", inputs, node->input_count + 1, outputs, node->input_count);
    tm_back_inherit(back);
    for (size_t i = 0; i < node->input_count; i++) tm_back_give(back, i, outputs[i]);
}

void tm_gradient_split(tm_backward *back) {
    const tm_node *node = tm_back_node(back);
    int32_t *parts = tm_back_values(back, node->output_count);
    for (size_t i = 0; parts && i < node->output_count; i++) {
        parts[i] = tm_back_from(back, i);
        if (parts[i] >= 0) continue;
        if (tm_back_out(back, i) < 0)
            tm_back_refuse(back, "for parts without a name");
        else
            parts[i] = TM_BACK(back, "ZerosLike", tm_back_out(back, i));
    }
    if (!parts) return;
    int32_t value = tm_back_add(back, "Concat", parts, node->output_count);
    tm_back_int(back, "axis", tm_attr_int(node, "axis", 0));
    tm_back_give(back, 0, value);
}

void tm_gradient_transpose(tm_backward *back) {
    size_t count;
    const int64_t *perm = tm_attr_ints(tm_back_node(back), "perm", &count);
    int64_t inverse[TM_MAX_RANK] = {0};
    // Without: reversed, which undoes itself.
    for (size_t d = 0; perm && d < count && d < TM_MAX_RANK; d++)
        if (perm[d] >= 0 && perm[d] < TM_MAX_RANK) inverse[perm[d]] = (int64_t)d;
    int32_t value = TM_BACK(back, "Transpose", tm_back_from(back, 0));
    if (perm) tm_back_ints(back, "perm", inverse, TM_MIN(count, (size_t)TM_MAX_RANK));
    tm_back_give(back, 0, value);
}

void tm_gradient_expand(tm_backward *back) {
    tm_back_give_sum(back, 0, tm_back_from(back, 0));
}

void tm_gradient_depth(tm_backward *back) {
    bool to_space = !strcmp(tm_back_node(back)->op_type, "DepthToSpace");
    int32_t value = TM_BACK(back, to_space ? "SpaceToDepth" : "DepthToSpace", tm_back_from(back, 0));
    tm_back_inherit(back);
    tm_back_give(back, 0, value);
}

void tm_gradient_gather(tm_backward *back) {
    int32_t value = TM_BACK(back, "GatherGradient", tm_back_in(back, 0), tm_back_in(back, 1), tm_back_from(back, 0));
    tm_back_inherit(back);
    tm_back_give(back, 0, value);
}

void tm_gradient_pad(tm_backward *back) {
    if (tm_back_wants(back, 2)) tm_back_refuse(back, "for the value of its padding");
    int32_t value = TM_BACK(back, "PadGradient", tm_back_in(back, 0), tm_back_in(back, 1), tm_back_in(back, 2),
                            tm_back_in(back, 3), tm_back_from(back, 0));
    tm_back_inherit(back);
    tm_back_give(back, 0, value);
}

void tm_gradient_tile(tm_backward *back) {
    int32_t value = TM_BACK(back, "TileGradient", tm_back_in(back, 0), tm_back_in(back, 1), tm_back_from(back, 0));
    tm_back_give(back, 0, value);
}

// ---- SliceGradient: zeros, and the gradient where it came from.
static tagmask_status like_first(tm_op_ctx *ctx, size_t gradient, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 1, gradient + 1, err));
    TM_TRY(tm_need_float(ctx, gradient, "the gradient", err));
    tm_set_output(ctx, 0, TM_FLOAT32, &ctx->in[0].shape);
    return TAGMASK_OK;
}

static tagmask_status shape_slice_gradient(tm_op_ctx *ctx, tm_error *err) {
    tm_slice_range range;
    TM_TRY(tm_slice_ranges(ctx, &range, err));
    return like_first(ctx, 5, err);
}

// A strided copy of the whole of one linear tensor.
static bool copy_dims(const tm_shape *shape, tm_copy_spec *copy) {
    copy->rank = shape->rank;
    memcpy(copy->dim, shape->dim, sizeof copy->dim);
    size_t count;
    return tm_shape_count(shape, &count) && count > 0;
}

static tagmask_status record_slice_gradient(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    tm_slice_range range;
    const tm_shape *x = &ctx->gout[0].shape, *g = &ctx->gin[5].shape;
    TM_TRY(tm_slice_ranges(ctx, &range, err));
    TM_TRY(tm_fill(recorder, ctx->gout[0].slice, 0, err));
    tm_copy_spec copy = {.from = ctx->gin[5].slice, .to = ctx->gout[0].slice};
    if (!copy_dims(g, &copy)) return TAGMASK_OK;
    tm_row_major(g->rank, g->dim, copy.in_stride);
    tm_row_major(x->rank, x->dim, copy.out_stride);
    for (int32_t d = 0; d < x->rank; d++) {
        copy.out_offset += range.start[d] * copy.out_stride[d];
        copy.out_stride[d] *= range.step[d];
    }
    return tm_strided_copy(ctx, recorder, &copy, err);
}

// ---- SplitLike and ZerosLike.
static tagmask_status split_axis(tm_op_ctx *ctx, int32_t *axis, tm_error *err) {
    return tm_normalize_axis(ctx, "axis", tm_attr_int(ctx->node, "axis", 0), ctx->in[0].shape.rank, axis, err);
}

static tagmask_status shape_split_like(tm_op_ctx *ctx, tm_error *err) {
    int32_t axis;
    TM_TRY(tm_need_float(ctx, 0, "the gradient", err));
    TM_TRY(split_axis(ctx, &axis, err));
    for (size_t i = 0; i < ctx->output_count; i++) tm_set_output(ctx, i, TM_FLOAT32, &ctx->in[i + 1].shape);
    return TAGMASK_OK;
}

// In C4 where all parts but the last end on a block.
static void layout_split_like(tm_op_ctx *ctx, tm_layout *in, tm_layout *out) {
    int32_t axis;
    tm_error ignored;
    bool c4 = in[0] == TM_C4 && split_axis(ctx, &axis, &ignored) == TAGMASK_OK;
    for (size_t i = 0; c4 && axis == 1 && i + 1 < ctx->output_count; i++) c4 = ctx->out[i].shape.dim[1] % 4 == 0;
    in[0] = c4 ? TM_C4 : TM_LINEAR;
    for (size_t i = 0; i < ctx->output_count; i++) out[i] = in[0];
}

static tagmask_status record_split_like(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    int32_t axis;
    tm_shape in, out;
    TM_TRY(split_axis(ctx, &axis, err));
    tm_element_dims(&ctx->gin[0], &in);
    tm_copy_spec copy = {.from = ctx->gin[0].slice, .vec4 = ctx->gin[0].layout == TM_C4};
    tm_row_major(in.rank, in.dim, copy.in_stride);
    for (size_t i = 0; i < ctx->output_count; i++) {
        tm_element_dims(&ctx->gout[i], &out);
        copy.to = ctx->gout[i].slice;
        tm_row_major(out.rank, out.dim, copy.out_stride);
        if (copy_dims(&out, &copy) && copy.to.buffer) TM_TRY(tm_strided_copy(ctx, recorder, &copy, err));
        copy.in_offset += out.dim[axis] * copy.in_stride[axis];
    }
    return TAGMASK_OK;
}

static tagmask_status shape_zeros_like(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 1, 1, err));
    tm_set_output(ctx, 0, TM_FLOAT32, &ctx->in[0].shape);
    return TAGMASK_OK;
}

static tagmask_status record_zeros_like(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    return tm_fill(recorder, ctx->gout[0].slice, 0, err);
}

// ---- GatherGradient.
static tagmask_status shape_gather_gradient(tm_op_ctx *ctx, tm_error *err) {
    int32_t axis;
    TM_TRY(like_first(ctx, 2, err));
    return tm_normalize_axis(ctx, "axis", tm_attr_int(ctx->node, "axis", 0), ctx->in[0].shape.rank, &axis, err);
}

static tagmask_status record_gather_gradient(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    const tm_shape *x = &ctx->gout[0].shape, *index = &ctx->gin[1].shape;
    int32_t axis;
    TM_TRY(tm_normalize_axis(ctx, "axis", tm_attr_int(ctx->node, "axis", 0), x->rank, &axis, err));
    struct {
        uint32_t count, axis, indices, inner;
    } push = {(uint32_t)tm_span(x, 0, x->rank), (uint32_t)x->dim[axis], (uint32_t)tm_span(index, 0, index->rank),
              (uint32_t)tm_span(x, axis + 1, x->rank)};
    if (!push.indices) return tm_fill(recorder, ctx->gout[0].slice, 0, err);
    tm_launch launch = {.shader = "nn/gather_gradient",
                        .bindings = {ctx->gin[2].slice, ctx->gin[1].slice, ctx->gout[0].slice},
                        .binding_count = 3,
                        .push = &push,
                        .push_size = sizeof push,
                        .threads = push.count,
                        .rounds = push.indices / 8 + 1,
                        .flops = (double)push.count * push.indices};
    return tm_launch_threads(ctx, recorder, &launch, err);
}

// ---- PadGradient and TileGradient: a constant's padding is cut off; what repeats elements is summed.
static tagmask_status list_sums(tm_op_ctx *ctx, const tm_pad_plan *plan, tm_axis_sums *sums, tm_error *err) {
    *sums = (tm_axis_sums){0};
    tagmask_status status = TAGMASK_OK;
    for (int32_t d = 0; status == TAGMASK_OK && d < plan->shape.rank; d++) {
        int64_t in = ctx->in[0].shape.dim[d], out = plan->shape.dim[d];
        if (plan->begin[d] == 0 && in == out) continue;
        tm_resize_tap *table = out < INT32_MAX / 8 ? tm_calloc((size_t)TM_MAX(out, 1), sizeof *table) : NULL;
        for (int64_t x = 0; table && x < out; x++)
            table[x] = (tm_resize_tap){(int32_t)tm_pad_source(plan->mode, x - plan->begin[d], in), 1};
        status = table ? tm_axis_sums_add(ctx, sums, d, in, out, table, 1, err)
                       : tm_op_fail(ctx, err, TAGMASK_ERROR_MEMORY, "has no memory for its table");
        free(table);
    }
    if (status != TAGMASK_OK) tm_axis_sums_free(sums);
    return status;
}

static tagmask_status read_pad(tm_op_ctx *ctx, tm_pad_plan *plan, size_t *gradient, tm_error *err) {
    *gradient = !strcmp(ctx->node->op_type, "TileGradient") ? 2 : 4;
    return *gradient == 2 ? tm_tile_plan_make(ctx, plan, err) : tm_pad_plan_make(ctx, plan, err);
}

static tagmask_status shape_pad_gradient(tm_op_ctx *ctx, tm_error *err) {
    tm_pad_plan plan;
    tm_axis_sums sums;
    size_t gradient;
    TM_TRY(read_pad(ctx, &plan, &gradient, err));
    TM_TRY(like_first(ctx, gradient, err));
    if (plan.mode == TM_PAD_CONSTANT) return TAGMASK_OK;
    TM_TRY(list_sums(ctx, &plan, &sums, err));
    tagmask_status status = tm_axis_sums_scratch(ctx, &sums, &plan.shape, &ctx->scratch_bytes, err);
    tm_axis_sums_free(&sums);
    return status;
}

// In C4 where a constant's padding leaves the channels alone.
static void layout_pad_gradient(tm_op_ctx *ctx, tm_layout *in, tm_layout *out) {
    tm_pad_plan plan;
    size_t gradient;
    tm_error ignored;
    bool c4 = read_pad(ctx, &plan, &gradient, &ignored) == TAGMASK_OK && plan.mode == TM_PAD_CONSTANT &&
              in[gradient] == TM_C4 && plan.begin[1] == 0 && plan.shape.dim[1] == ctx->in[0].shape.dim[1];
    for (size_t i = 0; i < ctx->input_count; i++) in[i] = i == gradient && c4 ? TM_C4 : TM_LINEAR;
    out[0] = c4 ? TM_C4 : TM_LINEAR;
}

// Where padding was negative, elements were cut off: their gradient is zero.
static tagmask_status record_crop(tm_op_ctx *ctx, const tm_pad_plan *plan, const tm_tensor *g, tm_recorder *recorder,
                                  tm_error *err) {
    tm_shape in, out;
    tm_element_dims(g, &in);
    tm_element_dims(&ctx->gout[0], &out);
    tm_copy_spec copy = {.from = g->slice, .to = ctx->gout[0].slice, .vec4 = g->layout == TM_C4, .rank = out.rank};
    tm_row_major(in.rank, in.dim, copy.in_stride);
    tm_row_major(out.rank, out.dim, copy.out_stride);
    bool whole = true, any = true;
    for (int32_t d = 0; d < out.rank; d++) {
        int64_t first = TM_MAX(-plan->begin[d], (int64_t)0), last = TM_MIN(out.dim[d], in.dim[d] - plan->begin[d]);
        copy.dim[d] = last - first;
        copy.in_offset += (first + plan->begin[d]) * copy.in_stride[d];
        copy.out_offset += first * copy.out_stride[d];
        whole = whole && copy.dim[d] == out.dim[d];
        any = any && copy.dim[d] > 0;
    }
    if (!whole || !any) TM_TRY(tm_fill(recorder, ctx->gout[0].slice, 0, err));
    return any ? tm_strided_copy(ctx, recorder, &copy, err) : TAGMASK_OK;
}

// A copy is made in parts; sums are not.
static void cut_pad_gradient(tm_op_ctx *ctx, tm_cut *cut) {
    tm_pad_plan plan;
    size_t gradient;
    tm_error ignored;
    cut->itself = read_pad(ctx, &plan, &gradient, &ignored) == TAGMASK_OK && plan.mode == TM_PAD_CONSTANT;
}

static tagmask_status record_pad_gradient(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    tm_pad_plan plan;
    tm_axis_sums sums;
    size_t gradient;
    TM_TRY(read_pad(ctx, &plan, &gradient, err));
    if (plan.mode == TM_PAD_CONSTANT) return record_crop(ctx, &plan, &ctx->gin[gradient], recorder, err);
    TM_TRY(list_sums(ctx, &plan, &sums, err));
    tagmask_status status =
        tm_axis_sums_record(ctx, &sums, &plan.shape, ctx->gin[gradient].slice, ctx->gout[0].slice, recorder, err);
    tm_axis_sums_free(&sums);
    return status;
}

#define LIKE_FIRST(name, family)                                                                        \
    .type = name, .domain = TM_GRADIENT_DOMAIN, .since = 1, .shape = shape_##family, .shape_inputs = 1, \
    .record = record_##family
const tm_op tm_ops_move_gradient[] = {
    {LIKE_FIRST("SliceGradient", slice_gradient), .host_inputs = 30, .cut = tm_cut_itself},
    {LIKE_FIRST("GatherGradient", gather_gradient)},
    {LIKE_FIRST("PadGradient", pad_gradient), .cut = cut_pad_gradient, .layout = layout_pad_gradient,
     .host_inputs = 14},
    {LIKE_FIRST("TileGradient", pad_gradient), .host_inputs = 2},
    {LIKE_FIRST("ZerosLike", zeros_like), .cut = tm_cut_itself},
    {.type = "SplitLike",
     .domain = TM_GRADIENT_DOMAIN,
     .since = 1,
     .shape = shape_split_like,
     .layout = layout_split_like,
     .shape_inputs = ~1u,
     .cut = tm_cut_itself,
     .record = record_split_like},
    {.type = NULL},
};
