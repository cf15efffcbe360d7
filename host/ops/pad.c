// Pad and Tile: every output element is an input element, found by bringing its coordinates back into the input.
#include "ops/pad.h"

#include <string.h>

#include "ops/gradients.h"

static tagmask_status pad_mode(tm_op_ctx *ctx, uint32_t *mode, tm_error *err) {
    static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
    const char *name = tm_attr_string(ctx->node, "mode", "constant");
    for (*mode = 0; *mode < 4; ++*mode)
        if (!strcmp(names[*mode], name)) return TAGMASK_OK;
    return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "mode is '%s'; expected constant, reflect, edge or wrap", name);
}

static tagmask_status pad_value(tm_op_ctx *ctx, uint32_t *bits, tm_error *err) {
    *bits = tm_float_bits(tm_attr_float(ctx->node, "value", 0.0f));
    if (ctx->in[0].dtype != TM_FLOAT32) *bits = 0;
    if (!tm_has_input(ctx, 2)) return TAGMASK_OK;
    if (ctx->in[0].dtype == TM_FLOAT32) {
        float value;
        TM_TRY(tm_host_float(ctx, 2, 0.0f, &value, err));
        *bits = tm_float_bits(value);
        return TAGMASK_OK;
    }
    int64_t value;
    TM_TRY(tm_host_int(ctx, 2, &value, err));
    *bits = (uint32_t)(int32_t)TM_CLAMP(value, INT32_MIN, INT32_MAX);
    return TAGMASK_OK;
}

static tagmask_status pad_dimension(tm_op_ctx *ctx, tm_pad_plan *plan, int32_t d, int64_t begin, int64_t end,
                                    tm_error *err) {
    int64_t size = plan->shape.dim[d];
    if (begin < INT32_MIN || begin > INT32_MAX || end < INT32_MIN || end > INT32_MAX || size + begin + end < 0)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "pads dimension %d of %lld elements by %lld and %lld", (int)d,
                          (long long)size, (long long)begin, (long long)end);
    if (plan->mode != TM_PAD_CONSTANT && size == 0 && begin + end > 0)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "has nothing to repeat in the empty dimension %d", (int)d);
    // The standard does not say whether what wraps around was cut before.
    if (plan->mode == TM_PAD_WRAP && (begin < 0 || end < 0))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED,
                          "pads dimension %d by %lld and %lld in mode wrap; expected no negative pads there", (int)d,
                          (long long)begin, (long long)end);
    plan->begin[d] = begin;
    plan->shape.dim[d] = size + begin + end;
    return TAGMASK_OK;
}

tagmask_status tm_pad_plan_make(tm_op_ctx *ctx, tm_pad_plan *plan, tm_error *err) {
    memset(plan, 0, sizeof *plan);
    plan->shape = ctx->in[0].shape;
    TM_TRY(pad_mode(ctx, &plan->mode, err));
    TM_TRY(pad_value(ctx, &plan->value, err));
    const int64_t *pads, *axes = NULL;
    size_t count, axis_count = (size_t)plan->shape.rank;
    TM_TRY(tm_attr_or_input_ints(ctx, "pads", 1, &pads, &count, err));
    if (tm_has_input(ctx, 3)) TM_TRY(tm_host_ints(ctx, 3, &axes, &axis_count, err));
    if (!pads || count != 2 * axis_count || axis_count > TM_MAX_RANK)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "has %zu pads; expected a begin and an end for %zu axes",
                          count, axis_count);
    bool seen[TM_MAX_RANK] = {false};
    for (size_t i = 0; i < axis_count; i++) {
        int32_t d = (int32_t)i;
        if (axes) TM_TRY(tm_normalize_axis(ctx, "axes", axes[i], plan->shape.rank, &d, err));
        if (seen[d]) return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "names axis %d twice", (int)d);
        seen[d] = true;
        TM_TRY(pad_dimension(ctx, plan, d, pads[i], pads[i + axis_count], err));
    }
    return TAGMASK_OK;
}

// As shaders/nn/pad.glsl does.
int64_t tm_pad_source(uint32_t mode, int64_t at, int64_t size) {
    int64_t period = TM_MAX(2 * (size - 1), (int64_t)1);
    if (size < 1) return -1;
    if (mode == TM_PAD_REFLECT) {
        at = (at < 0 ? -at : at) % period;
        return at < size ? at : period - at;
    }
    if (mode == TM_PAD_WRAP) return at - tm_floor_div(at, size) * size;
    if (mode == TM_PAD_EDGE) return TM_CLAMP(at, (int64_t)0, size - 1);
    return at < 0 || at >= size ? -1 : at;
}

static tagmask_status shape_pad(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 1, ctx->node->opset < 11 ? 1 : 4, err));
    TM_TRY(tm_need_words(ctx, 0, "the input", err));
    tm_pad_plan plan;
    TM_TRY(tm_pad_plan_make(ctx, &plan, err));
    tm_set_output(ctx, 0, ctx->in[0].dtype, &plan.shape);
    return TAGMASK_OK;
}

// C4 if the channels stay as they are and the constant keeps the padding channels zero.
static void layout_pad(tm_op_ctx *ctx, tm_layout *in, tm_layout *out) {
    tm_pad_plan plan;
    tm_error ignored;
    bool c4 = in[0] == TM_C4 && ctx->in[0].shape.rank == 4 && tm_pad_plan_make(ctx, &plan, &ignored) == TAGMASK_OK &&
              plan.begin[1] == 0 && plan.shape.dim[1] == ctx->in[0].shape.dim[1] &&
              (plan.mode != TM_PAD_CONSTANT || plan.value == 0 || plan.shape.dim[1] % 4 == 0);
    in[0] = out[0] = c4 ? TM_C4 : TM_LINEAR;
}

// Along dimensions that stay as they are.
static void cut_unpadded(tm_op_ctx *ctx, tm_cut *cut, const int64_t *begin) {
    uint32_t dims = 0;
    for (int32_t d = 0; d < ctx->in[0].shape.rank; d++)
        if (!begin[d] && ctx->in[0].shape.dim[d] == ctx->out[0].shape.dim[d]) dims |= 1u << d;
    tm_cut_dims(ctx, cut, dims);
}

static void cut_pad(tm_op_ctx *ctx, tm_cut *cut) {
    tm_pad_plan plan;
    tm_error ignored;
    if (tm_pad_plan_make(ctx, &plan, &ignored) == TAGMASK_OK) cut_unpadded(ctx, cut, plan.begin);
}

static tagmask_status record_pad_plan(tm_op_ctx *ctx, tm_recorder *recorder, const tm_pad_plan *plan, tm_error *err) {
    bool c4 = ctx->gin[0].layout == TM_C4;
    tm_shape in, out;
    tm_element_dims(&ctx->gin[0], &in);
    tm_element_dims(&ctx->gout[0], &out);
    struct {
        uint32_t in[8], out[8];
        int32_t begin[8];
        uint32_t count, value, rank;
    } push = {.count = (uint32_t)tm_span(&out, 0, out.rank), .value = plan->value};
    // Neighbouring dimensions without padding are one for the shader.
    bool plain = false;
    for (int32_t d = 0; d < out.rank; d++) {
        bool same = in.dim[d] == out.dim[d] && plan->begin[d] == 0;
        if (push.rank && plain && same) {
            push.in[push.rank - 1] *= (uint32_t)in.dim[d];
            push.out[push.rank - 1] *= (uint32_t)out.dim[d];
            continue;
        }
        push.in[push.rank] = (uint32_t)in.dim[d];
        push.out[push.rank] = (uint32_t)out.dim[d];
        push.begin[push.rank++] = (int32_t)plan->begin[d];
        plain = same;
    }
    tm_launch launch = {.shader = c4 ? "nn/pad_c4" : "nn/pad",
                        .constants = {plan->mode},
                        .constant_count = 1,
                        .bindings = {ctx->gin[0].slice, ctx->gout[0].slice},
                        .binding_count = 2,
                        .push = &push,
                        .push_size = sizeof push,
                        .threads = push.count};
    if (tm_span(&in, 0, in.rank) == 0) return tm_fill(recorder, ctx->gout[0].slice, plan->value, err);
    return tm_launch_threads(ctx, recorder, &launch, err);
}

static tagmask_status record_pad(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    tm_pad_plan plan;
    TM_TRY(tm_pad_plan_make(ctx, &plan, err));
    return record_pad_plan(ctx, recorder, &plan, err);
}

// ---- Tile: padding at the end that wraps around.
tagmask_status tm_tile_plan_make(tm_op_ctx *ctx, tm_pad_plan *plan, tm_error *err) {
    const int64_t *repeats;
    size_t count;
    TM_TRY(tm_host_ints(ctx, 1, &repeats, &count, err));
    *plan = (tm_pad_plan){.mode = TM_PAD_WRAP, .shape = ctx->in[0].shape};
    tm_shape *shape = &plan->shape;
    if (count != (size_t)shape->rank)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "has %zu repeats for a tensor of rank %d", count,
                          (int)shape->rank);
    for (int32_t d = 0; d < shape->rank; d++) {
        if (repeats[d] < 0 || !tm_mul_i64(shape->dim[d], repeats[d], &shape->dim[d]))
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "repeats dimension %d %lld times", (int)d,
                              (long long)repeats[d]);
    }
    return TAGMASK_OK;
}

static tagmask_status shape_tile(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 2, 2, err));
    TM_TRY(tm_need_words(ctx, 0, "the input", err));
    tm_pad_plan plan;
    TM_TRY(tm_tile_plan_make(ctx, &plan, err));
    tm_set_output(ctx, 0, ctx->in[0].dtype, &plan.shape);
    return TAGMASK_OK;
}

static void cut_tile(tm_op_ctx *ctx, tm_cut *cut) {
    cut_unpadded(ctx, cut, (const int64_t[TM_MAX_RANK]){0});
}

static tagmask_status record_tile(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    tm_pad_plan plan = {.mode = TM_PAD_WRAP, .shape = ctx->gout[0].shape};
    return record_pad_plan(ctx, recorder, &plan, err);
}

const tm_op tm_ops_pad[] = {
    {.type = "Pad",
     .domain = "",
     .since = 2,
     .shape = shape_pad,
     .layout = layout_pad,
     .constant_inputs = 14,
     .host_inputs = 14,
     .cut = cut_pad,
     .record = record_pad,
     .gradient = tm_gradient_pad},
    {.type = "Tile",
     .domain = "",
     .since = 6,
     .shape = shape_tile,
     .fold = tm_fold_tile,
     .constant_inputs = 2,
     .host_inputs = 2,
     .cut = cut_tile,
     .record = record_tile,
     .gradient = tm_gradient_tile},
    {.type = NULL},
};
