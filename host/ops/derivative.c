// Gradients of element-wise operators of one input, by one operator of our own: Derivative(gradient, t), where t is the
// differentiated operator's input, or its output where the derivative is a function of that. The output is preferred:
// the operator can then be fused into the one before it, and its input is not kept.
#include <math.h>
#include <string.h>

#include "ops/common.h"
#include "ops/gradients.h"

// Numbers of shaders/nn/derivative_ops.glsl, and from ERF on those of nn/derivative_function.comp.
enum {
    LEAKY = 0,
    CLIP,
    SIGMOID,
    TANH,
    HARD_SIGMOID,
    HARD_SWISH,
    SWISH,
    ERF = 16,
    GELU,
    GELU_TANH,
    SOFTPLUS,
    SELU,
    CELU,
    MISH,
    SOFTSIGN,
    THRESHOLDED,
    SHRINK,
    EXP,
    LOG,
    SQRT,
    ABS,
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
    POWER
};

typedef struct derivative {
    const char *type;
    uint8_t op;
    bool of_output;
    const char *p, *q;  // names of the attributes, NULL: the default
    float default_p, default_q;
} derivative;

static const derivative derivatives[] = {
    {"Relu", LEAKY, true},
    {"Sigmoid", SIGMOID, true},
    {"Tanh", TANH, true},
    {"HardSigmoid", HARD_SIGMOID, true, "alpha", NULL, 0.2f},
    {"HardSwish", HARD_SWISH},
    {"Swish", SWISH, false, "alpha", NULL, 1},
    {"Erf", ERF},
    {"Softplus", SOFTPLUS},
    {"Elu", SELU, false, "alpha", NULL, 1, 1},
    {"Selu", SELU, false, "alpha", "gamma", 1.67326319217681884765625f, 1.05070102214813232421875f},
    {"Celu", CELU, false, "alpha", NULL, 1},
    {"Mish", MISH},
    {"Softsign", SOFTSIGN},
    {"ThresholdedRelu", THRESHOLDED, false, "alpha", NULL, 1},
    {"Shrink", SHRINK, false, "lambd", NULL, 0.5f},
    {"Exp", EXP, true},
    {"Log", LOG},
    {"Sqrt", SQRT, true},
    {"Abs", ABS},
    {"Reciprocal", RECIPROCAL, true},
    {"Sin", SIN},
    {"Cos", COS},
    {"Tan", TAN, true},
    {"Asin", ASIN},
    {"Acos", ACOS},
    {"Atan", ATAN},
    {"Sinh", SINH},
    {"Cosh", COSH},
    {"Asinh", ASINH},
    {"Acosh", ACOSH},
    {"Atanh", ATANH},
};

static int32_t add_derivative(tm_backward *back, int32_t from, uint32_t op, int32_t t, float p, float q) {
    int32_t value = TM_BACK(back, "Derivative", from, t);
    tm_back_int(back, "op", op);
    tm_back_float(back, "p", p);
    tm_back_float(back, "q", q);
    return value;
}

int32_t tm_gradient_power(tm_backward *back, int32_t from, float exponent) {
    return add_derivative(back, from, POWER, tm_back_in(back, 0), exponent, 0);
}

// ---- The rules with something to decide.
// A leak above zero keeps the sign: the output tells as well as the input.
static void leaky(tm_backward *back) {
    float alpha = tm_attr_float(tm_back_node(back), "alpha", 0.01f);
    int32_t t = alpha > 0 ? tm_back_out(back, 0) : tm_back_in(back, 0);
    tm_back_give(back, 0, add_derivative(back, tm_back_from(back, 0), LEAKY, t, alpha, 0));
}

static void gelu(tm_backward *back) {
    bool tanh_form = !strcmp(tm_attr_string(tm_back_node(back), "approximate", "none"), "tanh");
    uint32_t op = tanh_form ? GELU_TANH : GELU;
    tm_back_give(back, 0, add_derivative(back, tm_back_from(back, 0), op, tm_back_in(back, 0), 0, 0));
}

static void negate(tm_backward *back) {
    tm_back_give(back, 0, TM_BACK(back, "Neg", tm_back_from(back, 0)));
}

// Bounds are attributes up to opset 6, then inputs.
static bool clip_bound(tm_backward *back, const char *name, size_t i, float otherwise, float *bound) {
    *bound = tm_attr_float(tm_back_node(back), name, otherwise);
    int32_t value = tm_back_in(back, i);
    tm_host_tensor tensor;
    size_t count;
    if (value < 0) return true;
    if (!tm_back_constant(back, value, &tensor) || tensor.dtype != TM_FLOAT32) return false;
    if (!tm_shape_count(&tensor.shape, &count) || count != 1) return false;
    *bound = *(const float *)tensor.data;
    return true;
}

static void clip(tm_backward *back) {
    float low, high;
    if (!clip_bound(back, "min", 1, -INFINITY, &low) || !clip_bound(back, "max", 2, INFINITY, &high)) {
        tm_back_refuse(back, "for bounds that are no constants");
        return;
    }
    tm_back_give(back, 0, add_derivative(back, tm_back_from(back, 0), CLIP, tm_back_out(back, 0), low, high));
}

void tm_gradient_unary(tm_backward *back) {
    const tm_node *node = tm_back_node(back);
    static const struct {
        const char *type;
        void (*rule)(tm_backward *back);
    } own[] = {{"LeakyRelu", leaky}, {"Gelu", gelu}, {"Neg", negate}, {"Clip", clip}};
    for (size_t i = 0; i < TM_ARRAY_LEN(own); i++)
        if (!strcmp(own[i].type, node->op_type)) {
            own[i].rule(back);
            return;
        }
    for (size_t i = 0; i < TM_ARRAY_LEN(derivatives); i++) {
        const derivative *d = &derivatives[i];
        if (strcmp(d->type, node->op_type)) continue;
        float p = d->p ? tm_attr_float(node, d->p, d->default_p) : d->default_p;
        float q = d->q ? tm_attr_float(node, d->q, d->default_q) : d->default_q;
        int32_t t = d->of_output ? tm_back_out(back, 0) : tm_back_in(back, 0);
        tm_back_give(back, 0, add_derivative(back, tm_back_from(back, 0), d->op, t, p, q));
        return;
    }
    tm_back_refuse(back, "");
}

// ---- The operator.
static tagmask_status shape_derivative(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 2, 2, err));
    TM_TRY(tm_need_float(ctx, 0, "the gradient", err));
    TM_TRY(tm_need_float(ctx, 1, "what is differentiated", err));
    tm_set_output(ctx, 0, TM_FLOAT32, &ctx->in[1].shape);
    ctx->flops = 8.0 * (double)tm_span(&ctx->in[1].shape, 0, ctx->in[1].shape.rank);
    return TAGMASK_OK;
}

// As what is differentiated lies, which is there in any case.
static void layout_derivative(tm_op_ctx *ctx, tm_layout *in, tm_layout *out) {
    (void)ctx;
    in[0] = out[0] = in[1];
}

static tagmask_status record_derivative(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    const tm_tensor *y = &ctx->gout[0];
    uint32_t op = (uint32_t)tm_attr_int(ctx->node, "op", 0), items = tm_items(ctx->gpu);
    struct {
        uint32_t count;
        float p, q;
    } push = {(uint32_t)((tm_layout_bytes(&y->shape, y->layout) + 15) / 16), tm_attr_float(ctx->node, "p", 0),
              tm_attr_float(ctx->node, "q", 0)};
    tm_launch launch = {.shader = op < ERF ? "nn/derivative" : "nn/derivative_function",
                        .texel_shader = op < ERF ? "nn/derivative_texel" : NULL,
                        .texel_inputs = 2,
                        .constants = {op, items},
                        .constant_count = 2,
                        .bindings = {ctx->gin[0].slice, ctx->gin[1].slice, y->slice},
                        .binding_count = 3,
                        .push = &push,
                        .push_size = sizeof push,
                        .threads = ((uint64_t)push.count + items - 1) / items,
                        .flops = 8.0 * push.count};
    return tm_launch_threads(ctx, recorder, &launch, err);
}

const tm_op tm_ops_derivative[] = {
    {.type = "Derivative",
     .domain = TM_GRADIENT_DOMAIN,
     .since = 1,
     .shape = shape_derivative,
     .layout = layout_derivative,
     .alias_inputs = 1,
     .cut = tm_cut_broadcast,
     .record = record_derivative},
    {.type = NULL},
};
