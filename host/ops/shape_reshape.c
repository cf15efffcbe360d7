// Operators that change only how the same elements are seen: Identity, Dropout, Reshape, Flatten, Squeeze, Unsqueeze.
#include <string.h>

#include "ops/common.h"
#include "ops/gradients.h"

static tagmask_status check_input(tm_op_ctx *ctx, size_t least, size_t most, tm_error *err) {
    if (ctx->input_count < least || ctx->input_count > most || ctx->in[0].dtype == TM_DTYPE_NONE)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "it has %zu inputs; expected %zu to %zu", ctx->input_count,
                          least, most);
    return TAGMASK_OK;
}

static tagmask_status single_output(tm_op_ctx *ctx, const tm_shape *shape, tm_error *err) {
    if (ctx->output_count != 1)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "it has %zu outputs; expected 1", ctx->output_count);
    ctx->out[0].dtype = ctx->in[0].dtype;
    ctx->out[0].shape = *shape;
    return TAGMASK_OK;
}

static void keep_layout(tm_op_ctx *ctx, tm_layout *in, tm_layout *out) {
    (void)ctx;
    out[0] = in[0];
}

// ---- Identity
static tagmask_status identity_shape(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(check_input(ctx, 1, 1, err));
    return single_output(ctx, &ctx->in[0].shape, err);
}

// ---- Dropout, at inference: the mask, if asked for, keeps everything.
static tagmask_status dropout_shape(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(check_input(ctx, 1, 3, err));
    if (ctx->output_count > 2) return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "it has more than 2 outputs");
    if (ctx->input_count > 2 && ctx->in[2].dtype != TM_DTYPE_NONE) {
        const uint8_t *training = ctx->in[2].data;
        const float *ratio = ctx->in[1].data;
        bool scalar = ctx->in[2].dtype == TM_BOOL && training && ctx->in[2].shape.rank == 0;
        bool keeps_all = ctx->in[1].dtype == TM_FLOAT32 && ratio && ctx->in[1].shape.rank == 0 && *ratio == 0;
        if (!scalar || (*training && !keeps_all))
            return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "training mode is not supported");
    }
    for (size_t i = 0; i < ctx->output_count; i++) {
        ctx->out[i].dtype = i ? TM_BOOL : ctx->in[0].dtype;
        ctx->out[i].shape = ctx->in[0].shape;
    }
    return TAGMASK_OK;
}

static tagmask_status dropout_fold(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_fold_copy(ctx, err));
    size_t count = 0;
    tm_shape_count(&ctx->out[0].shape, &count);
    if (ctx->output_count > 1 && ctx->out[1].data) memset(ctx->out[1].data, 1, count);
    return TAGMASK_OK;
}

static tagmask_status dropout_record(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    tm_slice from = ctx->gin[0].slice, to = ctx->gout[0].slice;
    if (to.buffer && (from.buffer != to.buffer || from.offset != to.offset)) TM_TRY(tm_copy(recorder, from, to, err));
    if (ctx->output_count > 1 && ctx->gout[1].slice.buffer) return tm_fill(recorder, ctx->gout[1].slice, 1, err);
    return TAGMASK_OK;
}

// ---- Reshape
static tagmask_status reshape_shape(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(check_input(ctx, 2, 2, err));
    const int64_t *wanted;
    size_t rank, total = 0, known = 1;
    TM_TRY(tm_host_ints(ctx, 1, &wanted, &rank, err));
    const tm_shape *in = &ctx->in[0].shape;
    bool allow_zero = tm_attr_int(ctx->node, "allowzero", 0) != 0;
    tm_shape out = {.rank = (int32_t)rank};
    int32_t open = -1;
    if (rank > TM_MAX_RANK)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "the new shape has more than %d dimensions",
                          TM_MAX_RANK);
    tm_shape_count(in, &total);
    for (int32_t d = 0; d < out.rank; d++) {
        out.dim[d] = wanted[d];
        if (wanted[d] == 0 && !allow_zero && d < in->rank) out.dim[d] = in->dim[d];
        if (wanted[d] == -1 && open < 0)
            open = d;
        else if (out.dim[d] < 0 || !tm_mul_size(known, (size_t)out.dim[d], &known))
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "the new shape's dimension %d is %lld", d,
                              (long long)wanted[d]);
    }
    if (open >= 0 && known && total % known == 0) {
        out.dim[open] = (int64_t)(total / known);
        known = total;
    }
    if (known != total || (open >= 0 && out.dim[open] < 0)) {
        char from[128], to[128];
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "%s cannot be reshaped to %s",
                          tm_shape_text(in, from, sizeof from), tm_shape_text(&out, to, sizeof to));
    }
    return single_output(ctx, &out, err);
}

// ---- Flatten
static tagmask_status flatten_shape(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(check_input(ctx, 1, 1, err));
    const tm_shape *in = &ctx->in[0].shape;
    int64_t axis = tm_attr_int(ctx->node, "axis", 1);
    if (axis < -(int64_t)in->rank || axis > in->rank)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "axis is %lld; expected %d to %d", (long long)axis, -in->rank,
                          in->rank);
    if (axis < 0) axis += in->rank;
    tm_shape out = {.rank = 2, .dim = {1, 1}};
    for (int32_t d = 0; d < in->rank; d++) {
        if (!tm_mul_i64(out.dim[d >= axis], in->dim[d], &out.dim[d >= axis]))
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "the input is too large");
    }
    return single_output(ctx, &out, err);
}

// ---- Squeeze and Unsqueeze
static tagmask_status mark_axes(tm_op_ctx *ctx, int32_t rank, bool *marked, size_t *count, tm_error *err) {
    const int64_t *axes;
    TM_TRY(tm_attr_or_input_ints(ctx, "axes", 1, &axes, count, err));
    for (int32_t d = 0; d < rank; d++) marked[d] = false;
    for (size_t i = 0; i < *count; i++) {
        int32_t axis = 0;
        TM_TRY(tm_normalize_axis(ctx, "an axis", axes[i], rank, &axis, err));
        if (marked[axis]) return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "axis %d is given twice", axis);
        marked[axis] = true;
    }
    return TAGMASK_OK;
}

static tagmask_status squeeze_shape(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(check_input(ctx, 1, 2, err));
    const tm_shape *in = &ctx->in[0].shape;
    bool marked[TM_MAX_RANK];
    size_t count;
    TM_TRY(mark_axes(ctx, in->rank, marked, &count, err));
    bool all = !tm_attr_has(ctx->node, "axes") && (ctx->input_count < 2 || ctx->in[1].dtype == TM_DTYPE_NONE);
    tm_shape out = {0};
    for (int32_t d = 0; d < in->rank; d++) {
        if (marked[d] && in->dim[d] != 1)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "dimension %d is %lld; only 1 can be squeezed", d,
                              (long long)in->dim[d]);
        if (!marked[d] && !(all && in->dim[d] == 1)) out.dim[out.rank++] = in->dim[d];
    }
    return single_output(ctx, &out, err);
}

static tagmask_status unsqueeze_shape(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(check_input(ctx, 1, 2, err));
    const tm_shape *in = &ctx->in[0].shape;
    const int64_t *axes;
    size_t count;
    TM_TRY(tm_attr_or_input_ints(ctx, "axes", 1, &axes, &count, err));
    if (!axes && !count && ctx->input_count < 2) return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "it has no axes");
    if (count > (size_t)(TM_MAX_RANK - in->rank))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "its output has more than %d dimensions", TM_MAX_RANK);
    tm_shape out = {.rank = in->rank + (int32_t)count};
    bool marked[TM_MAX_RANK];
    TM_TRY(mark_axes(ctx, out.rank, marked, &count, err));
    for (int32_t d = 0, from = 0; d < out.rank; d++) out.dim[d] = marked[d] ? 1 : in->dim[from++];
    return single_output(ctx, &out, err);
}

const tm_op tm_ops_shape_reshape[] = {{.type = "Identity",
                                       .domain = "",
                                       .since = 1,
                                       .shape = identity_shape,
                                       .fold = tm_fold_copy,
                                       .layout = keep_layout,
                                       .alias_inputs = 1,
                                       .is_view = true,
                                       .gradient = tm_gradient_reshape},
                                      {.type = "Dropout",
                                       .domain = "",
                                       .since = 7,
                                       .shape = dropout_shape,
                                       .fold = dropout_fold,
                                       .alias_inputs = 1,
                                       .host_inputs = 6,
                                       .cut = tm_cut_itself,
                                       .record = dropout_record,
                                       .gradient = tm_gradient_reshape},
                                      {.type = "Reshape",
                                       .domain = "",
                                       .since = 5,
                                       .shape = reshape_shape,
                                       .fold = tm_fold_copy,
                                       .alias_inputs = 1,
                                       .is_view = true,
                                       .gradient = tm_gradient_reshape,
                                       .host_inputs = 2},
                                      {.type = "Flatten",
                                       .domain = "",
                                       .since = 1,
                                       .shape = flatten_shape,
                                       .fold = tm_fold_copy,
                                       .alias_inputs = 1,
                                       .is_view = true,
                                       .gradient = tm_gradient_reshape},
                                      {.type = "Squeeze",
                                       .domain = "",
                                       .since = 1,
                                       .shape = squeeze_shape,
                                       .fold = tm_fold_copy,
                                       .alias_inputs = 1,
                                       .is_view = true,
                                       .gradient = tm_gradient_reshape,
                                       .host_inputs = 2},
                                      {.type = "Unsqueeze",
                                       .domain = "",
                                       .since = 1,
                                       .shape = unsqueeze_shape,
                                       .fold = tm_fold_copy,
                                       .alias_inputs = 1,
                                       .is_view = true,
                                       .gradient = tm_gradient_reshape,
                                       .host_inputs = 2},
                                      {.type = NULL}};
