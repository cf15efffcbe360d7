// Elementwise operators of two or more inputs with numpy broadcasting, and Where.
#include <string.h>

#include "ops/common.h"
#include "ops/gradients.h"

// Numbers of shaders/nn/binary_ops.glsl.
enum {
    ADD = 0,
    SUB,
    MUL,
    DIV,
    POW,
    MIN,
    MAX,
    PRELU,
    MOD,
    FMOD,
    EQUAL = 16,
    GREATER,
    LESS,
    GREATER_EQUAL,
    LESS_EQUAL,
    AND = 24,
    OR,
    XOR
};

typedef struct binary {
    const char *type;
    uint8_t op;
    bool boolean;  // the output is bool
} binary;

static const binary binaries[] = {
    {"Add", ADD, false},
    {"Sub", SUB, false},
    {"Mul", MUL, false},
    {"Div", DIV, false},
    {"Pow", POW, false},
    {"Min", MIN, false},
    {"Max", MAX, false},
    {"Sum", ADD, false},
    {"Mean", ADD, false},
    {"PRelu", PRELU, false},
    {"Mod", MOD, false},
    {"Equal", EQUAL, true},
    {"Greater", GREATER, true},
    {"Less", LESS, true},
    {"GreaterOrEqual", GREATER_EQUAL, true},
    {"LessOrEqual", LESS_EQUAL, true},
    {"And", AND, true},
    {"Or", OR, true},
    {"Xor", XOR, true},
};

static const binary *find_binary(const char *type) {
    for (size_t i = 0; i < TM_ARRAY_LEN(binaries); i++)
        if (!strcmp(binaries[i].type, type)) return &binaries[i];
    return NULL;
}

// ---- One step: y = act(a op b).
typedef struct step {
    uint32_t op;
    const tm_tensor *a, *b, *y;
    tm_fused fused;
} step;

static bool one_element(const tm_tensor *t) {
    size_t count;
    return tm_shape_count(&t->shape, &count) && count == 1;
}

// An operand that lies in memory exactly as the output does.
static bool full(const tm_tensor *t, const tm_tensor *y) {
    size_t a, b;
    if (t->layout != y->layout) return false;
    if (y->layout == TM_C4) return tm_shape_equal(&t->shape, &y->shape);
    return tm_shape_count(&t->shape, &a) && tm_shape_count(&y->shape, &b) && a == b;
}

// Strides of an operand over the dimensions of the output; 0 where it broadcasts.
static void broadcast_strides(const tm_shape *shape, const tm_shape *out, int64_t *stride) {
    int64_t own[TM_MAX_RANK];
    tm_row_major(shape->rank, shape->dim, own);
    for (int32_t d = 0; d < out->rank; d++) {
        int32_t s = d - (out->rank - shape->rank);
        stride[d] = s < 0 || shape->dim[s] == 1 ? 0 : own[s];
    }
}

// How an operand of nn/binary repeats itself.
typedef enum form { FORM_FULL, FORM_ONE, FORM_ROW, FORM_COLUMN, FORM_OTHER } form;

// *row: the elements after which a row or a column's element ends; 0 for operands without rows.
static form form_of(const tm_tensor *t, const tm_tensor *y, int64_t *row) {
    *row = 0;
    if (full(t, y)) return FORM_FULL;
    if (one_element(t)) return FORM_ONE;
    if (y->layout != TM_LINEAR || t->layout != TM_LINEAR) return FORM_OTHER;
    int64_t dim[TM_MAX_RANK] = {0}, stride[TM_MAX_RANK];
    for (int32_t d = 0; d < y->shape.rank; d++) dim[d] = y->shape.dim[d];
    broadcast_strides(&t->shape, &y->shape, stride);
    int32_t rank = tm_collapse(y->shape.rank, dim, (int64_t *const[]){stride}, 1);
    *row = dim[1];
    if (rank != 2 || dim[1] % 4) return FORM_OTHER;
    return stride[0] == 0 && stride[1] == 1 ? FORM_ROW : stride[0] == 1 && stride[1] == 0 ? FORM_COLUMN : FORM_OTHER;
}

// Whether nn/binary serves the step; operands with rows must agree on them.
static bool find_forms(const step *s, form *a, form *b, int64_t *row) {
    int64_t row_a, row_b;
    *a = form_of(s->a, s->y, &row_a);
    *b = form_of(s->b, s->y, &row_b);
    *row = TM_MAX(row_a, row_b);
    bool agree = !row_a || !row_b || row_a == row_b;
    return *a != FORM_OTHER && *b != FORM_OTHER && agree && (*a != FORM_ONE || *b != FORM_ONE);
}

static bool keeps_zero(const step *s, form a, form b) {
    bool act = s->fused.act == TM_ACT_SIGMOID || (s->fused.act == TM_ACT_CLIP && (s->fused.a > 0 || s->fused.b < 0));
    return s->op != DIV && a == FORM_FULL && b == FORM_FULL && !act;
}

static tagmask_status record_flat(tm_op_ctx *ctx, tm_recorder *recorder, const step *s, form a, form b, int64_t row,
                                  tm_error *err) {
    bool mask = false;
    struct {
        uint32_t count, plane, blocks, tail;
        float act_a, act_b;
    } push = {.count = (uint32_t)((tm_layout_bytes(&s->y->shape, s->y->layout) + 15) / 16),
              .plane = (uint32_t)row / 4,
              .act_a = s->fused.a,
              .act_b = s->fused.b};
    if (s->y->layout == TM_C4) {
        push.plane = (uint32_t)(s->y->shape.dim[2] * s->y->shape.dim[3]);
        push.blocks = tm_channel_blocks(&s->y->shape);
        push.tail = (uint32_t)(s->y->shape.dim[1] % 4);
        mask = push.tail && !keeps_zero(s, a, b);
    }
    uint32_t items = tm_items(ctx->gpu);
    tm_launch launch = {
        .shader = "nn/binary",
        .texel_shader = "nn/binary_texel",
        .texel_inputs = 2,
        .constants = {s->op, 0, s->fused.act, items, a, b, mask},
        .constant_count = 7,
        .bindings = {s->a->slice, s->b->slice, s->y->slice},
        .binding_count = 3,
        .push = &push,
        .push_size = sizeof push,
        .threads = ((uint64_t)push.count + items - 1) / items,
        .flops = 4.0 * push.count,
    };
    return tm_launch_threads(ctx, recorder, &launch, err);
}

// How nn/binary_c4 reads an operand: its KIND, with strides for N, channel (or block of four), H and W.
static uint32_t c4_operand(const tm_tensor *t, const tm_tensor *y, uint32_t stride[4]) {
    tm_shape dims = t->shape;
    if (t->layout == TM_C4) dims.dim[1] = tm_channel_blocks(&t->shape);
    int64_t s[TM_MAX_RANK];
    broadcast_strides(&dims, &y->shape, s);
    for (int d = 0; d < 4; d++) stride[d] = (uint32_t)s[d];
    if (t->layout == TM_C4) return t->shape.dim[1] == 1 && y->shape.dim[1] > 1 ? 1 : 0;
    return s[1] != 0 ? 2 : 3;
}

static tagmask_status record_c4(tm_op_ctx *ctx, tm_recorder *recorder, const step *s, tm_error *err) {
    const tm_shape *shape = &s->y->shape;
    struct {
        uint32_t count, channels, height, width, a[4], b[4];
        float act_a, act_b;
    } push = {.count = (uint32_t)(tm_layout_bytes(shape, TM_C4) / 16),
              .channels = (uint32_t)shape->dim[1],
              .height = (uint32_t)shape->dim[2],
              .width = (uint32_t)shape->dim[3],
              .act_a = s->fused.a,
              .act_b = s->fused.b};
    uint32_t a_kind = c4_operand(s->a, s->y, push.a), b_kind = c4_operand(s->b, s->y, push.b);
    uint32_t items = tm_items(ctx->gpu);
    tm_launch launch = {
        .shader = "nn/binary_c4",
        .texel_shader = "nn/binary_c4_texel",
        .texel_inputs = 2,
        .constants = {s->op, 0, s->fused.act, items, a_kind, b_kind},
        .constant_count = 6,
        .bindings = {s->a->slice, s->b->slice, s->a->slice, s->b->slice, s->y->slice},
        .binding_count = 5,
        .push = &push,
        .push_size = sizeof push,
        .threads = ((uint64_t)push.count + items - 1) / items,
        .flops = 4.0 * push.count,
    };
    return tm_launch_threads(ctx, recorder, &launch, err);
}

static tagmask_status record_nd(tm_op_ctx *ctx, tm_recorder *recorder, const step *s, tm_error *err) {
    int64_t dim[TM_MAX_RANK], a[TM_MAX_RANK], b[TM_MAX_RANK];
    for (int32_t d = 0; d < s->y->shape.rank; d++) dim[d] = s->y->shape.dim[d];
    broadcast_strides(&s->a->shape, &s->y->shape, a);
    broadcast_strides(&s->b->shape, &s->y->shape, b);
    int32_t rank = tm_collapse(s->y->shape.rank, dim, (int64_t *const[]){a, b}, 2);
    struct {
        uint32_t dim[8], a[8], b[8], count, rank;
        float act_a, act_b;
    } push = {.count = (uint32_t)(tm_layout_bytes(&s->y->shape, TM_LINEAR) / 4),
              .rank = (uint32_t)rank,
              .act_a = s->fused.a,
              .act_b = s->fused.b};
    for (int32_t d = 0; d < rank; d++) {
        push.dim[d] = (uint32_t)dim[d];
        push.a[d] = (uint32_t)a[d];
        push.b[d] = (uint32_t)b[d];
    }
    tm_launch launch = {
        .shader = "nn/binary_nd",
        .alarm_shader = s->a->dtype != TM_FLOAT32 ? "nn/binary_nd_alarm" : NULL,
        .constants = {s->op, s->a->dtype != TM_FLOAT32, s->fused.act, 1},
        .constant_count = 4,
        .bindings = {s->a->slice, s->b->slice, s->y->slice},
        .binding_count = 3,
        .push = &push,
        .push_size = sizeof push,
        .threads = ((uint64_t)push.count + 3) / 4,
        .flops = push.count,
    };
    TM_TRY(tm_launch_threads(ctx, recorder, &launch, err));
    return tm_record_narrow(ctx, recorder, s->y, err);
}

// What nn/binary and nn/binary_c4 can do; the rest is left to nn/binary_nd, in linear layout.
static bool is_common(uint32_t op, tm_dtype dtype) {
    return dtype == TM_FLOAT32 && op <= PRELU && op != POW;
}

static tagmask_status record_step(tm_op_ctx *ctx, tm_recorder *recorder, const step *s, tm_error *err) {
    form a, b;
    int64_t row;
    if (!is_common(s->op, s->a->dtype)) return record_nd(ctx, recorder, s, err);
    if (find_forms(s, &a, &b, &row)) return record_flat(ctx, recorder, s, a, b, row, err);
    if (s->y->layout == TM_C4) return record_c4(ctx, recorder, s, err);
    return record_nd(ctx, recorder, s, err);
}

tagmask_status tm_record_product(tm_op_ctx *ctx, tm_recorder *recorder, const tm_tensor *a, const tm_tensor *b,
                                 const tm_tensor *y, tm_error *err) {
    const step s = {MUL, a, b, y, {.residual = -1}};
    return record_step(ctx, recorder, &s, err);
}

// ---- Operators of two inputs.
static uint32_t op_number(const tm_op_ctx *ctx) {
    const binary *b = find_binary(ctx->node->op_type);
    return b->op == MOD && tm_attr_int(ctx->node, "fmod", 0) ? FMOD : b->op;
}

static tagmask_status check_types(tm_op_ctx *ctx, tm_error *err) {
    const binary *b = find_binary(ctx->node->op_type);
    for (size_t i = 0; i < ctx->input_count; i++) {
        TM_TRY(tm_need_words(ctx, i, "an input", err));
        if (ctx->in[i].dtype != ctx->in[0].dtype && b->op != POW)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "its inputs are %s and %s; expected one type",
                              tm_dtype_name(ctx->in[0].dtype), tm_dtype_name(ctx->in[i].dtype));
    }
    bool logic = b->op >= AND;
    if (logic != (ctx->in[0].dtype == TM_BOOL) && (logic || b->op != EQUAL))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "its inputs are %s; expected %s",
                          tm_dtype_name(ctx->in[0].dtype), logic ? "bool" : "numbers");
    return TAGMASK_OK;
}

// Arithmetic with integers can fail while the network runs.
static void set_alarm(tm_op_ctx *ctx, const binary *b) {
    bool divides = b->op == DIV || b->op == MOD, arithmetic = divides || b->op <= POW || b->op == PRELU;
    if (ctx->in[0].dtype == TM_FLOAT32 || !arithmetic) return;
    tm_alarm_if_wide(ctx, ctx->in[0].dtype);
    if (divides) ctx->alarm_text = "an integer is divided by zero, or a result does not fit 32 bits";
}

// Pow may mix floats and integers: it is computed with floats then.
static bool mixed(tm_dtype a, tm_dtype b) {
    return (a == TM_FLOAT32) != (b == TM_FLOAT32);
}

// Bytes of a tensor in scratch memory, such that what follows can be bound.
static uint64_t word_bytes(size_t count) {
    return tm_align_up(count * 4, 256);
}

static tagmask_status shape_binary(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 2, 2, err));
    TM_TRY(check_types(ctx, err));
    tm_shape shape;
    TM_TRY(tm_broadcast(ctx, 0, 1, &shape, err));
    const binary *b = find_binary(ctx->node->op_type);
    if (b->op == PRELU && !tm_shape_equal(&shape, &ctx->in[0].shape))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "the slope does not broadcast to the input's shape");
    tm_set_output(ctx, 0, b->boolean ? TM_BOOL : ctx->in[0].dtype, &shape);
    if (mixed(ctx->in[0].dtype, ctx->in[1].dtype)) {
        size_t count = TM_MAX(tm_span(&shape, 0, shape.rank), (size_t)1);
        ctx->scratch_bytes = 2 * word_bytes(count);
    }
    set_alarm(ctx, b);
    ctx->flops = (double)tm_span(&shape, 0, shape.rank);
    return TAGMASK_OK;
}

// C4 when an operand of the output's shape arrives that way; the other one is read as it lies.
static void layout_binary(tm_op_ctx *ctx, tm_layout *in, tm_layout *out) {
    bool same[2], c4 = false, common = is_common(op_number(ctx), ctx->in[0].dtype);
    for (int i = 0; i < 2; i++) {
        same[i] = tm_shape_equal(&ctx->in[i].shape, &ctx->out[0].shape);
        c4 = c4 || (common && same[i] && in[i] == TM_C4);
    }
    for (int i = 0; i < 2; i++) {
        if (!c4)
            in[i] = TM_LINEAR;
        else if (same[i])
            in[i] = TM_C4;
    }
    out[0] = c4 ? TM_C4 : TM_LINEAR;
}

static uint64_t float_bytes(const tm_tensor *t) {
    return tm_align_up(TM_MAX(tm_layout_bytes(&t->shape, t->layout), (size_t)16), 16);
}

// The integer operand, and an integer result, pass through scratch memory as floats.
static tagmask_status record_mixed(tm_op_ctx *ctx, tm_recorder *recorder, step *s, tm_error *err) {
    tm_tensor operand = s->a->dtype != TM_FLOAT32 ? *s->a : *s->b, result = *s->y;
    bool first = s->a->dtype != TM_FLOAT32;
    uint64_t half = ctx->scratch_bytes / 2;
    operand.slice = (tm_slice){ctx->scratch.buffer, ctx->scratch.offset, float_bytes(&operand)};
    operand.dtype = TM_FLOAT32;
    TM_TRY(tm_record_cast(ctx, recorder, first ? s->a : s->b, &operand, err));
    if (!first) {
        s->b = &operand;
        return record_step(ctx, recorder, s, err);
    }
    s->a = &operand;
    s->y = &result;
    result.slice = (tm_slice){ctx->scratch.buffer, ctx->scratch.offset + half, float_bytes(&result)};
    result.dtype = TM_FLOAT32;
    TM_TRY(record_step(ctx, recorder, s, err));
    return tm_record_cast(ctx, recorder, &result, &ctx->gout[0], err);
}

// A power of two is computed as nn/binary_nd does: by multiplication.
static bool squares(const tm_op_ctx *ctx) {
    const tm_host_tensor *exponent = &ctx->in[1];
    size_t count;
    return op_number(ctx) == POW && ctx->in[0].dtype == TM_FLOAT32 && exponent->dtype == TM_FLOAT32 && exponent->data &&
           tm_shape_count(&exponent->shape, &count) && count == 1 && *(const float *)exponent->data == 2;
}

static tagmask_status record_binary(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    step s = {op_number(ctx), &ctx->gin[0], &ctx->gin[1], &ctx->gout[0], ctx->node->fused};
    if (squares(ctx)) {
        s.op = MUL;
        s.b = s.a;
    }
    if (mixed(ctx->gin[0].dtype, ctx->gin[1].dtype)) return record_mixed(ctx, recorder, &s, err);
    return record_step(ctx, recorder, &s, err);
}

// ---- Operators of any number of inputs: a chain of steps into the output.
static tagmask_status shape_variadic(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, ctx->input_count ? ctx->input_count : 1, SIZE_MAX, err));
    TM_TRY(check_types(ctx, err));
    tm_shape shape;
    TM_TRY(tm_broadcast(ctx, 0, ctx->input_count - 1, &shape, err));
    tm_set_output(ctx, 0, ctx->in[0].dtype, &shape);
    set_alarm(ctx, find_binary(ctx->node->op_type));
    ctx->flops = (double)tm_span(&shape, 0, shape.rank) * (double)ctx->input_count;
    return TAGMASK_OK;
}

static void layout_variadic(tm_op_ctx *ctx, tm_layout *in, tm_layout *out) {
    bool c4 = false;
    for (size_t i = 0; i < ctx->input_count; i++) c4 = c4 || in[i] == TM_C4;
    for (size_t i = 0; i < ctx->input_count; i++) c4 = c4 && tm_shape_equal(&ctx->in[i].shape, &ctx->out[0].shape);
    for (size_t i = 0; i < ctx->input_count; i++) in[i] = c4 ? TM_C4 : TM_LINEAR;
    out[0] = c4 ? TM_C4 : TM_LINEAR;
}

static tagmask_status record_scale(tm_op_ctx *ctx, tm_recorder *recorder, float scale, tm_error *err) {
    struct {
        uint32_t count, plane, blocks, tail;
        float a, b;
    } push = {.count = (uint32_t)((tm_layout_bytes(&ctx->gout[0].shape, ctx->gout[0].layout) + 15) / 16), .a = scale};
    tm_launch launch = {.shader = "nn/unary",
                        .constants = {19, 1, 0},
                        .constant_count = 3,
                        .bindings = {ctx->gout[0].slice, ctx->gout[0].slice},
                        .binding_count = 2,
                        .push = &push,
                        .push_size = sizeof push,
                        .threads = push.count};
    return tm_launch_threads(ctx, recorder, &launch, err);
}

static tagmask_status record_variadic(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    const tm_tensor *y = &ctx->gout[0];
    if (ctx->input_count == 1) {
        tm_slice from = ctx->gin[0].slice, to = y->slice;
        from.size = to.size = tm_layout_bytes(&y->shape, y->layout);
        return from.size ? tm_copy(recorder, from, to, err) : TAGMASK_OK;
    }
    step s = {op_number(ctx), &ctx->gin[0], &ctx->gin[1], y, {0}};
    for (size_t i = 1; i < ctx->input_count; i++) {
        s.b = &ctx->gin[i];
        if (i + 1 == ctx->input_count) s.fused = ctx->node->fused;
        TM_TRY(record_step(ctx, recorder, &s, err));
        s.a = y;
    }
    if (strcmp(ctx->node->op_type, "Mean")) return TAGMASK_OK;
    return record_scale(ctx, recorder, 1.0f / (float)ctx->input_count, err);
}

// ---- Where.
static tagmask_status shape_where(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 3, 3, err));
    if (ctx->in[0].dtype != TM_BOOL)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "the condition is %s; expected bool",
                          tm_dtype_name(ctx->in[0].dtype));
    TM_TRY(tm_need_words(ctx, 1, "an input", err));
    if (ctx->in[1].dtype != ctx->in[2].dtype)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "chooses between %s and %s; expected one type",
                          tm_dtype_name(ctx->in[1].dtype), tm_dtype_name(ctx->in[2].dtype));
    tm_shape shape;
    TM_TRY(tm_broadcast(ctx, 0, 2, &shape, err));
    tm_set_output(ctx, 0, ctx->in[1].dtype, &shape);
    return TAGMASK_OK;
}

static tagmask_status record_where(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    const tm_shape *shape = &ctx->gout[0].shape;
    int64_t dim[TM_MAX_RANK], stride[3][TM_MAX_RANK];
    for (int32_t d = 0; d < shape->rank; d++) dim[d] = shape->dim[d];
    for (int i = 0; i < 3; i++) broadcast_strides(&ctx->gin[i].shape, shape, stride[i]);
    int32_t rank = tm_collapse(shape->rank, dim, (int64_t *const[]){stride[0], stride[1], stride[2]}, 3);
    struct {
        uint32_t dim[8], stride[3][8];
    } push = {{0}};
    for (int32_t d = 0; d < rank; d++) {
        push.dim[d] = (uint32_t)dim[d];
        for (int i = 0; i < 3; i++) push.stride[i][d] = (uint32_t)stride[i][d];
    }
    tm_launch launch = {
        .shader = "nn/where",
        .constants = {(uint32_t)rank},
        .constant_count = 1,
        .bindings = {ctx->gin[0].slice, ctx->gin[1].slice, ctx->gin[2].slice, ctx->gout[0].slice},
        .binding_count = 4,
        .push = &push,
        .push_size = sizeof push,
        .threads = tm_layout_bytes(shape, TM_LINEAR) / 4,
    };
    return tm_launch_threads(ctx, recorder, &launch, err);
}

#define BINARY(name, opset, rule)                                                                     \
    {                                                                                                 \
        .type = name, .domain = "", .since = opset, .shape = shape_binary, .fold = tm_fold_binary,    \
        .layout = layout_binary, .alias_inputs = 3, .cut = tm_cut_broadcast, .record = record_binary, \
        .gradient = tm_gradient_##rule                                                                \
    }
#define VARIADIC(name, opset, rule)                                                                                   \
    {                                                                                                                 \
        .type = name, .domain = "", .since = opset, .shape = shape_variadic, .fold = tm_fold_binary,                  \
        .layout = layout_variadic, .cut = tm_cut_broadcast, .record = record_variadic, .gradient = tm_gradient_##rule \
    }

const tm_op tm_ops_binary[] = {
    BINARY("Add", 7, add),
    BINARY("Sub", 7, sub),
    BINARY("Mul", 7, mul),
    BINARY("Div", 7, div),
    BINARY("Pow", 7, pow),
    BINARY("PRelu", 7, prelu),
    {.type = "Mod",
     .domain = "",
     .since = 10,
     .shape = shape_binary,
     .fold = tm_fold_binary,
     .layout = layout_binary,
     .alias_inputs = 3,
     .cut = tm_cut_broadcast,
     .record = record_binary},
    BINARY("Equal", 7, zero),
    BINARY("Greater", 7, zero),
    BINARY("Less", 7, zero),
    BINARY("GreaterOrEqual", 12, zero),
    BINARY("LessOrEqual", 12, zero),
    BINARY("And", 7, zero),
    BINARY("Or", 7, zero),
    BINARY("Xor", 7, zero),
    VARIADIC("Min", 6, extreme),
    VARIADIC("Max", 6, extreme),
    VARIADIC("Sum", 6, add),
    VARIADIC("Mean", 6, mean),
    {.type = "Where",
     .domain = "",
     .since = 9,
     .shape = shape_where,
     .fold = tm_fold_where,
     .cut = tm_cut_broadcast,
     .record = record_where,
     .gradient = tm_gradient_where},
    {.type = NULL},
};
