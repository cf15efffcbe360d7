// Elementwise operators of one input: activations, functions, logic, and Cast.
#include <math.h>
#include <string.h>

#include "ops/common.h"
#include "ops/gradients.h"

// Numbers of shaders/nn/unary.comp (the first ones), nn/function.comp (the others below 64: float in and out) and
// nn/word.comp (the operation says which words it reads).
enum {
    RELU = 0,
    LEAKY,
    CLIP,
    SIGMOID,
    HARD_SIGMOID,
    HARD_SWISH,
    TANH,
    ERF,
    GELU,
    GELU_TANH,
    SOFTPLUS,
    ELU,
    SELU,
    MISH,
    SOFTSIGN,
    THRESHOLDED,
    CELU,
    SHRINK,
    SWISH,
    EXP = 32,
    LOG,
    SQRT,
    ABS,
    NEG,
    FLOOR,
    CEIL,
    ROUND,
    SIGN,
    RECIPROCAL,
    SIN,
    COS,
    TAN,
    ASIN,
    ACOS,
    ATAN,
    SINH,
    COSH,
    ASINH,
    ACOSH,
    ATANH,
    INT_ABS = 64,
    INT_NEG,
    INT_SIGN,
    NOT,
    INT_RELU,
    INT_CLIP,
    IS_NAN,
    IS_INF,
    BITWISE_NOT,
    INT_TO_FLOAT = 80,
    FLOAT_TO_INT,
    FLOAT_TO_BOOL,
    INT_TO_BOOL,
    INT_TO_UINT8,
    INT_TO_INT8,
    FLOAT_TO_UINT8,
    FLOAT_TO_INT8,
    INT_TO_UINT16,
    INT_TO_INT16,
    COPY
};

typedef struct unary {
    const char *type;
    uint8_t op, int_op;  // int_op 0: floats only
    bool nonzero;        // f(0) may differ from 0: padding channels are masked
    const char *a, *b;   // names of float attributes
    float default_a, default_b;
} unary;

static const unary unaries[] = {
    {"Relu", RELU, INT_RELU},
    {"LeakyRelu", LEAKY, .a = "alpha", .default_a = 0.01f},
    {"Sigmoid", SIGMOID, .nonzero = true},
    {"HardSigmoid", HARD_SIGMOID, 0, true, "alpha", "beta", 0.2f, 0.5f},
    {"HardSwish", HARD_SWISH},
    {"Tanh", TANH},
    {"Erf", ERF},
    {"Softplus", SOFTPLUS, .nonzero = true},
    {"Elu", ELU, .a = "alpha", .default_a = 1.0f},
    {"Selu", SELU, 0, false, "alpha", "gamma", 1.67326319217681884765625f, 1.05070102214813232421875f},
    {"Mish", MISH},
    {"Softsign", SOFTSIGN},
    {"ThresholdedRelu", THRESHOLDED, .a = "alpha", .default_a = 1.0f},
    {"Celu", CELU, .a = "alpha", .default_a = 1.0f},
    {"Shrink", SHRINK, 0, false, "lambd", "bias", 0.5f, 0.0f},
    {"Swish", SWISH, .a = "alpha", .default_a = 1.0f},
    {"Exp", EXP, .nonzero = true},
    {"Log", LOG, .nonzero = true},
    {"Sqrt", SQRT},
    {"Abs", ABS, INT_ABS},
    {"Neg", NEG, INT_NEG},
    {"Floor", FLOOR},
    {"Ceil", CEIL},
    {"Round", ROUND},
    {"Sign", SIGN, INT_SIGN},
    {"Reciprocal", RECIPROCAL, .nonzero = true},
    {"Sin", SIN},
    {"Cos", COS, .nonzero = true},
    {"Tan", TAN},
    {"Asin", ASIN},
    {"Acos", ACOS, .nonzero = true},
    {"Atan", ATAN},
    {"Sinh", SINH},
    {"Cosh", COSH, .nonzero = true},
    {"Asinh", ASINH},
    {"Acosh", ACOSH, .nonzero = true},
    {"Atanh", ATANH},
};

static const unary *find_unary(const char *type) {
    for (size_t i = 0; i < TM_ARRAY_LEN(unaries); i++)
        if (!strcmp(unaries[i].type, type)) return &unaries[i];
    return NULL;
}

static void layout_same(tm_op_ctx *ctx, tm_layout *in, tm_layout *out) {
    (void)ctx;
    out[0] = in[0];
}

static tagmask_status record_between(tm_op_ctx *ctx, tm_recorder *recorder, const tm_tensor *in, const tm_tensor *out,
                                     uint32_t op, bool nonzero, const uint32_t ab[2], tm_error *err) {
    struct {
        uint32_t count, plane, blocks, tail, a, b;
    } push = {.count = (uint32_t)((tm_layout_bytes(&out->shape, out->layout) + 15) / 16), .a = ab[0], .b = ab[1]};
    bool mask = false;
    if (out->layout == TM_C4) {
        push.plane = (uint32_t)(out->shape.dim[2] * out->shape.dim[3]);
        push.blocks = tm_channel_blocks(&out->shape);
        push.tail = (uint32_t)(out->shape.dim[1] % 4);
        mask = nonzero && push.tail != 0;
    }
    bool alarmed = ctx->alarm_text && op >= INT_ABS;
    if (alarmed) push.plane = (uint32_t)(tm_layout_bytes(&out->shape, out->layout) / 4);
    uint32_t items = tm_items(ctx->gpu);
    bool common = op <= TANH || op == SWISH;
    tm_launch launch = {.shader = common         ? "nn/unary"
                                  : op < INT_ABS ? "nn/function"
                                                 : "nn/word",
                        .alarm_shader = alarmed ? "nn/word_alarm" : NULL,
                        .constants = {op, items, mask},
                        .constant_count = 3,
                        .bindings = {in->slice, out->slice},
                        .binding_count = 2,
                        .push = &push,
                        .push_size = sizeof push,
                        .threads = ((uint64_t)push.count + items - 1) / items,
                        .flops = 4.0 * push.count};
    return tm_launch_threads(ctx, recorder, &launch, err);
}

static tagmask_status record_op(tm_op_ctx *ctx, tm_recorder *recorder, uint32_t op, bool nonzero, uint32_t a,
                                uint32_t b, tm_error *err) {
    return record_between(ctx, recorder, &ctx->gin[0], &ctx->gout[0], op, nonzero, (uint32_t[]){a, b}, err);
}

// ---- Functions without parameters or with float attributes.
static tagmask_status shape_unary(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 1, 1, err));
    const unary *u = find_unary(ctx->node->op_type);
    if (u->int_op)
        TM_TRY(tm_need_words(ctx, 0, "the input", err));
    else
        TM_TRY(tm_need_float(ctx, 0, "the input", err));
    tm_set_output(ctx, 0, ctx->in[0].dtype, &ctx->in[0].shape);
    if (u->int_op == INT_ABS || u->int_op == INT_NEG) tm_alarm_if_wide(ctx, ctx->in[0].dtype);
    return TAGMASK_OK;
}

static tagmask_status record_unary(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    const unary *u = find_unary(ctx->node->op_type);
    float a = u->a ? tm_attr_float(ctx->node, u->a, u->default_a) : 0.0f;
    float b = u->b ? tm_attr_float(ctx->node, u->b, u->default_b) : 0.0f;
    bool nonzero = u->nonzero || (u->op == THRESHOLDED && a < 0) || (u->op == SHRINK && a < 0);
    uint32_t op = ctx->gin[0].dtype == TM_FLOAT32 ? u->op : u->int_op;
    TM_TRY(record_op(ctx, recorder, op, nonzero, tm_float_bits(a), tm_float_bits(b), err));
    return tm_record_narrow(ctx, recorder, &ctx->gout[0], err);
}

static tagmask_status record_gelu(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    bool tanh_form = !strcmp(tm_attr_string(ctx->node, "approximate", "none"), "tanh");
    return record_op(ctx, recorder, tanh_form ? GELU_TANH : GELU, false, 0, 0, err);
}

static tagmask_status shape_gelu(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 1, 1, err));
    TM_TRY(tm_need_float(ctx, 0, "the input", err));
    const char *form = tm_attr_string(ctx->node, "approximate", "none");
    if (strcmp(form, "none") && strcmp(form, "tanh"))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "approximate is '%s'; expected none or tanh", form);
    tm_set_output(ctx, 0, TM_FLOAT32, &ctx->in[0].shape);
    return TAGMASK_OK;
}

// ---- Operators that give bool.
static tagmask_status shape_not(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 1, 1, err));
    if (ctx->in[0].dtype != TM_BOOL)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "the input is %s; expected bool",
                          tm_dtype_name(ctx->in[0].dtype));
    tm_set_output(ctx, 0, TM_BOOL, &ctx->in[0].shape);
    return TAGMASK_OK;
}
static tagmask_status record_not(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    return record_op(ctx, recorder, NOT, true, 0, 0, err);
}

static tagmask_status shape_is(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 1, 1, err));
    TM_TRY(tm_need_float(ctx, 0, "the input", err));
    tm_set_output(ctx, 0, TM_BOOL, &ctx->in[0].shape);
    return TAGMASK_OK;
}
static tagmask_status record_is(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    // The first parameter is a set of signs: 1 positive, 2 negative.
    uint32_t signs =
        (tm_attr_int(ctx->node, "detect_positive", 1) ? 1 : 0) | (tm_attr_int(ctx->node, "detect_negative", 1) ? 2 : 0);
    return record_op(ctx, recorder, !strcmp(ctx->node->op_type, "IsNaN") ? IS_NAN : IS_INF, false, signs, 0, err);
}

// ---- Clip: bounds are attributes before opset 11, then optional inputs.
static tagmask_status clip_int_bound(tm_op_ctx *ctx, size_t i, int64_t otherwise, uint32_t *bits, tm_error *err) {
    int64_t value = otherwise;
    if (tm_has_input(ctx, i)) {
        TM_TRY(tm_host_int(ctx, i, &value, err));
        value = TM_CLAMP(value, INT32_MIN, INT32_MAX);
    }
    *bits = (uint32_t)(int32_t)value;
    return TAGMASK_OK;
}

static tagmask_status clip_bounds(tm_op_ctx *ctx, uint32_t bits[2], tm_error *err) {
    if (ctx->in[0].dtype != TM_FLOAT32) {
        TM_TRY(clip_int_bound(ctx, 1, INT32_MIN, &bits[0], err));
        return clip_int_bound(ctx, 2, INT32_MAX, &bits[1], err);
    }
    float low = tm_attr_float(ctx->node, "min", -INFINITY), high = tm_attr_float(ctx->node, "max", INFINITY);
    TM_TRY(tm_host_float(ctx, 1, low, &low, err));
    TM_TRY(tm_host_float(ctx, 2, high, &high, err));
    bits[0] = tm_float_bits(low);
    bits[1] = tm_float_bits(high);
    return TAGMASK_OK;
}

static tagmask_status shape_clip(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 1, ctx->node->opset < 11 ? 1 : 3, err));
    switch (ctx->in[0].dtype) {
        case TM_FLOAT32:
        case TM_INT8:
        case TM_UINT8:
        case TM_INT16:
        case TM_UINT16:
        case TM_INT32:
        case TM_INT64:
            break;
        default:
            return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "the input is %s; expected float32 or an integer",
                              tm_dtype_name(ctx->in[0].dtype));
    }
    uint32_t bits[2];
    TM_TRY(clip_bounds(ctx, bits, err));
    tm_set_output(ctx, 0, ctx->in[0].dtype, &ctx->in[0].shape);
    return TAGMASK_OK;
}

static tagmask_status record_clip(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    uint32_t bits[2];
    TM_TRY(clip_bounds(ctx, bits, err));
    return record_op(ctx, recorder, ctx->gin[0].dtype == TM_FLOAT32 ? CLIP : INT_CLIP, true, bits[0], bits[1], err);
}

// ---- Cast. All elements are words on the GPU, so most integer casts change nothing but the range.
static bool fills_word(tm_dtype t) {
    return t == TM_INT32 || t == TM_INT64 || t == TM_UINT32 || t == TM_UINT64;
}

static uint32_t cast_op(tm_dtype from, tm_dtype to) {
    if (from == to || (to == TM_FLOAT16 && from == TM_FLOAT32)) return COPY;
    if (from == TM_FLOAT32) {
        if (to == TM_BOOL) return FLOAT_TO_BOOL;
        if (to == TM_UINT8) return FLOAT_TO_UINT8;
        if (to == TM_INT8) return FLOAT_TO_INT8;
        return FLOAT_TO_INT;
    }
    if (to == TM_FLOAT32) return INT_TO_FLOAT;
    if (to == TM_BOOL) return INT_TO_BOOL;
    if (fills_word(to) || from == TM_BOOL) return COPY;
    if (to == TM_UINT8) return INT_TO_UINT8;
    if (to == TM_INT8) return INT_TO_INT8;
    return to == TM_UINT16 ? INT_TO_UINT16 : INT_TO_INT16;
}

static tagmask_status shape_cast(tm_op_ctx *ctx, tm_error *err) {
    bool like = !strcmp(ctx->node->op_type, "CastLike");
    TM_TRY(tm_need_inputs(ctx, like ? 2 : 1, like ? 2 : 1, err));
    TM_TRY(tm_need_words(ctx, 0, "the input", err));
    tm_dtype to = like ? ctx->in[1].dtype : (tm_dtype)tm_attr_int(ctx->node, "to", 0);
    // Types wider or narrower than a float live as float32, as everywhere in a plan.
    if (to == TM_FLOAT16 || to == TM_FLOAT64 || to == TM_BFLOAT16) to = TM_FLOAT32;
    if (!tm_dtype_size(to))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "casts to ONNX type %d; expected a number or bool",
                          (int)to);
    tm_set_output(ctx, 0, to, &ctx->in[0].shape);
    // Integers that fit before fit as well after, but for a sign.
    if (ctx->in[0].dtype == TM_FLOAT32 || to == TM_UINT32 || to == TM_UINT64) tm_alarm_if_wide(ctx, to);
    return TAGMASK_OK;
}

// Integers of 8 and 16 bits wrap as they do elsewhere.
tagmask_status tm_record_narrow(tm_op_ctx *ctx, tm_recorder *recorder, const tm_tensor *tensor, tm_error *err) {
    if (tensor->dtype == TM_FLOAT32 || tensor->dtype == TM_BOOL || fills_word(tensor->dtype)) return TAGMASK_OK;
    return record_between(ctx, recorder, tensor, tensor, cast_op(TM_INT32, tensor->dtype), false, (uint32_t[]){0, 0},
                          err);
}

tagmask_status tm_record_cast(tm_op_ctx *ctx, tm_recorder *recorder, const tm_tensor *from, const tm_tensor *to,
                              tm_error *err) {
    uint32_t op = cast_op(from->dtype, to->dtype);
    TM_TRY(record_between(ctx, recorder, from, to, op, false, (uint32_t[]){0, 0}, err));
    return op == FLOAT_TO_INT ? tm_record_narrow(ctx, recorder, to, err) : TAGMASK_OK;
}

// Between floats nothing changes; integers have no gradient.
static void gradient_cast(tm_backward *back) {
    const tm_node *node = tm_back_node(back);
    tm_dtype to = (tm_dtype)tm_attr_int(node, "to", TM_FLOAT32);
    if (to == TM_FLOAT32 || to == TM_FLOAT16 || to == TM_FLOAT64 || to == TM_BFLOAT16)
        tm_back_give(back, 0, tm_back_from(back, 0));
}

static tagmask_status record_cast(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    return tm_record_cast(ctx, recorder, &ctx->gin[0], &ctx->gout[0], err);
}

#define UNARY(name, opset)                                                                         \
    {                                                                                              \
        .type = name, .domain = "", .since = opset, .shape = shape_unary, .fold = tm_fold_unary,   \
        .layout = layout_same, .alias_inputs = 1, .cut = tm_cut_broadcast, .record = record_unary, \
        .gradient = tm_gradient_unary                                                              \
    }
#define UNARY_NO_FOLD(name, opset)                                                                                  \
    {                                                                                                               \
        .type = name, .domain = "", .since = opset, .shape = shape_unary, .layout = layout_same, .alias_inputs = 1, \
        .cut = tm_cut_broadcast, .record = record_unary, .gradient = tm_gradient_unary                              \
    }
#define UNARY_STEPS(name, opset)                                                                   \
    {                                                                                              \
        .type = name, .domain = "", .since = opset, .shape = shape_unary, .fold = tm_fold_unary,   \
        .layout = layout_same, .alias_inputs = 1, .cut = tm_cut_broadcast, .record = record_unary, \
        .gradient = tm_gradient_zero                                                               \
    }

const tm_op tm_ops_unary[] = {
    UNARY("Relu", 6),
    UNARY("LeakyRelu", 6),
    UNARY("Sigmoid", 6),
    UNARY("HardSigmoid", 6),
    UNARY("HardSwish", 14),
    UNARY("Tanh", 6),
    UNARY("Erf", 9),
    UNARY("Softplus", 1),
    UNARY("Elu", 6),
    UNARY("Selu", 6),
    UNARY("Mish", 18),
    UNARY_NO_FOLD("Softsign", 1),
    UNARY_NO_FOLD("ThresholdedRelu", 10),
    UNARY_NO_FOLD("Celu", 12),
    UNARY_NO_FOLD("Shrink", 9),
    UNARY_NO_FOLD("Swish", 24),
    UNARY("Exp", 6),
    UNARY("Log", 6),
    UNARY("Sqrt", 6),
    UNARY("Abs", 6),
    UNARY("Neg", 6),
    UNARY_STEPS("Floor", 6),
    UNARY_STEPS("Ceil", 6),
    UNARY_STEPS("Round", 11),
    UNARY_STEPS("Sign", 9),
    UNARY("Reciprocal", 6),
    UNARY("Sin", 7),
    UNARY("Cos", 7),
    UNARY_NO_FOLD("Tan", 7),
    UNARY_NO_FOLD("Asin", 7),
    UNARY_NO_FOLD("Acos", 7),
    UNARY_NO_FOLD("Atan", 7),
    UNARY_NO_FOLD("Sinh", 9),
    UNARY_NO_FOLD("Cosh", 9),
    UNARY_NO_FOLD("Asinh", 9),
    UNARY_NO_FOLD("Acosh", 9),
    UNARY_NO_FOLD("Atanh", 9),
    {.type = "Gelu",
     .domain = "",
     .since = 20,
     .shape = shape_gelu,
     .fold = tm_fold_unary,
     .layout = layout_same,
     .alias_inputs = 1,
     .cut = tm_cut_broadcast,
     .record = record_gelu,
     .gradient = tm_gradient_unary},
    {.type = "Not",
     .domain = "",
     .since = 1,
     .shape = shape_not,
     .fold = tm_fold_unary,
     .layout = layout_same,
     .alias_inputs = 1,
     .cut = tm_cut_broadcast,
     .record = record_not,
     .gradient = tm_gradient_zero},
    {.type = "IsNaN",
     .domain = "",
     .since = 9,
     .shape = shape_is,
     .layout = layout_same,
     .alias_inputs = 1,
     .cut = tm_cut_broadcast,
     .record = record_is,
     .gradient = tm_gradient_zero},
    {.type = "IsInf",
     .domain = "",
     .since = 10,
     .shape = shape_is,
     .layout = layout_same,
     .alias_inputs = 1,
     .cut = tm_cut_broadcast,
     .record = record_is,
     .gradient = tm_gradient_zero},
    {.type = "Clip",
     .domain = "",
     .since = 6,
     .shape = shape_clip,
     .fold = tm_fold_clip,
     .layout = layout_same,
     .alias_inputs = 1,
     .cut = tm_cut_broadcast,
     .constant_inputs = 6,
     .host_inputs = 6,
     .record = record_clip,
     .gradient = tm_gradient_unary},
    {.type = "Cast",
     .domain = "",
     .since = 6,
     .shape = shape_cast,
     .fold = tm_fold_cast,
     .layout = layout_same,
     .alias_inputs = 1,
     .cut = tm_cut_broadcast,
     .record = record_cast,
     .gradient = gradient_cast},
    {.type = "CastLike",
     .domain = "",
     .since = 15,
     .shape = shape_cast,
     .fold = tm_fold_cast,
     .layout = layout_same,
     .alias_inputs = 1,
     .cut = tm_cut_broadcast,
     .record = record_cast,
     .gradient = gradient_cast},
    {.type = NULL},
};
