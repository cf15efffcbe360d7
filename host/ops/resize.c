// Resize and Upsample: nearest and linear over the last two axes in one pass, everything else axis by axis.
#include <stdlib.h>
#include <string.h>

#include "ops/gradients.h"
#include "ops/resize_plan.h"

// One pass does it: only the last two axes change, with two samples an axis at most.
static bool in_one_pass(const tm_resize_plan *plan) {
    int32_t rank = plan->shape.rank;
    if (rank < 2 || plan->mode == TM_RESIZE_CUBIC) return false;
    for (int32_t d = 0; d < rank; d++) {
        const tm_resize_axis *axis = &plan->axis[d];
        int64_t mul, add, div;
        if (axis->roi[0] != 0 || axis->roi[1] != 1) return false;
        if (axis->changes && d < rank - 2) return false;
        if (axis->changes && plan->antialias && axis->scale < 1) return false;
        if (plan->mode == TM_RESIZE_NEAREST && !tm_resize_nearest_terms(plan, axis, &mul, &add, &div)) return false;
    }
    return true;
}

// Bytes a pass needs: its table and, unless it is the last one, its output. Shared by shape() and record().
typedef struct resize_pass {
    int32_t axis;
    size_t taps;
    uint64_t table_offset, table_bytes, out_offset, out_bytes;
    uint64_t outer, inner;
} resize_pass;

static tagmask_status list_passes(tm_op_ctx *ctx, const tm_resize_plan *plan, tm_shape shape,
                                  resize_pass passes[TM_MAX_RANK], size_t *count, uint64_t *bytes, tm_error *err) {
    // Offsets that any device can bind.
    enum { ALIGNMENT = 256 };
    *count = 0;
    *bytes = 0;
    for (int32_t d = shape.rank - 1; d >= 0; d--) {
        const tm_resize_axis *axis = &plan->axis[d];
        if (!axis->changes) continue;
        resize_pass *p = &passes[(*count)++];
        shape.dim[d] = axis->out;
        size_t elements;
        size_t entries;
        if (!tm_shape_count(&shape, &elements) || elements > INT32_MAX ||
            !tm_mul_size(tm_resize_taps(plan, axis), (size_t)axis->out, &entries) || entries > INT32_MAX / 8)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "is too large in between its axes");
        p->axis = d;
        p->taps = tm_resize_taps(plan, axis);
        p->outer = tm_span(&shape, 0, d);
        p->inner = tm_span(&shape, d + 1, shape.rank);
        p->table_bytes = (uint64_t)p->taps * (uint64_t)axis->out * sizeof(tm_resize_tap);
        p->table_offset = *bytes;
        *bytes = tm_align_up(*bytes + p->table_bytes, ALIGNMENT);
        p->out_offset = *bytes;
        p->out_bytes = (uint64_t)elements * 4;
        *bytes = tm_align_up(*bytes + p->out_bytes, ALIGNMENT);
    }
    return TAGMASK_OK;
}

static tagmask_status shape_resize(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 1, 4, err));
    TM_TRY(tm_need_float(ctx, 0, "the input", err));
    tm_resize_plan plan;
    TM_TRY(tm_resize_plan_make(ctx, &plan, err));
    tm_set_output(ctx, 0, TM_FLOAT32, &plan.shape);
    size_t elements;
    if (!tm_shape_count(&plan.shape, &elements))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "its output is too large");
    ctx->flops = 8.0 * (double)elements;
    if (in_one_pass(&plan)) return TAGMASK_OK;
    resize_pass passes[TM_MAX_RANK];
    size_t count;
    return list_passes(ctx, &plan, ctx->in[0].shape, passes, &count, &ctx->scratch_bytes, err);
}

static void layout_resize(tm_op_ctx *ctx, tm_layout *in, tm_layout *out) {
    tm_resize_plan plan;
    tm_error ignored;
    const tm_shape *shape = &ctx->in[0].shape;
    bool c4 = in[0] == TM_C4 && shape->rank == 4 && tm_resize_plan_make(ctx, &plan, &ignored) == TAGMASK_OK &&
              in_one_pass(&plan);
    // One channel fills a quarter of C4: enlarging it is cheaper by words.
    if (c4 && shape->dim[1] == 1 && tm_span(&plan.shape, 2, 4) > tm_span(shape, 2, 4)) c4 = false;
    for (size_t i = 1; i < ctx->input_count; i++) in[i] = TM_LINEAR;
    in[0] = out[0] = c4 ? TM_C4 : TM_LINEAR;
}

// Along dimensions that stay as they are.
static void cut_resize(tm_op_ctx *ctx, tm_cut *cut) {
    tm_resize_plan plan;
    tm_error ignored;
    uint32_t dims = 0;
    if (tm_resize_plan_make(ctx, &plan, &ignored) != TAGMASK_OK) return;
    bool one_pass = in_one_pass(&plan);
    for (int32_t d = 0; d < plan.shape.rank - (one_pass ? 2 : 0); d++)
        if (!plan.axis[d].changes) dims |= 1u << d;
    tm_cut_dims(ctx, cut, dims);
    resize_pass passes[TM_MAX_RANK];
    size_t count = 0;
    uint64_t bytes;
    if (one_pass || list_passes(ctx, &plan, ctx->in[0].shape, passes, &count, &bytes, &ignored) != TAGMASK_OK) return;
    for (size_t i = 0; i + 1 < count; i++) cut->hidden[0].bytes = TM_MAX(cut->hidden[0].bytes, passes[i].out_bytes);
    cut->hidden[0].axes = (1u << cut->axis_count) - 1;
}

static tagmask_status record_one_pass(tm_op_ctx *ctx, tm_recorder *recorder, const tm_resize_plan *plan,
                                      tm_error *err) {
    const tm_tensor *in = &ctx->gin[0], *out = &ctx->gout[0];
    bool c4 = in->layout == TM_C4;
    struct {
        uint32_t count, unused;  // GLSL aligns ivec2 to 8 bytes
        int32_t in[2], out[2], mul[2], add[2], div[2];
        float scale[2], offset[2];
    } push = {.count = (uint32_t)(tm_layout_bytes(&out->shape, out->layout) / (c4 ? 16 : 4))};
    for (int i = 0; i < 2; i++) {
        const tm_resize_axis *axis = &plan->axis[plan->shape.rank - 2 + i];
        push.in[i] = (int32_t)axis->in;
        push.out[i] = (int32_t)axis->out;
        int64_t mul = 0, add = 0, div = 1;
        if (plan->mode == TM_RESIZE_NEAREST) tm_resize_nearest_terms(plan, axis, &mul, &add, &div);
        push.mul[i] = (int32_t)mul;
        push.add[i] = (int32_t)add;
        push.div[i] = (int32_t)div;
        // Every transformation is affine in the output's index.
        double first = axis->changes ? tm_resize_source(plan, axis, 0) : 0;
        double second = axis->changes ? tm_resize_source(plan, axis, 1) : 1;
        push.scale[i] = (float)(second - first);
        push.offset[i] = (float)first;
    }
    uint32_t mode = plan->mode == TM_RESIZE_LINEAR;
    if (mode && push.scale[1] > 0 && push.scale[1] <= 2.0f / 3.0f) {
        mode = 2;
        push.count = push.count / (uint32_t)push.out[1] * (((uint32_t)push.out[1] + 3) / 4);
    }
    tm_launch launch = {.shader = c4 ? "nn/resize_c4" : "nn/resize",
                        .texel_shader = c4 ? "nn/resize_c4_texel" : NULL,
                        .texel_inputs = 1,
                        .constants = {mode},
                        .constant_count = 1,
                        .bindings = {in->slice, out->slice},
                        .binding_count = 2,
                        .push = &push,
                        .push_size = sizeof push,
                        .threads = push.count,
                        .flops = 16.0 * push.count};
    return tm_launch_threads(ctx, recorder, &launch, err);
}

static tagmask_status record_pass(tm_op_ctx *ctx, tm_recorder *recorder, const tm_resize_plan *plan,
                                  const resize_pass *pass, tm_slice from, tm_slice to, tm_error *err) {
    const tm_resize_axis *axis = &plan->axis[pass->axis];
    tm_slice table = {ctx->scratch.buffer, ctx->scratch.offset + pass->table_offset, pass->table_bytes};
    tm_resize_tap *taps = tm_calloc((size_t)axis->out * pass->taps, sizeof *taps);
    if (!taps) return tm_op_fail(ctx, err, TAGMASK_ERROR_MEMORY, "has no memory for its table of weights");
    tm_resize_table(plan, axis, taps);
    tagmask_status status = tm_upload(recorder, table, taps, err);
    free(taps);
    if (status != TAGMASK_OK) return status;
    struct {
        uint32_t count, in_axis, out_axis, inner, taps;
        float outside;
    } push = {(uint32_t)(pass->out_bytes / 4), (uint32_t)axis->in,   (uint32_t)axis->out,
              (uint32_t)pass->inner,           (uint32_t)pass->taps, plan->outside};
    tm_launch launch = {.shader = "nn/resize_axis",
                        .bindings = {from, table, to},
                        .binding_count = 3,
                        .push = &push,
                        .push_size = sizeof push,
                        .threads = push.count,
                        .flops = 2.0 * push.count * push.taps};
    return tm_launch_threads(ctx, recorder, &launch, err);
}

static tagmask_status record_resize(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    tm_resize_plan plan;
    TM_TRY(tm_resize_plan_make(ctx, &plan, err));
    if (in_one_pass(&plan)) return record_one_pass(ctx, recorder, &plan, err);
    resize_pass passes[TM_MAX_RANK];
    size_t count;
    uint64_t bytes;
    TM_TRY(list_passes(ctx, &plan, ctx->gin[0].shape, passes, &count, &bytes, err));
    tm_slice from = ctx->gin[0].slice;
    if (count == 0) {
        tm_slice to = ctx->gout[0].slice;
        from.size = to.size = tm_layout_bytes(&ctx->gout[0].shape, TM_LINEAR);
        return from.size ? tm_copy(recorder, from, to, err) : TAGMASK_OK;
    }
    for (size_t i = 0; i < count; i++) {
        tm_slice to = {ctx->scratch.buffer, ctx->scratch.offset + passes[i].out_offset, passes[i].out_bytes};
        if (i + 1 == count) to = ctx->gout[0].slice;
        if (!passes[i].out_bytes) return TAGMASK_OK;
        TM_TRY(record_pass(ctx, recorder, &plan, &passes[i], from, to, err));
        from = to;
    }
    return TAGMASK_OK;
}

const tm_op tm_ops_resize[] = {
    {.type = "Resize",
     .domain = "",
     .since = 10,
     .shape = shape_resize,
     .layout = layout_resize,
     .constant_inputs = 14,
     .host_inputs = 14,
     .cut = cut_resize,
     .record = record_resize,
     .gradient = tm_gradient_resize},
    {.type = "Upsample",
     .domain = "",
     .since = 7,
     .shape = shape_resize,
     .layout = layout_resize,
     .constant_inputs = 2,
     .host_inputs = 2,
     .cut = cut_resize,
     .record = record_resize,
     .gradient = tm_gradient_resize},
    {.type = NULL},
};
