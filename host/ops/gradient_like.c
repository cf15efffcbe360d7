// Operators of gradients that bring elements into the shape of another tensor, of which they need nothing else.
#include <string.h>

#include "ops/common.h"
#include "ops/gradients.h"

void tm_gradient_reshape(tm_backward *back) {
    tm_back_give(back, 0, TM_BACK(back, "ReshapeLike", tm_back_from(back, 0), tm_back_in(back, 0)));
}

static bool same_shape(const tm_op_ctx *ctx) {
    return tm_shape_equal(&ctx->in[0].shape, &ctx->in[1].shape);
}

// ---- GradientSeed(seed, like): the caller's tensor, checked.
static tagmask_status shape_seed(tm_op_ctx *ctx, tm_error *err) {
    char a[128], b[128];
    if (!same_shape(ctx))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_ARGUMENT,
                          "the gradient given has shape %s; expected %s, as what is differentiated",
                          tm_shape_text(&ctx->in[0].shape, a, sizeof a), tm_shape_text(&ctx->in[1].shape, b, sizeof b));
    if (ctx->in[1].dtype != TM_FLOAT32)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "what is differentiated is %s; expected float32",
                          tm_dtype_name(ctx->in[1].dtype));
    tm_set_output(ctx, 0, TM_FLOAT32, &ctx->in[0].shape);
    return TAGMASK_OK;
}

// ---- ReshapeLike(x, like): a view.
static tagmask_status shape_reshape_like(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 2, 2, err));
    TM_TRY(tm_need_float(ctx, 0, "the gradient", err));
    size_t a = 0, b = 0;
    if (!tm_shape_count(&ctx->in[0].shape, &a) || !tm_shape_count(&ctx->in[1].shape, &b) || a != b)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_INTERNAL, "its inputs have %zu and %zu elements", a, b);
    tm_set_output(ctx, 0, TM_FLOAT32, &ctx->in[1].shape);
    return TAGMASK_OK;
}

static void layout_like(tm_op_ctx *ctx, tm_layout *in, tm_layout *out) {
    if (!same_shape(ctx)) in[0] = TM_LINEAR;
    out[0] = in[0];
}

const tm_op tm_ops_gradient_like[] = {
    {.type = "GradientSeed",
     .domain = TM_GRADIENT_DOMAIN,
     .since = 1,
     .shape = shape_seed,
     .shape_inputs = 2,
     .is_view = true},
    {.type = "ReshapeLike",
     .domain = TM_GRADIENT_DOMAIN,
     .since = 1,
     .shape = shape_reshape_like,
     .layout = layout_like,
     .shape_inputs = 2,
     .is_view = true},
    {.type = NULL},
};
