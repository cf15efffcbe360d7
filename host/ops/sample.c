// GridSample: reads an image at positions that a second tensor gives (spatial transformers, optical flow).
#include <string.h>

#include "ops/common.h"

static tagmask_status find_name(tm_op_ctx *ctx, const char *attribute, const char *otherwise, const char *const *names,
                                size_t count, uint32_t *value, tm_error *err) {
    const char *text = tm_attr_string(ctx->node, attribute, otherwise);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], text)) continue;
        *value = (uint32_t)i;
        return TAGMASK_OK;
    }
    return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "%s is '%s'; expected a name of the standard", attribute,
                      text);
}

// Numbers of shaders/nn/grid_sample.comp. The modes got new names in opset 20.
static tagmask_status sample_modes(tm_op_ctx *ctx, uint32_t *mode, uint32_t *padding, tm_error *err) {
    static const char *const modes[] = {"nearest", "linear", "cubic", "bilinear", "bicubic"};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    TM_TRY(find_name(ctx, "mode", "linear", modes, TM_ARRAY_LEN(modes), mode, err));
    if (*mode > 2) *mode -= 2;
    return find_name(ctx, "padding_mode", "zeros", paddings, TM_ARRAY_LEN(paddings), padding, err);
}

static tagmask_status shape_sample(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 2, 2, err));
    TM_TRY(tm_need_float(ctx, 0, "the image", err));
    TM_TRY(tm_need_float(ctx, 1, "the grid", err));
    uint32_t mode, padding;
    TM_TRY(sample_modes(ctx, &mode, &padding, err));
    const tm_shape *x = &ctx->in[0].shape, *grid = &ctx->in[1].shape;
    bool fits = (x->rank == 4 || x->rank == 5) && grid->rank == x->rank && grid->dim[0] == x->dim[0] &&
                grid->dim[grid->rank - 1] == x->rank - 2;
    for (int32_t d = 2; fits && d < x->rank; d++) fits = x->dim[d] > 0;
    char a[128], b[128];
    if (!fits)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED,
                          "samples an image of %s at a grid of %s; expected rank 4 or 5 and a matching grid",
                          tm_shape_text(x, a, sizeof a), tm_shape_text(grid, b, sizeof b));
    tm_shape shape = *x;
    for (int32_t d = 2; d < x->rank; d++) shape.dim[d] = grid->dim[d - 1];
    tm_set_output(ctx, 0, TM_FLOAT32, &shape);
    return TAGMASK_OK;
}

// By images, channels, and the first of the grid's axes.
static void cut_sample(tm_op_ctx *ctx, tm_cut *cut) {
    const tm_shape *y = &ctx->out[0].shape;
    static const int8_t image[] = {0, 1, -1}, grid[] = {0, -1, 1};
    for (int8_t d = 0; d < 3; d++) {
        size_t axis = tm_cut_add(cut, y->dim[d], 1);
        cut->dim[0][axis] = image[d];
        cut->dim[1][axis] = grid[d];
        cut->dim[2][axis] = d;
    }
}

static tagmask_status record_sample(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    const tm_shape *x = &ctx->gin[0].shape, *y = &ctx->gout[0].shape;
    uint32_t mode, padding;
    TM_TRY(sample_modes(ctx, &mode, &padding, err));
    struct {
        uint32_t count, channels, points, axes;
        int32_t size[4];
    } push = {.count = (uint32_t)tm_span(y, 0, y->rank),
              .channels = (uint32_t)x->dim[1],
              .points = (uint32_t)tm_span(y, 2, y->rank),
              .axes = (uint32_t)x->rank - 2,
              .size = {1, 1, 1, 1}};
    for (int32_t d = 2; d < x->rank; d++) push.size[x->rank - 1 - d] = (int32_t)x->dim[d];
    tm_launch launch = {.shader = "nn/grid_sample",
                        .constants = {mode, padding, tm_attr_int(ctx->node, "align_corners", 0) != 0},
                        .constant_count = 3,
                        .bindings = {ctx->gin[0].slice, ctx->gin[1].slice, ctx->gout[0].slice},
                        .binding_count = 3,
                        .push = &push,
                        .push_size = sizeof push,
                        .threads = push.count,
                        .flops = 32.0 * push.count};
    return tm_launch_threads(ctx, recorder, &launch, err);
}

const tm_op tm_ops_sample[] = {
    {.type = "GridSample",
     .domain = "",
     .since = 16,
     .shape = shape_sample,
     .cut = cut_sample,
     .record = record_sample},
    {.type = NULL},
};
