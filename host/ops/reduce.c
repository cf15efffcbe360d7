// Reductions over axes (ReduceMean, ReduceSum, ...), global pooling, ArgMax and ArgMin. Two more are for gradients:
// SumLike(x, like) undoes broadcasting, ChannelSum(x) sums everything that is of one channel.
#include "ops/reduce.h"

#include <string.h>

#include "ops/gradients.h"

// Numbers of shaders/nn/reduce.comp. MEAN is a sum with a scale for floats, an integer division otherwise.
enum { SUM = 0, MAX, MIN, PROD, L1, L2, SUM_SQUARE, LOG_SUM, LOG_SUM_EXP, MEAN };

// What is reduced: the axes that the node names, planes, what is broadcast of a tensor, all but the channels.
enum { NAMED = 0, PLANES, LIKE, ALL_BUT_CHANNELS };

typedef struct reduction {
    const char *type;
    uint8_t op;
    bool integers;
    uint8_t what;
} reduction;

static const reduction reductions[] = {
    {"ReduceSum", SUM, true},
    {"ReduceMean", MEAN, true},
    {"ReduceMax", MAX, true},
    {"ReduceMin", MIN, true},
    {"ReduceProd", PROD, true},
    {"ReduceL1", L1, true},
    {"ReduceL2", L2, false},
    {"ReduceSumSquare", SUM_SQUARE, true},
    {"ReduceLogSum", LOG_SUM, false},
    {"ReduceLogSumExp", LOG_SUM_EXP, false},
    {"GlobalAveragePool", MEAN, false, PLANES},
    {"GlobalMaxPool", MAX, false, PLANES},
    {"SumLike", SUM, false, LIKE},
    {"ChannelSum", SUM, false, ALL_BUT_CHANNELS},
};

static const reduction *find_reduction(const char *type) {
    for (size_t i = 0; i < TM_ARRAY_LEN(reductions); i++)
        if (!strcmp(reductions[i].type, type)) return &reductions[i];
    return NULL;
}

tagmask_status tm_reduced_axes(tm_op_ctx *ctx, bool planes, bool gone[TM_MAX_RANK], bool *keep, tm_error *err) {
    int32_t rank = ctx->in[0].shape.rank;
    for (int32_t d = 0; d < TM_MAX_RANK; d++) gone[d] = planes && d >= 2;
    *keep = planes || tm_attr_int(ctx->node, "keepdims", 1) != 0;
    if (planes) {
        if (rank >= 2) return TAGMASK_OK;
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "its input has rank %d; expected at least 2", (int)rank);
    }
    const int64_t *axes;
    size_t count;
    TM_TRY(tm_attr_or_input_ints(ctx, "axes", 1, &axes, &count, err));
    if (!axes || count == 0) {
        bool none = tm_attr_int(ctx->node, "noop_with_empty_axes", 0) != 0;
        for (int32_t d = 0; d < rank; d++) gone[d] = !none;
        return TAGMASK_OK;
    }
    for (size_t i = 0; i < count; i++) {
        int32_t d;
        TM_TRY(tm_normalize_axis(ctx, "axes", axes[i], rank, &d, err));
        if (gone[d]) return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "names axis %d twice", (int)d);
        gone[d] = true;
    }
    return TAGMASK_OK;
}

static tagmask_status axes_unlike(tm_op_ctx *ctx, bool gone[TM_MAX_RANK], tm_error *err) {
    const tm_shape *in = &ctx->in[0].shape, *like = &ctx->in[1].shape;
    bool fits = in->rank >= like->rank;
    for (int32_t d = 0; fits && d < in->rank; d++) {
        int32_t own = d - (in->rank - like->rank);
        gone[d] = own < 0 || like->dim[own] != in->dim[d];
        fits = !gone[d] || own < 0 || like->dim[own] == 1;
    }
    char a[128], b[128];
    if (fits) return TAGMASK_OK;
    return tm_op_fail(ctx, err, TAGMASK_ERROR_INTERNAL, "cannot sum %s to %s", tm_shape_text(in, a, sizeof a),
                      tm_shape_text(like, b, sizeof b));
}

// Which axes are reduced, and whether they stay as 1.
static tagmask_status reduced_axes(tm_op_ctx *ctx, bool gone[TM_MAX_RANK], bool *keep, tm_error *err) {
    uint8_t what = find_reduction(ctx->node->op_type)->what;
    if (what == NAMED || what == PLANES) return tm_reduced_axes(ctx, what == PLANES, gone, keep, err);
    *keep = what == LIKE && ctx->in[0].shape.rank == ctx->in[1].shape.rank;
    for (int32_t d = 0; d < TM_MAX_RANK; d++) gone[d] = d != 1;
    return what == LIKE ? axes_unlike(ctx, gone, err) : TAGMASK_OK;
}

static tagmask_status shape_reduce(tm_op_ctx *ctx, tm_error *err) {
    const reduction *r = find_reduction(ctx->node->op_type);
    TM_TRY(tm_need_inputs(ctx, 1, r->what == PLANES ? 1 : 2, err));
    if (r->integers)
        TM_TRY(tm_need_words(ctx, 0, "the input", err));
    else
        TM_TRY(tm_need_float(ctx, 0, "the input", err));
    bool gone[TM_MAX_RANK], keep;
    TM_TRY(reduced_axes(ctx, gone, &keep, err));
    const tm_shape *in = &ctx->in[0].shape;
    tm_shape shape = {.rank = 0};
    for (int32_t d = 0; d < in->rank; d++) {
        if (!gone[d])
            shape.dim[shape.rank++] = in->dim[d];
        else if (keep)
            shape.dim[shape.rank++] = 1;
        // Float and bool have a least and a greatest value that the standard names.
        bool extreme = (r->op == MAX || r->op == MIN) && ctx->in[0].dtype != TM_FLOAT32 && ctx->in[0].dtype != TM_BOOL;
        bool defined = in->dim[d] > 0 || !(extreme || r->op == MEAN);
        if (gone[d] && !defined)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "reduces the empty dimension %d", (int)d);
    }
    ctx->view = r->what == LIKE && tm_shape_equal(in, &ctx->in[1].shape);
    tm_set_output(ctx, 0, ctx->in[0].dtype, r->what == LIKE ? &ctx->in[1].shape : &shape);
    if (r->op != MAX && r->op != MIN) tm_alarm_if_wide(ctx, ctx->in[0].dtype);
    ctx->flops = ctx->view ? 0 : (double)tm_span(in, 0, in->rank);
    return TAGMASK_OK;
}

// Planes of C4 tensors are reduced as they lie.
static void layout_reduce(tm_op_ctx *ctx, tm_layout *in, tm_layout *out) {
    bool gone[TM_MAX_RANK], keep;
    tm_error ignored;
    uint8_t op = find_reduction(ctx->node->op_type)->op;
    bool c4 = in[0] == TM_C4 && ctx->in[0].shape.rank == 4 && ctx->in[0].dtype == TM_FLOAT32 &&
              (op == SUM || op == MAX || op == MIN || op == MEAN) &&
              reduced_axes(ctx, gone, &keep, &ignored) == TAGMASK_OK && keep && !gone[0] && !gone[1] && gone[2] &&
              gone[3];
    if (!ctx->view) in[0] = c4 ? TM_C4 : TM_LINEAR;
    out[0] = in[0];
}

static tagmask_status record_planes(tm_op_ctx *ctx, tm_recorder *recorder, uint32_t op, tm_error *err) {
    const tm_shape *in = &ctx->gin[0].shape;
    struct {
        uint32_t outputs, plane;
        float scale;
    } push = {.outputs = (uint32_t)in->dim[0] * tm_channel_blocks(in),
              .plane = (uint32_t)(in->dim[2] * in->dim[3]),
              .scale = 1.0f};
    if (op == MEAN) push.scale = 1.0f / (float)push.plane;
    tm_launch launch = {.shader = "nn/reduce_c4",
                        .constants = {op == MEAN ? SUM : op},
                        .constant_count = 1,
                        .bindings = {ctx->gin[0].slice, ctx->gout[0].slice},
                        .binding_count = 2,
                        .push = &push,
                        .push_size = sizeof push,
                        .threads = push.outputs,
                        .rounds = push.plane / 8 + push.plane / 256 + 2,
                        .flops = 4.0 * push.outputs * push.plane};
    return tm_launch_threads(ctx, recorder, &launch, err);
}

// Along what stays.
static void cut_kept(const tm_op_ctx *ctx, tm_cut *cut, const bool *gone, bool keep) {
    const tm_shape *in = &ctx->in[0].shape;
    int8_t to = 0;
    for (int8_t d = 0; d < in->rank; d++) {
        if (!gone[d]) {
            size_t axis = tm_cut_add(cut, in->dim[d], 1);
            cut->dim[0][axis] = d;
            cut->dim[ctx->input_count][axis] = to;
        }
        if (keep || !gone[d]) to++;
    }
}

static void cut_reduce(tm_op_ctx *ctx, tm_cut *cut) {
    bool gone[TM_MAX_RANK], keep;
    tm_error ignored;
    if (reduced_axes(ctx, gone, &keep, &ignored) == TAGMASK_OK) cut_kept(ctx, cut, gone, keep);
}

// Dimensions are aligned at the last one, as for broadcasting.
static void cut_sum_like(tm_op_ctx *ctx, tm_cut *cut) {
    bool gone[TM_MAX_RANK];
    tm_error ignored;
    const tm_shape *in = &ctx->in[0].shape;
    if (axes_unlike(ctx, gone, &ignored) != TAGMASK_OK) return;
    for (int8_t d = 0; d < in->rank; d++) {
        if (gone[d]) continue;
        size_t axis = tm_cut_add(cut, in->dim[d], 1);
        cut->dim[0][axis] = d;
        cut->dim[ctx->input_count][axis] = (int8_t)(d - (in->rank - ctx->in[1].shape.rank));
    }
}

// Rounds of nn/reduce: a log-sum-exp walks twice, and with several dimensions each element's place takes a loop.
static uint64_t reduce_rounds(uint64_t length, uint32_t dims, uint32_t op) {
    uint64_t walk = length / 8 + length / 256 + 2 + (dims > 1 ? length * dims : 0);
    return op == LOG_SUM_EXP ? 2 * walk : walk;
}

static tagmask_status record_reduce(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    uint32_t op = find_reduction(ctx->node->op_type)->op;
    if (ctx->gin[0].layout == TM_C4) return record_planes(ctx, recorder, op, err);
    bool gone[TM_MAX_RANK], keep, real = ctx->gin[0].dtype == TM_FLOAT32;
    TM_TRY(reduced_axes(ctx, gone, &keep, err));
    const tm_shape *in = &ctx->gin[0].shape;
    struct {
        uint32_t dim[8], stride[8], kept, rank, outputs, length;
        float scale;
    } push = {.outputs = 1, .length = 1, .scale = 1.0f};
    int64_t own[TM_MAX_RANK];
    tm_row_major(in->rank, in->dim, own);
    for (int pass = 0; pass < 2; pass++) {  // the dimensions that stay, then those that go
        int64_t dim[TM_MAX_RANK], stride[TM_MAX_RANK];
        int32_t rank = 0;
        for (int32_t d = 0; d < in->rank; d++) {
            if (gone[d] != (pass == 1)) continue;
            dim[rank] = in->dim[d];
            stride[rank++] = own[d];
        }
        rank = tm_collapse(rank, dim, (int64_t *const[]){stride}, 1);
        for (int32_t d = 0; d < rank && push.rank < 8; d++, push.rank++) {
            push.dim[push.rank] = (uint32_t)dim[d];
            push.stride[push.rank] = (uint32_t)stride[d];
            if (pass)
                push.length *= (uint32_t)dim[d];
            else
                push.outputs *= (uint32_t)dim[d];
        }
        if (pass == 0) push.kept = push.rank;
    }
    if (op == MEAN && real) push.scale = 1.0f / (float)push.length;
    tm_launch launch = {
        .shader = "nn/reduce",
        .alarm_shader = "nn/reduce_alarm",
        .constants = {op == MEAN && real ? SUM : op, !real, ctx->in[0].dtype == TM_BOOL, push.rank == push.kept + 1},
        .constant_count = 4,
        .bindings = {ctx->gin[0].slice, ctx->gout[0].slice},
        .binding_count = 2,
        .push = &push,
        .push_size = sizeof push,
        .threads = push.outputs,
        .rounds = reduce_rounds(push.length, push.rank - push.kept, op),
        .flops = (double)push.outputs * push.length};
    TM_TRY(tm_launch_threads(ctx, recorder, &launch, err));
    return tm_record_narrow(ctx, recorder, &ctx->gout[0], err);
}

// ---- ArgMax and ArgMin.
static tagmask_status shape_arg(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 1, 1, err));
    TM_TRY(tm_need_words(ctx, 0, "the input", err));
    const tm_shape *in = &ctx->in[0].shape;
    int32_t axis;
    TM_TRY(tm_normalize_axis(ctx, "axis", tm_attr_int(ctx->node, "axis", 0), in->rank, &axis, err));
    if (in->dim[axis] < 1)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "searches the empty dimension %d", (int)axis);
    bool keep = tm_attr_int(ctx->node, "keepdims", 1) != 0;
    tm_shape shape = {.rank = 0};
    for (int32_t d = 0; d < in->rank; d++) {
        if (d != axis)
            shape.dim[shape.rank++] = in->dim[d];
        else if (keep)
            shape.dim[shape.rank++] = 1;
    }
    tm_set_output(ctx, 0, TM_INT64, &shape);
    return TAGMASK_OK;
}

static void cut_arg(tm_op_ctx *ctx, tm_cut *cut) {
    bool gone[TM_MAX_RANK] = {false};
    int64_t axis = tm_attr_int(ctx->node, "axis", 0);
    gone[axis < 0 ? axis + ctx->in[0].shape.rank : axis] = true;
    cut_kept(ctx, cut, gone, tm_attr_int(ctx->node, "keepdims", 1) != 0);
}

static tagmask_status record_arg(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    const tm_shape *in = &ctx->gin[0].shape;
    int64_t axis = tm_attr_int(ctx->node, "axis", 0);
    if (axis < 0) axis += in->rank;
    struct {
        uint32_t count, axis, inner;
    } push = {.axis = (uint32_t)in->dim[axis], .inner = (uint32_t)tm_span(in, (int32_t)axis + 1, in->rank)};
    push.count = (uint32_t)tm_span(in, 0, (int32_t)axis) * push.inner;
    bool least = !strcmp(ctx->node->op_type, "ArgMin"), integer = ctx->gin[0].dtype != TM_FLOAT32;
    tm_launch launch = {.shader = "nn/arg",
                        .constants = {least, integer, tm_attr_int(ctx->node, "select_last_index", 0) != 0},
                        .constant_count = 3,
                        .bindings = {ctx->gin[0].slice, ctx->gout[0].slice},
                        .binding_count = 2,
                        .push = &push,
                        .push_size = sizeof push,
                        .threads = push.count,
                        .rounds = push.axis / 8 + 1,
                        .flops = (double)push.count * push.axis};
    return tm_launch_threads(ctx, recorder, &launch, err);
}

#define REDUCE(name, fold_rule)                                                                                    \
    {                                                                                                              \
        .type = name, .domain = "", .since = 1, .shape = shape_reduce, .fold = fold_rule, .layout = layout_reduce, \
        .constant_inputs = 2, .host_inputs = 2, .cut = cut_reduce, .record = record_reduce,                        \
        .gradient = tm_gradient_reduce                                                                             \
    }
const tm_op tm_ops_reduce[] = {
    REDUCE("ReduceSum", tm_fold_reduce),
    REDUCE("ReduceMean", tm_fold_reduce),
    REDUCE("ReduceMax", tm_fold_reduce),
    REDUCE("ReduceMin", tm_fold_reduce),
    REDUCE("ReduceProd", tm_fold_reduce),
    REDUCE("ReduceL1", NULL),
    REDUCE("ReduceL2", NULL),
    REDUCE("ReduceSumSquare", NULL),
    REDUCE("ReduceLogSum", NULL),
    REDUCE("ReduceLogSumExp", NULL),
    REDUCE("GlobalAveragePool", NULL),
    REDUCE("GlobalMaxPool", NULL),
    {.type = "ArgMax",
     .domain = "",
     .since = 1,
     .shape = shape_arg,
     .cut = cut_arg,
     .record = record_arg,
     .gradient = tm_gradient_zero},
    {.type = "ArgMin",
     .domain = "",
     .since = 1,
     .shape = shape_arg,
     .cut = cut_arg,
     .record = record_arg,
     .gradient = tm_gradient_zero},
    {.type = "SumLike",
     .domain = TM_GRADIENT_DOMAIN,
     .since = 1,
     .shape = shape_reduce,
     .layout = layout_reduce,
     .shape_inputs = 2,
     .cut = cut_sum_like,
     .record = record_reduce},
    {.type = "ChannelSum",
     .domain = TM_GRADIENT_DOMAIN,
     .since = 1,
     .shape = shape_reduce,
     .layout = layout_reduce,
     .cut = cut_reduce,
     .record = record_reduce},
    {.type = NULL},
};
