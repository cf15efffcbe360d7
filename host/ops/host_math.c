// Host evaluators, part 2: arithmetic. Floats are computed in double and rounded once; integers in 64 bits with the
// wrap-around that numpy has.
#include <float.h>
#include <math.h>
#include <string.h>

#include "ops/host_eval.h"
#include "ops/host_walk.h"

static size_t count_of(const tm_host_tensor *tensor) {
    size_t count = 0;
    tm_shape_count(&tensor->shape, &count);
    return count;
}

static int64_t saturate(double value) {
    if (!(value > -9223372036854775808.0)) return INT64_MIN;
    return value >= 9223372036854775808.0 ? INT64_MAX : (int64_t)value;
}

static int64_t load_int(const tm_host_tensor *t, int64_t i) {
    switch (t->dtype) {
        case TM_FLOAT32:
            return saturate(((const float *)t->data)[i]);
        case TM_UINT8:
        case TM_BOOL:
            return ((const uint8_t *)t->data)[i];
        case TM_INT8:
            return ((const int8_t *)t->data)[i];
        case TM_UINT16:
            return ((const uint16_t *)t->data)[i];
        case TM_INT16:
            return ((const int16_t *)t->data)[i];
        case TM_INT32:
            return ((const int32_t *)t->data)[i];
        case TM_UINT32:
            return ((const uint32_t *)t->data)[i];
        default:
            return ((const int64_t *)t->data)[i];
    }
}

static double load_real(const tm_host_tensor *t, int64_t i) {
    if (t->dtype == TM_FLOAT32) return ((const float *)t->data)[i];
    if (t->dtype == TM_UINT64) return (double)((const uint64_t *)t->data)[i];
    return (double)load_int(t, i);
}

static void store_int(tm_host_tensor *t, size_t i, int64_t value) {
    switch (tm_dtype_size(t->dtype)) {
        case 1:
            ((uint8_t *)t->data)[i] = t->dtype == TM_BOOL ? value != 0 : (uint8_t)value;
            break;
        case 2:
            ((uint16_t *)t->data)[i] = (uint16_t)value;
            break;
        case 4:
            ((uint32_t *)t->data)[i] = (uint32_t)value;
            break;
        default:
            ((int64_t *)t->data)[i] = value;
            break;
    }
}

// Float to integer as C does where that is defined. Elsewhere as on the device: the nearest integer of 32 or 64 bits, 0
// for what is no number.
static void store_real(tm_host_tensor *t, size_t i, double value) {
    if (t->dtype == TM_FLOAT32)
        ((float *)t->data)[i] = (float)value;
    else if (t->dtype == TM_BOOL)
        ((uint8_t *)t->data)[i] = value != 0;
    else if (isnan(value))
        store_int(t, i, 0);
    else if (tm_dtype_size(t->dtype) < 8 && t->dtype != TM_UINT32)
        store_int(t, i, (int64_t)TM_CLAMP(value, (double)INT32_MIN, (double)INT32_MAX));
    else
        store_int(t, i, saturate(value));
}

// ---- Unary.
static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

static double softplus(double x) {
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static double parametric(const tm_node *node, const char *op, double x, bool *known) {
    double alpha;
    if (!strcmp(op, "LeakyRelu")) return x < 0 ? x * tm_attr_float(node, "alpha", 0.01f) : x;
    if (!strcmp(op, "Elu")) return x < 0 ? tm_attr_float(node, "alpha", 1) * expm1(x) : x;
    if (!strcmp(op, "Selu")) {
        alpha = tm_attr_float(node, "alpha", 1.67326319217681884765625f);
        return tm_attr_float(node, "gamma", 1.05070102214813232421875f) * (x > 0 ? x : alpha * expm1(x));
    }
    if (!strcmp(op, "HardSigmoid")) {
        alpha = tm_attr_float(node, "alpha", 0.2f) * x + tm_attr_float(node, "beta", 0.5f);
        return TM_CLAMP(alpha, 0.0, 1.0);
    }
    if (!strcmp(op, "Gelu")) {
        if (!strcmp(tm_attr_string(node, "approximate", "none"), "tanh"))
            return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
        return 0.5 * x * (1 + erf(x * 0.7071067811865476));
    }
    *known = false;
    return 0;
}

static double unary_real(const tm_node *node, const char *op, double x, bool *known) {
    static const struct {
        const char *name;
        double (*f)(double);
    } plain[] = {{"Abs", fabs},    {"Ceil", ceil}, {"Cos", cos},    {"Erf", erf},         {"Exp", exp},
                 {"Floor", floor}, {"Log", log},   {"Round", rint}, {"Sigmoid", sigmoid}, {"Softplus", softplus},
                 {"Sin", sin},     {"Sqrt", sqrt}, {"Tanh", tanh}};
    for (size_t i = 0; i < TM_ARRAY_LEN(plain); i++)
        if (!strcmp(op, plain[i].name)) return plain[i].f(x);
    if (!strcmp(op, "Neg")) return -x;
    if (!strcmp(op, "Reciprocal")) return 1 / x;
    if (!strcmp(op, "Relu")) return x > 0 ? x : isnan(x) ? x : 0;
    if (!strcmp(op, "Sign")) return isnan(x) ? x : (x > 0) - (x < 0);
    if (!strcmp(op, "HardSwish")) return x * TM_CLAMP(x / 6 + 0.5, 0.0, 1.0);
    if (!strcmp(op, "Mish")) return x * tanh(softplus(x));
    return parametric(node, op, x, known);
}

static int64_t unary_int(const char *op, int64_t x, bool *known) {
    if (!strcmp(op, "Abs")) return x < 0 ? (int64_t)(0 - (uint64_t)x) : x;
    if (!strcmp(op, "Neg")) return (int64_t)(0 - (uint64_t)x);
    if (!strcmp(op, "Relu")) return x > 0 ? x : 0;
    if (!strcmp(op, "Sign")) return (x > 0) - (x < 0);
    if (!strcmp(op, "Not")) return !x;
    if (!strcmp(op, "Floor") || !strcmp(op, "Ceil") || !strcmp(op, "Round")) return x;
    *known = false;
    return 0;
}

static tagmask_status unknown_operator(const tm_op_ctx *ctx, tm_error *err) {
    return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "no evaluation on the host for %s",
                      tm_dtype_name(ctx->in[0].dtype));
}

tagmask_status tm_fold_unary(tm_op_ctx *ctx, tm_error *err) {
    bool known = true;
    size_t count = count_of(&ctx->out[0]);
    const char *op = ctx->node->op_type;
    for (size_t i = 0; i < count && known; i++) {
        if (ctx->in[0].dtype == TM_FLOAT32)
            store_real(&ctx->out[0], i, unary_real(ctx->node, op, load_real(&ctx->in[0], (int64_t)i), &known));
        else
            store_int(&ctx->out[0], i, unary_int(op, load_int(&ctx->in[0], (int64_t)i), &known));
    }
    return known ? TAGMASK_OK : unknown_operator(ctx, err);
}

// ---- Binary.
typedef enum binary {
    ADD,
    SUB,
    MUL,
    DIV,
    MOD,
    FMOD,
    POW,
    MIN,
    MAX,
    AND,
    OR,
    XOR,
    EQUAL,
    GREATER,
    GREATER_EQUAL,
    LESS,
    LESS_EQUAL,
    PRELU,
    NOTHING
} binary;

static binary binary_of(const tm_node *node) {
    static const struct {
        const char *name;
        binary op;
    } table[] = {{"Add", ADD},         {"Sum", ADD},
                 {"Mean", ADD},        {"Sub", SUB},
                 {"Mul", MUL},         {"Div", DIV},
                 {"Mod", MOD},         {"Pow", POW},
                 {"Min", MIN},         {"Max", MAX},
                 {"And", AND},         {"Or", OR},
                 {"Xor", XOR},         {"Equal", EQUAL},
                 {"Greater", GREATER}, {"GreaterOrEqual", GREATER_EQUAL},
                 {"Less", LESS},       {"LessOrEqual", LESS_EQUAL},
                 {"PRelu", PRELU}};
    for (size_t i = 0; i < TM_ARRAY_LEN(table); i++)
        if (!strcmp(node->op_type, table[i].name))
            return table[i].op == MOD && tm_attr_int(node, "fmod", 0) ? FMOD : table[i].op;
    return NOTHING;
}

static double modulo(double a, double b) {
    double r = fmod(a, b);
    if (r == 0) return copysign(0, b);
    return (r < 0) != (b < 0) ? r + b : r;
}

static double binary_real(binary op, double a, double b) {
    switch (op) {
        case ADD:
            return a + b;
        case SUB:
            return a - b;
        case MUL:
            return a * b;
        case DIV:
            return a / b;
        case MOD:
            return modulo(a, b);
        case FMOD:
            return fmod(a, b);
        case POW:
            return pow(a, b);
        case MIN:
            return isnan(a) || a < b ? a : b;
        case MAX:
            return isnan(a) || a > b ? a : b;
        case EQUAL:
            return a == b;
        case GREATER:
            return a > b;
        case GREATER_EQUAL:
            return a >= b;
        case LESS:
            return a < b;
        case LESS_EQUAL:
            return a <= b;
        case PRELU:
            return a < 0 ? a * b : a;
        default:
            return 0;
    }
}

static int64_t power(int64_t base, int64_t exponent) {
    if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
    uint64_t result = 1, square = (uint64_t)base;
    for (; exponent; exponent >>= 1, square *= square)
        if (exponent & 1) result *= square;
    return (int64_t)result;
}

static int64_t binary_int(binary op, int64_t a, int64_t b, bool *by_zero) {
    uint64_t x = (uint64_t)a, y = (uint64_t)b;
    if (op == DIV || op == MOD || op == FMOD) {
        if (b == 0) *by_zero = true;
        if (b == 0) return 0;
        if (b == -1) return op == DIV ? (int64_t)(0 - x) : 0;  // INT64_MIN / -1 overflows
    }
    switch (op) {
        case ADD:
            return (int64_t)(x + y);
        case SUB:
            return (int64_t)(x - y);
        case MUL:
            return (int64_t)(x * y);
        case DIV:
            return a / b;
        case MOD:
            return a % b != 0 && (a % b < 0) != (b < 0) ? a % b + b : a % b;
        case FMOD:
            return a % b;
        case POW:
            return power(a, b);
        case MIN:
            return TM_MIN(a, b);
        case MAX:
            return TM_MAX(a, b);
        case AND:
            return a && b;
        case OR:
            return a || b;
        case XOR:
            return !a != !b;
        case EQUAL:
            return a == b;
        case GREATER:
            return a > b;
        case GREATER_EQUAL:
            return a >= b;
        case LESS:
            return a < b;
        case LESS_EQUAL:
            return a <= b;
        case PRELU:
            return a < 0 ? (int64_t)(x * y) : a;
        default:
            return 0;
    }
}

// out = a op b, where a may be out itself (variadic operators accumulate).
static void combine(binary op, const tm_host_tensor *a, const tm_host_tensor *b, tm_host_tensor *out, bool *by_zero) {
    tm_walk walk;
    tm_walk_start(&walk, &out->shape);
    tm_walk_operand(&walk, 0, &a->shape);
    tm_walk_operand(&walk, 1, &b->shape);
    bool real = a->dtype == TM_FLOAT32 || b->dtype == TM_FLOAT32;
    size_t count = count_of(out);
    for (size_t i = 0; i < count; i++, tm_walk_next(&walk)) {
        if (real)
            store_real(out, i, binary_real(op, load_real(a, walk.at[0]), load_real(b, walk.at[1])));
        else
            store_int(out, i, binary_int(op, load_int(a, walk.at[0]), load_int(b, walk.at[1]), by_zero));
    }
}

tagmask_status tm_fold_binary(tm_op_ctx *ctx, tm_error *err) {
    binary op = binary_of(ctx->node);
    if (op == NOTHING || ctx->input_count < 1) return unknown_operator(ctx, err);
    tm_host_tensor *out = &ctx->out[0];
    bool by_zero = false;
    if (ctx->input_count == 1) {
        memcpy(out->data, ctx->in[0].data, count_of(out) * tm_dtype_size(out->dtype));
        return TAGMASK_OK;
    }
    combine(op, &ctx->in[0], &ctx->in[1], out, &by_zero);
    for (size_t i = 2; i < ctx->input_count; i++) combine(op, out, &ctx->in[i], out, &by_zero);
    if (by_zero) return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "an integer is divided by zero");
    size_t count = count_of(out);
    for (size_t i = 0; !strcmp(ctx->node->op_type, "Mean") && i < count; i++)
        store_real(out, i, load_real(out, (int64_t)i) / (double)ctx->input_count);
    return TAGMASK_OK;
}

// ---- Clip, Where, Cast.
tagmask_status tm_fold_clip(tm_op_ctx *ctx, tm_error *err) {
    (void)err;
    bool inputs = ctx->node->opset >= 11, real = ctx->in[0].dtype == TM_FLOAT32;
    const tm_host_tensor *bound[2] = {NULL, NULL};
    for (size_t i = 0; i < 2; i++)
        if (inputs && ctx->input_count > i + 1 && ctx->in[i + 1].data) bound[i] = &ctx->in[i + 1];
    double low = bound[0] ? load_real(bound[0], 0) : tm_attr_float(ctx->node, "min", -FLT_MAX);
    double high = bound[1] ? load_real(bound[1], 0) : tm_attr_float(ctx->node, "max", FLT_MAX);
    int64_t least = bound[0] ? load_int(bound[0], 0) : INT64_MIN, most = bound[1] ? load_int(bound[1], 0) : INT64_MAX;
    size_t count = count_of(&ctx->out[0]);
    for (size_t i = 0; i < count; i++) {
        if (real) {
            double x = load_real(&ctx->in[0], (int64_t)i);
            store_real(&ctx->out[0], i, isnan(x) ? x : TM_MIN(TM_MAX(x, low), high));
        } else {
            store_int(&ctx->out[0], i, TM_MIN(TM_MAX(load_int(&ctx->in[0], (int64_t)i), least), most));
        }
    }
    return TAGMASK_OK;
}

tagmask_status tm_fold_where(tm_op_ctx *ctx, tm_error *err) {
    (void)err;
    tm_walk walk;
    tm_walk_start(&walk, &ctx->out[0].shape);
    for (int k = 0; k < 3; k++) tm_walk_operand(&walk, k, &ctx->in[k].shape);
    size_t count = count_of(&ctx->out[0]), size = tm_dtype_size(ctx->out[0].dtype);
    for (size_t i = 0; i < count; i++, tm_walk_next(&walk)) {
        int k = load_int(&ctx->in[0], walk.at[0]) ? 1 : 2;
        memcpy((uint8_t *)ctx->out[0].data + i * size, (const uint8_t *)ctx->in[k].data + (size_t)walk.at[k] * size,
               size);
    }
    return TAGMASK_OK;
}

tagmask_status tm_fold_cast(tm_op_ctx *ctx, tm_error *err) {
    (void)err;
    size_t count = count_of(&ctx->out[0]);
    bool real = ctx->in[0].dtype == TM_FLOAT32 || ctx->out[0].dtype == TM_FLOAT32;
    for (size_t i = 0; i < count; i++) {
        if (real)
            store_real(&ctx->out[0], i, load_real(&ctx->in[0], (int64_t)i));
        else
            store_int(&ctx->out[0], i, load_int(&ctx->in[0], (int64_t)i));
    }
    return TAGMASK_OK;
}

// ---- Reductions.
static tagmask_status reduced_axes(tm_op_ctx *ctx, bool *reduced, tm_error *err) {
    const int64_t *axes;
    size_t count;
    int32_t rank = ctx->in[0].shape.rank, axis;
    TM_TRY(tm_attr_or_input_ints(ctx, "axes", 1, &axes, &count, err));
    bool all = !count && !tm_attr_int(ctx->node, "noop_with_empty_axes", 0);
    for (int32_t d = 0; d < rank; d++) reduced[d] = all;
    for (size_t i = 0; i < count; i++) {
        TM_TRY(tm_normalize_axis(ctx, "an axis", axes[i], rank, &axis, err));
        reduced[axis] = true;
    }
    return TAGMASK_OK;
}

tagmask_status tm_fold_reduce(tm_op_ctx *ctx, tm_error *err) {
    static const struct {
        const char *name;
        binary op;
    } table[] = {{"ReduceSum", ADD}, {"ReduceMean", ADD}, {"ReduceProd", MUL}, {"ReduceMax", MAX}, {"ReduceMin", MIN}};
    binary op = NOTHING;
    for (size_t i = 0; i < TM_ARRAY_LEN(table); i++)
        if (!strcmp(ctx->node->op_type, table[i].name)) op = table[i].op;
    bool reduced[TM_MAX_RANK], by_zero = false, real = ctx->in[0].dtype == TM_FLOAT32;
    if (op == NOTHING) return unknown_operator(ctx, err);
    TM_TRY(reduced_axes(ctx, reduced, err));
    const tm_shape *in = &ctx->in[0].shape;
    tm_host_tensor *out = &ctx->out[0];
    size_t count = count_of(&ctx->in[0]), out_count = count_of(out);
    if (!count && out_count && op != ADD && op != MUL)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "nothing has no maximum or minimum");
    // Accumulate in double or int64, `seen` telling whether an element has a value yet.
    double *sums = tm_arena_alloc(ctx->arena, out_count * sizeof *sums);
    int64_t *whole = tm_arena_alloc(ctx->arena, out_count * sizeof *whole);
    uint8_t *seen = tm_arena_alloc(ctx->arena, out_count);
    if (!sums || !whole || !seen) return tm_fail(err, TAGMASK_ERROR_MEMORY, "out of memory");
    for (size_t i = 0; i < out_count; i++) sums[i] = (double)(whole[i] = op == MUL);
    tm_walk walk;
    tm_walk_start(&walk, in);
    int64_t stride = 1;
    for (int32_t d = in->rank - 1; d >= 0; d--) {
        walk.stride[0][d] = reduced[d] ? 0 : stride;
        if (!reduced[d]) stride *= in->dim[d];
    }
    for (size_t i = 0; i < count; i++, tm_walk_next(&walk)) {
        size_t o = (size_t)walk.at[0];
        double x = load_real(&ctx->in[0], (int64_t)i);
        int64_t n = real ? 0 : load_int(&ctx->in[0], (int64_t)i);
        sums[o] = seen[o] || op == ADD || op == MUL ? binary_real(op, sums[o], x) : x;
        whole[o] = seen[o] || op == ADD || op == MUL ? binary_int(op, whole[o], n, &by_zero) : n;
        seen[o] = 1;
    }
    double share = !strcmp(ctx->node->op_type, "ReduceMean") && count ? (double)out_count / (double)count : 1;
    for (size_t i = 0; i < out_count; i++) {
        if (real)
            store_real(out, i, sums[i] * share);
        else
            store_int(out, i, share == 1 ? whole[i] : (int64_t)((double)whole[i] * share));
    }
    return TAGMASK_OK;
}
