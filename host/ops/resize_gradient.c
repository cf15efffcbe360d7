// The gradient of Resize and Upsample: ResizeGradient(x, roi, scales, sizes, g), which needs only the shape of x;
// likewise UpsampleGradient, which reads its attributes as Upsample. What they compute is separable and linear: each
// axis is transposed.
#include <stdlib.h>
#include <string.h>

#include "ops/axis_sum.h"
#include "ops/gradients.h"

enum { GRADIENT = 4 };

void tm_gradient_resize(tm_backward *back) {
    bool upsample = !strcmp(tm_back_node(back)->op_type, "Upsample");
    int32_t value = TM_BACK(back, upsample ? "UpsampleGradient" : "ResizeGradient", tm_back_in(back, 0),
                            tm_back_in(back, 1), tm_back_in(back, 2), tm_back_in(back, 3), tm_back_from(back, 0));
    tm_back_inherit(back);
    tm_back_give(back, 0, value);
}

// Nearest neighbours as the operator finds them: exactly, where they have a form in integers.
static void exact_table(const tm_resize_plan *plan, const tm_resize_axis *axis, tm_resize_tap *table) {
    int64_t mul, add, div;
    tm_resize_table(plan, axis, table);
    if (plan->mode != TM_RESIZE_NEAREST || !tm_resize_nearest_terms(plan, axis, &mul, &add, &div)) return;
    for (int64_t x = 0; x < axis->out; x++)
        table[x].index = (int32_t)TM_CLAMP(tm_floor_div(x * mul + add, div), 0, axis->in - 1);
}

static tagmask_status list_sums(tm_op_ctx *ctx, const tm_resize_plan *plan, tm_axis_sums *sums, tm_error *err) {
    *sums = (tm_axis_sums){0};
    tagmask_status status = TAGMASK_OK;
    for (int32_t d = 0; status == TAGMASK_OK && d < plan->shape.rank; d++) {
        const tm_resize_axis *axis = &plan->axis[d];
        if (!axis->changes) continue;
        size_t taps = tm_resize_taps(plan, axis), entries;
        tm_resize_tap *table = NULL;
        if (tm_mul_size(taps, (size_t)axis->out, &entries) && entries < INT32_MAX / 8)
            table = tm_calloc(entries, sizeof *table);
        if (!table) {
            status = tm_op_fail(ctx, err, TAGMASK_ERROR_MEMORY, "has no memory for its table of weights");
        } else {
            exact_table(plan, axis, table);
            status = tm_axis_sums_add(ctx, sums, d, axis->in, axis->out, table, taps, err);
        }
        free(table);
    }
    if (status != TAGMASK_OK) tm_axis_sums_free(sums);
    return status;
}

static tagmask_status shape_resize_gradient(tm_op_ctx *ctx, tm_error *err) {
    tm_resize_plan plan;
    tm_axis_sums sums;
    TM_TRY(tm_need_float(ctx, GRADIENT, "the gradient", err));
    TM_TRY(tm_resize_plan_make(ctx, &plan, err));
    TM_TRY(list_sums(ctx, &plan, &sums, err));
    tm_set_output(ctx, 0, TM_FLOAT32, &ctx->in[0].shape);
    tagmask_status status = tm_axis_sums_scratch(ctx, &sums, &plan.shape, &ctx->scratch_bytes, err);
    tm_axis_sums_free(&sums);
    return status;
}

static tagmask_status record_resize_gradient(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    tm_resize_plan plan;
    tm_axis_sums sums;
    TM_TRY(tm_resize_plan_make(ctx, &plan, err));
    TM_TRY(list_sums(ctx, &plan, &sums, err));
    tagmask_status status =
        tm_axis_sums_record(ctx, &sums, &plan.shape, ctx->gin[GRADIENT].slice, ctx->gout[0].slice, recorder, err);
    tm_axis_sums_free(&sums);
    return status;
}

const tm_op tm_ops_resize_gradient[] = {
    {.type = "ResizeGradient",
     .domain = TM_GRADIENT_DOMAIN,
     .since = 1,
     .shape = shape_resize_gradient,
     .host_inputs = 14,
     .shape_inputs = 1,
     .record = record_resize_gradient},
    {.type = "UpsampleGradient",
     .domain = TM_GRADIENT_DOMAIN,
     .since = 1,
     .shape = shape_resize_gradient,
     .host_inputs = 14,
     .shape_inputs = 1,
     .record = record_resize_gradient},
    {.type = NULL},
};
