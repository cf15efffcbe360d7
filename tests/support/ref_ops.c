#include "ref_ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define IS(name) (!strcmp(type, name))

bool ref_next(const tm_shape *shape, int64_t *at) {
    for (int32_t d = shape->rank - 1; d >= 0; d--) {
        if (++at[d] < shape->dim[d]) return true;
        at[d] = 0;
    }
    return false;
}

size_t ref_offset(const tm_shape *shape, const int64_t *at) {
    size_t offset = 0;
    for (int32_t d = 0; d < shape->rank; d++) offset = offset * (size_t)shape->dim[d] + (size_t)at[d];
    return offset;
}

static size_t count_of(const tm_shape *shape) {
    size_t count = 1;
    for (int32_t d = 0; d < shape->rank; d++) count *= (size_t)shape->dim[d];
    return count;
}

static float *new_floats(size_t count) {
    return malloc(sizeof(float) * (count ? count : 1));
}

static double ref_activation(const char *type, double x, double a, double b) {
    double sigmoid = 1 / (1 + exp(-x)), softplus = log1p(exp(x));
    if (IS("Relu")) return fmax(x, 0);
    if (IS("LeakyRelu")) return x < 0 ? a * x : x;
    if (IS("Clip")) return fmin(fmax(x, a), b);
    if (IS("Sigmoid")) return sigmoid;
    if (IS("HardSigmoid")) return fmax(0, fmin(1, a * x + b));
    if (IS("HardSwish")) return x * fmax(0, fmin(1, x / 6 + 0.5));
    if (IS("Gelu")) return 0.5 * x * (1 + erf(x / sqrt(2)));
    if (IS("GeluTanh")) return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
    if (IS("Softplus")) return softplus;
    if (IS("Elu")) return x < 0 ? a * (exp(x) - 1) : x;
    if (IS("Selu")) return b * (x < 0 ? a * (exp(x) - 1) : x);
    if (IS("Mish")) return x * tanh(softplus);
    if (IS("Softsign")) return x / (1 + fabs(x));
    if (IS("ThresholdedRelu")) return x > a ? x : 0;
    if (IS("Celu")) return fmax(0, x) + fmin(0, a * (exp(x / a) - 1));
    if (IS("Shrink")) return x < -a ? x + b : x > a ? x - b : 0;
    if (IS("Swish")) return x / (1 + exp(-a * x));
    return NAN;
}

double ref_function(const char *type, double x, double a, double b) {
    if (IS("Tanh")) return tanh(x);
    if (IS("Erf")) return erf(x);
    if (IS("Exp")) return exp(x);
    if (IS("Log")) return log(x);
    if (IS("Sqrt")) return sqrt(x);
    if (IS("Abs")) return fabs(x);
    if (IS("Neg")) return -x;
    if (IS("Floor")) return floor(x);
    if (IS("Ceil")) return ceil(x);
    if (IS("Round")) return nearbyint(x);
    if (IS("Sign")) return (x > 0) - (x < 0);
    if (IS("Reciprocal")) return 1 / x;
    if (IS("Sin")) return sin(x);
    if (IS("Cos")) return cos(x);
    if (IS("Tan")) return tan(x);
    if (IS("Asin")) return asin(x);
    if (IS("Acos")) return acos(x);
    if (IS("Atan")) return atan(x);
    if (IS("Sinh")) return sinh(x);
    if (IS("Cosh")) return cosh(x);
    if (IS("Asinh")) return asinh(x);
    if (IS("Acosh")) return acosh(x);
    if (IS("Atanh")) return atanh(x);
    return ref_activation(type, x, a, b);
}

float *ref_unary(const char *type, const float *x, size_t count, double a, double b) {
    float *y = new_floats(count);
    for (size_t i = 0; i < count; i++) y[i] = (float)ref_function(type, x[i], a, b);
    return y;
}

double ref_arithmetic(const char *type, double a, double b) {
    if (IS("Add") || IS("Sum")) return a + b;
    if (IS("Sub")) return a - b;
    if (IS("Mul")) return a * b;
    if (IS("Div")) return a / b;
    if (IS("Pow")) return pow(a, b);
    if (IS("Min")) return fmin(a, b);
    if (IS("Max")) return fmax(a, b);
    if (IS("PRelu")) return a < 0 ? a * b : a;
    if (IS("Mod")) return a - b * floor(a / b);
    if (IS("FMod")) return fmod(a, b);
    if (IS("Equal")) return a == b;
    if (IS("Greater")) return a > b;
    if (IS("Less")) return a < b;
    if (IS("GreaterOrEqual")) return a >= b;
    if (IS("LessOrEqual")) return a <= b;
    if (IS("And")) return a != 0 && b != 0;
    if (IS("Or")) return a != 0 || b != 0;
    if (IS("Xor")) return (a != 0) != (b != 0);
    return NAN;
}

tm_shape ref_broadcast(const tm_shape *a, const tm_shape *b) {
    tm_shape out = {.rank = a->rank > b->rank ? a->rank : b->rank};
    for (int32_t d = 0; d < out.rank; d++) {
        int32_t i = d - (out.rank - a->rank), j = d - (out.rank - b->rank);
        int64_t x = i < 0 ? 1 : a->dim[i], y = j < 0 ? 1 : b->dim[j];
        out.dim[d] = x == 1 ? y : x;
    }
    return out;
}

// Element of a broadcast operand at an index of the output.
static float broadcast_at(const float *x, const tm_shape *shape, const tm_shape *out, const int64_t *at) {
    int64_t own[TM_MAX_RANK] = {0};
    for (int32_t d = 0; d < shape->rank; d++) {
        int64_t i = at[d + out->rank - shape->rank];
        own[d] = shape->dim[d] == 1 ? 0 : i;
    }
    return x[ref_offset(shape, own)];
}

float *ref_binary(const char *type, const float *a, tm_shape sa, const float *b, tm_shape sb, tm_shape *out) {
    *out = ref_broadcast(&sa, &sb);
    float *y = new_floats(count_of(out));
    int64_t at[TM_MAX_RANK] = {0};
    size_t i = 0;
    do {
        y[i++] = (float)ref_arithmetic(type, broadcast_at(a, &sa, out, at), broadcast_at(b, &sb, out, at));
    } while (ref_next(out, at));
    return y;
}

static float pool_at(const float *plane, const int64_t size[2], const int64_t first[2], const ref_pool_spec *s) {
    double sum = 0, largest = -INFINITY;
    int64_t inside = 0, padded = 0;
    for (int64_t i = 0; i < s->kernel[0]; i++) {
        for (int64_t j = 0; j < s->kernel[1]; j++) {
            int64_t y = first[0] + i * s->dilation[0], x = first[1] + j * s->dilation[1];
            if (y < size[0] + s->end[0] && x < size[1] + s->end[1]) padded++;
            if (y < 0 || x < 0 || y >= size[0] || x >= size[1]) continue;
            inside++;
            sum += plane[y * size[1] + x];
            largest = fmax(largest, plane[y * size[1] + x]);
        }
    }
    return (float)(s->maximum ? largest : sum / (double)(s->include_pad ? padded : inside));
}

float *ref_pool(const float *x, tm_shape in, tm_shape out, const ref_pool_spec *s) {
    float *y = new_floats(count_of(&out));
    int64_t size[2] = {in.dim[2], in.dim[3]};
    size_t i = 0;
    for (int64_t plane = 0; plane < in.dim[0] * in.dim[1]; plane++)
        for (int64_t r = 0; r < out.dim[2]; r++)
            for (int64_t c = 0; c < out.dim[3]; c++) {
                int64_t first[2] = {r * s->stride[0] - s->begin[0], c * s->stride[1] - s->begin[1]};
                y[i++] = pool_at(x + plane * size[0] * size[1], size, first, s);
            }
    return y;
}

static void reduce_step(const char *type, double v, double *total) {
    if (IS("ReduceMax") || IS("GlobalMaxPool"))
        *total = fmax(*total, v);
    else if (IS("ReduceMin"))
        *total = fmin(*total, v);
    else if (IS("ReduceProd"))
        *total *= v;
    else if (IS("ReduceL1"))
        *total += fabs(v);
    else if (IS("ReduceL2") || IS("ReduceSumSquare"))
        *total += v * v;
    else if (IS("ReduceLogSumExp"))
        *total += exp(v);
    else
        *total += v;
}

float *ref_reduce(const char *type, const float *x, tm_shape in, uint32_t axes, bool keep, tm_shape *out) {
    tm_shape kept = in;
    for (int32_t d = 0; d < in.rank; d++)
        if (axes >> d & 1) kept.dim[d] = 1;
    size_t outputs = count_of(&kept), each = count_of(&in) / outputs;
    double *total = calloc(outputs, sizeof *total);
    for (size_t i = 0; i < outputs; i++)
        total[i] = IS("ReduceMax") || IS("GlobalMaxPool") ? -INFINITY : IS("ReduceMin") ? INFINITY : IS("ReduceProd");
    int64_t at[TM_MAX_RANK] = {0};
    size_t i = 0;
    do {
        int64_t to[TM_MAX_RANK];
        for (int32_t d = 0; d < in.rank; d++) to[d] = axes >> d & 1 ? 0 : at[d];
        reduce_step(type, x[i++], &total[ref_offset(&kept, to)]);
    } while (ref_next(&in, at));
    float *y = new_floats(outputs);
    for (i = 0; i < outputs; i++) {
        double t = total[i];
        if (IS("ReduceMean") || IS("GlobalAveragePool")) t /= (double)each;
        if (IS("ReduceL2")) t = sqrt(t);
        if (IS("ReduceLogSum") || IS("ReduceLogSumExp")) t = log(t);
        y[i] = (float)t;
    }
    free(total);
    out->rank = 0;
    for (int32_t d = 0; d < in.rank; d++)
        if (keep || !(axes >> d & 1)) out->dim[out->rank++] = kept.dim[d];
    return y;
}

float *ref_softmax(const float *x, tm_shape shape, int32_t axis, bool logarithm) {
    size_t inner = 1, n = (size_t)shape.dim[axis], count = count_of(&shape);
    for (int32_t d = axis + 1; d < shape.rank; d++) inner *= (size_t)shape.dim[d];
    float *y = new_floats(count);
    for (size_t line = 0; line < count / n; line++) {
        size_t base = line / inner * n * inner + line % inner;
        double largest = -INFINITY, sum = 0;
        for (size_t k = 0; k < n; k++) largest = fmax(largest, x[base + k * inner]);
        for (size_t k = 0; k < n; k++) sum += exp(x[base + k * inner] - largest);
        for (size_t k = 0; k < n; k++) {
            double v = x[base + k * inner] - largest;
            y[base + k * inner] = (float)(logarithm ? v - log(sum) : exp(v) / sum);
        }
    }
    return y;
}

void ref_matmul(const float *a, const float *b, size_t m, size_t n, size_t k, float *c) {
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = 0;
            for (size_t l = 0; l < k; l++) sum += (double)a[i * k + l] * b[l * n + j];
            c[i * n + j] = (float)sum;
        }
}

// ---- Resize, one output element at a time.
static double resize_source(const ref_resize_spec *s, int32_t d, double x, double in, double out) {
    const char *type = s->coordinates;
    if (IS("align_corners")) return out > 1 ? x * (in - 1) / (out - 1) : 0;
    if (IS("asymmetric")) return x / s->scale[d];
    if (IS("tf_half_pixel_for_nn")) return (x + 0.5) / s->scale[d];
    if (IS("pytorch_half_pixel") && out <= 1) return 0;
    if (IS("tf_crop_and_resize")) {
        double a = s->roi[d][0], b = s->roi[d][1];
        return out > 1 ? a * (in - 1) + x * (b - a) * (in - 1) / (out - 1) : 0.5 * (a + b) * (in - 1);
    }
    return (x + 0.5) / s->scale[d] - 0.5;
}

static int64_t resize_round(const char *type, double v) {
    if (IS("floor")) return (int64_t)floor(v);
    if (IS("ceil")) return (int64_t)ceil(v);
    if (IS("round_prefer_ceil")) return (int64_t)floor(v + 0.5);
    return (int64_t)ceil(v - 0.5);
}

static double resize_weight(const ref_resize_spec *s, double t) {
    double a = s->cubic_a;
    t = fabs(t);
    if (strcmp(s->mode, "cubic")) return fmax(0, 1 - t);
    if (t <= 1) return (a + 2) * t * t * t - (a + 3) * t * t + 1;
    return t < 2 ? a * t * t * t - 5 * a * t * t + 8 * a * t - 4 * a : 0;
}

// Sum over the samples of dimension d and those after it.
static double resize_at(const float *x, const tm_shape *in, const double *source, int32_t d, size_t base,
                        const ref_resize_spec *s) {
    if (d == in->rank) return x[base];
    int64_t n = in->dim[d];
    if (!strcmp(s->mode, "nearest")) {
        int64_t i = resize_round(s->nearest, source[d]);
        i = i < 0 ? 0 : i >= n ? n - 1 : i;
        return resize_at(x, in, source, d + 1, base * (size_t)n + (size_t)i, s);
    }
    double sum = 0, weights = 0;
    for (int64_t i = (int64_t)floor(source[d]) - 1; i <= (int64_t)floor(source[d]) + 2; i++) {
        double w = resize_weight(s, (double)i - source[d]);
        if (w == 0 || (s->exclude_outside && (i < 0 || i >= n))) continue;
        int64_t j = i < 0 ? 0 : i >= n ? n - 1 : i;
        sum += w * resize_at(x, in, source, d + 1, base * (size_t)n + (size_t)j, s);
        weights += w;
    }
    return sum / weights;
}

float *ref_resize(const float *x, tm_shape in, tm_shape out, const ref_resize_spec *s) {
    float *y = new_floats(count_of(&out));
    int64_t at[TM_MAX_RANK] = {0};
    size_t i = 0;
    do {
        double source[TM_MAX_RANK];
        bool outside = false;
        for (int32_t d = 0; d < in.rank; d++) {
            source[d] = resize_source(s, d, (double)at[d], (double)in.dim[d], (double)out.dim[d]);
            if (s->scale[d] == 1 && strcmp(s->coordinates, "tf_crop_and_resize")) source[d] = (double)at[d];
            outside = outside || source[d] < 0 || source[d] > (double)in.dim[d] - 1;
        }
        if (outside && !strcmp(s->coordinates, "tf_crop_and_resize"))
            y[i++] = (float)s->outside;
        else
            y[i++] = (float)resize_at(x, &in, source, 0, 0, s);
    } while (ref_next(&out, at));
    return y;
}
