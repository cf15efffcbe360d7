// Gradients of reductions: each element gets its share of what it was reduced into. Spread(x, axes, g) brings a tensor
// g of the reduced shape back to that of x, of which it needs nothing else.
#include <string.h>

#include "ops/gradients.h"
#include "ops/reduce.h"

static int32_t spread(tm_backward *back, int32_t value, bool mean) {
    const char *type = tm_back_node(back)->op_type;
    int32_t result = TM_BACK(back, "Spread", tm_back_in(back, 0), tm_back_in(back, 1), value);
    tm_back_inherit(back);
    tm_back_int(back, "planes", !strncmp(type, "Global", 6));
    tm_back_int(back, "mean", mean);
    return result;
}

// All of it to the elements that have the reduced value, in equal shares.
static int32_t share_of_extreme(tm_backward *back, int32_t g) {
    int32_t equal = TM_BACK(back, "Equal", tm_back_in(back, 0), spread(back, tm_back_out(back, 0), false));
    int32_t chosen = TM_BACK(back, "Where", equal, tm_back_scalar(back, 1), tm_back_scalar(back, 0));
    // As many as there are: reduced as the node reduces, but by sums.
    bool global = !strncmp(tm_back_node(back)->op_type, "Global", 6);
    int32_t shape = spread(back, g, false), count;
    if (global) {
        count = TM_BACK(back, "SumLike", chosen, tm_back_out(back, 0));
    } else {
        count = TM_BACK(back, "ReduceSum", chosen, tm_back_in(back, 1));
        tm_back_inherit(back);
    }
    return TM_BACK(back, "Div", TM_BACK(back, "Mul", chosen, shape), spread(back, count, false));
}

void tm_gradient_reduce(tm_backward *back) {
    const char *type = tm_back_node(back)->op_type;
    int32_t g = tm_back_from(back, 0), x = tm_back_in(back, 0), y = tm_back_out(back, 0), result = -1;
    if (!strcmp(type, "ReduceSum"))
        result = spread(back, g, false);
    else if (!strcmp(type, "ReduceMean") || !strcmp(type, "GlobalAveragePool"))
        result = spread(back, g, true);
    else if (!strcmp(type, "ReduceProd"))
        result = TM_BACK(back, "Div", spread(back, TM_BACK(back, "Mul", g, y), false), x);
    else if (!strcmp(type, "ReduceL1"))
        result = TM_BACK(back, "Mul", TM_BACK(back, "Sign", x), spread(back, g, false));
    else if (!strcmp(type, "ReduceL2"))
        result = TM_BACK(back, "Mul", x, spread(back, TM_BACK(back, "Div", g, y), false));
    else if (!strcmp(type, "ReduceSumSquare"))
        result = TM_BACK(back, "Mul", x, spread(back, TM_BACK(back, "Mul", g, tm_back_scalar(back, 2)), false));
    else if (!strcmp(type, "ReduceLogSum"))
        result = spread(back, TM_BACK(back, "Div", g, TM_BACK(back, "Exp", y)), false);
    else if (!strcmp(type, "ReduceLogSumExp"))
        result = TM_BACK(back, "Mul", spread(back, g, false),
                         TM_BACK(back, "Exp", TM_BACK(back, "Sub", x, spread(back, y, false))));
    else
        result = share_of_extreme(back, g);
    tm_back_give(back, 0, result);
}

// ---- Spread.
static tagmask_status spread_axes(tm_op_ctx *ctx, bool gone[TM_MAX_RANK], bool *keep, tm_error *err) {
    return tm_reduced_axes(ctx, tm_attr_int(ctx->node, "planes", 0) != 0, gone, keep, err);
}

static tagmask_status shape_spread(tm_op_ctx *ctx, tm_error *err) {
    bool gone[TM_MAX_RANK], keep;
    TM_TRY(tm_need_float(ctx, 2, "the gradient", err));
    TM_TRY(spread_axes(ctx, gone, &keep, err));
    tm_set_output(ctx, 0, TM_FLOAT32, &ctx->in[0].shape);
    ctx->flops = (double)tm_span(&ctx->in[0].shape, 0, ctx->in[0].shape.rank);
    return TAGMASK_OK;
}

// Planes are filled as the tensor they are like lies.
static void layout_spread(tm_op_ctx *ctx, tm_layout *in, tm_layout *out) {
    bool gone[TM_MAX_RANK], keep;
    tm_error ignored;
    bool c4 = in[0] == TM_C4 && ctx->in[0].shape.rank == 4 && ctx->in[2].shape.rank == 4 &&
              spread_axes(ctx, gone, &keep, &ignored) == TAGMASK_OK && !gone[0] && !gone[1] && gone[2] && gone[3];
    in[2] = out[0] = c4 ? TM_C4 : TM_LINEAR;
    in[1] = TM_LINEAR;
}

static void cut_spread(tm_op_ctx *ctx, tm_cut *cut) {
    bool gone[TM_MAX_RANK], keep;
    tm_error ignored;
    int8_t own = 0;
    if (spread_axes(ctx, gone, &keep, &ignored) != TAGMASK_OK) return;
    keep = ctx->in[2].shape.rank == ctx->in[0].shape.rank;
    for (int8_t d = 0; d < ctx->in[0].shape.rank; d++) {
        size_t axis = tm_cut_add(cut, ctx->in[0].shape.dim[d], 1);
        cut->dim[ctx->input_count][axis] = d;
        if (!gone[d]) cut->dim[2][axis] = own;
        if (keep || !gone[d]) own++;
    }
}

static tagmask_status record_spread(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    bool gone[TM_MAX_RANK], keep, c4 = ctx->gout[0].layout == TM_C4;
    TM_TRY(spread_axes(ctx, gone, &keep, err));
    tm_shape shape, reduced;
    tm_element_dims(&ctx->gout[0], &shape);
    reduced = shape;
    struct {
        uint32_t dim[8], stride[8], count, rank;
        float scale;
    } push = {.count = (uint32_t)tm_span(&shape, 0, shape.rank), .scale = 1};
    int64_t stride[TM_MAX_RANK];
    for (int32_t d = 0; d < shape.rank; d++)
        if (gone[d]) reduced.dim[d] = 1;
    tm_row_major(shape.rank, reduced.dim, stride);
    for (int32_t d = 0; d < shape.rank; d++) {
        if (gone[d] && tm_attr_int(ctx->node, "mean", 0)) push.scale /= (float)ctx->in[0].shape.dim[d];
        if (gone[d]) stride[d] = 0;
    }
    int32_t rank = tm_collapse(shape.rank, shape.dim, (int64_t *const[]){stride}, 1);
    push.rank = (uint32_t)rank;
    for (int32_t d = 0; d < rank; d++) {
        push.dim[d] = (uint32_t)shape.dim[d];
        push.stride[d] = (uint32_t)stride[d];
    }
    tm_launch launch = {.shader = c4 ? "nn/spread_c4" : "nn/spread",
                        .bindings = {ctx->gin[2].slice, ctx->gout[0].slice},
                        .binding_count = 2,
                        .push = &push,
                        .push_size = sizeof push,
                        .threads = push.count,
                        .flops = push.count};
    return tm_launch_threads(ctx, recorder, &launch, err);
}

const tm_op tm_ops_reduce_gradient[] = {
    {.type = "Spread",
     .domain = TM_GRADIENT_DOMAIN,
     .since = 1,
     .shape = shape_spread,
     .layout = layout_spread,
     .host_inputs = 2,
     .shape_inputs = 1,
     .cut = cut_spread,
     .record = record_spread},
    {.type = NULL},
};
