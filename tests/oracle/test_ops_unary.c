// Elementwise operators of one input against plain C, in both layouts, with channels that do not fill C4.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "op_case.h"
#include "ref_ops.h"

typedef struct unary_case {
    const char *type;
    int64_t opset;
    float low, high;
    const char *a_name, *b_name;
    float a, b;
} unary_case;

static const unary_case cases[] = {
    {"Relu", 13, -3, 3},
    {"LeakyRelu", 13, -3, 3, "alpha", NULL, 0.2f},
    {"Sigmoid", 13, -20, 20},
    {"HardSigmoid", 13, -6, 6, "alpha", "beta", 0.3f, 0.4f},
    {"HardSwish", 14, -6, 6},
    {"Tanh", 13, -30, 30},
    {"Tanh", 13, -0.2f, 0.2f},
    {"Erf", 13, -4, 4},
    {"Erf", 13, -0.4f, 0.4f},
    {"Gelu", 20, -6, 6},
    {"Softplus", 13, -30, 30},
    {"Elu", 13, -3, 3, "alpha", NULL, 1.5f},
    {"Elu", 13, -0.01f, 0.001f, "alpha", NULL, 1.0f},
    {"Selu", 13, -3, 3, "alpha", "gamma", 1.7f, 1.1f},
    {"Mish", 18, -10, 10},
    {"Softsign", 13, -3, 3},
    {"ThresholdedRelu", 13, -3, 3, "alpha", NULL, 0.7f},
    {"Celu", 13, -3, 3, "alpha", NULL, 0.7f},
    {"Shrink", 13, -3, 3, "lambd", "bias", 0.8f, 0.3f},
    {"Exp", 13, -4, 4},
    {"Log", 13, 0.1f, 9},
    {"Sqrt", 13, 0, 9},
    {"Abs", 13, -3, 3},
    {"Neg", 13, -3, 3},
    {"Floor", 13, -9, 9},
    {"Ceil", 13, -9, 9},
    {"Round", 13, -9, 9},
    {"Sign", 13, -1, 1},
    {"Reciprocal", 13, 0.5f, 3},
    {"Sin", 13, -30, 30},
    {"Cos", 13, -30, 30},
    {"Tan", 13, -1.2f, 1.2f},
    {"Asin", 13, -0.95f, 0.95f},
    {"Acos", 13, -0.95f, 0.95f},
    {"Atan", 13, -4, 4},
    {"Sinh", 13, -3, 3},
    {"Cosh", 13, -3, 3},
    {"Asinh", 13, -3, 3},
    {"Acosh", 13, 1.1f, 5},
    {"Atanh", 13, -0.9f, 0.9f},
};

static void check_unary(const unary_case *u, tm_shape shape, bool c4) {
    size_t count = elements(&shape);
    float *x = test_noise(count, count, u->low, u->high);
    op_case c = op_begin(u->opset);
    op_input_any(&c, "x", shape, x, c4);
    onnx_node *node = onnx_add(c.model, u->type, "x", "y");
    if (u->a_name) onnx_float(c.model, node, u->a_name, u->a);
    if (u->b_name) onnx_float(c.model, node, u->b_name, u->b);
    op_check(&c, &shape, ref_unary(u->type, x, count, u->a, u->b), 1e-4);
    free(x);
}

static void test_functions(void **state) {
    (void)state;
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        check_unary(&cases[i], shape_of(DIMS(3, 37)), false);
        check_unary(&cases[i], shape_of(DIMS(2, 6, 3, 5)), true);
    }
}

// The values that pad the channels must be zero, or the sum over the channels of a convolution would see them.
static void test_padding_channels_stay_zero(void **state) {
    (void)state;
    tm_shape shape = shape_of(DIMS(1, 5, 4, 3)), out = shape_of(DIMS(1, 1, 4, 3));
    float *x = test_noise(1, 60, -2, 2), ones[5] = {1, 1, 1, 1, 1}, *expected = calloc(12, sizeof *expected);
    for (size_t i = 0; i < 60; i++) expected[i % 12] += (float)ref_function("Sigmoid", x[i], 0, 0);
    op_case c = op_begin(13);
    op_input_c4(&c, "x", shape, x);
    onnx_constant(c.model, "w", TM_FLOAT32, DIMS(1, 5, 1, 1), ones);
    onnx_add(c.model, "Sigmoid", "x", "s");
    onnx_add(c.model, "Conv", "s,w", "y");
    op_check(&c, &out, expected, 1e-4);
    free(x);
}

static void test_clip(void **state) {
    (void)state;
    tm_shape shape = shape_of(DIMS(1, 7, 5, 3));
    for (int variant = 0; variant < 6; variant++) {
        int64_t opset = variant < 3 ? 9 : 13;
        bool low = variant % 3 != 1, high = variant % 3 != 2;
        float *x = test_noise(7, 105, -9, 9);
        op_case c = op_begin(opset);
        op_input_any(&c, "x", shape, x, variant % 2);
        if (low && opset > 10) op_scalar(&c, "low", 1);
        if (high && opset > 10) op_scalar(&c, "high", 6);
        const char *inputs = opset < 11 ? "x" : low && high ? "x,low,high" : low ? "x,low" : "x,,high";
        onnx_node *node = onnx_add(c.model, "Clip", inputs, "y");
        if (low && opset < 11) onnx_float(c.model, node, "min", 1);
        if (high && opset < 11) onnx_float(c.model, node, "max", 6);
        op_check(&c, &shape, ref_unary("Clip", x, 105, low ? 1 : -1e9, high ? 6 : 1e9), 1e-6);
        free(x);
    }
}

static void test_gelu_by_tanh(void **state) {
    (void)state;
    tm_shape shape = shape_of(DIMS(5, 13));
    float *x = test_noise(7, 65, -6, 6);
    op_case c = op_begin(20);
    op_input(&c, "x", TM_FLOAT32, shape, x);
    onnx_string(c.model, onnx_add(c.model, "Gelu", "x", "y"), "approximate", "tanh");
    op_check(&c, &shape, ref_unary("GeluTanh", x, 65, 0, 0), 1e-4);
    free(x);
}

// Casts on the device: the sum is there to keep the first cast from being the whole graph.
static void test_cast(void **state) {
    (void)state;
    static const struct {
        tm_dtype to;
        float in[5], out[5];
    } rows[] = {
        {TM_INT32, {-2.7f, -0.5f, 0, 1.9f, 300}, {-2, 0, 0, 1, 300}},
        {TM_INT64, {-2.7f, -0.5f, 0, 1.9f, 300}, {-2, 0, 0, 1, 300}},
        {TM_BOOL, {-2.7f, -0.5f, 0, 1.9f, 300}, {1, 1, 0, 1, 1}},
        {TM_UINT8, {2.7f, 0.5f, 0, 255, 128}, {2, 0, 0, 255, 128}},
        {TM_INT8, {-2.7f, -128, 0, 127, 1}, {-2, -128, 0, 127, 1}},
        {TM_FLOAT32, {-2.7f, -0.5f, 0, 1.9f, 300}, {-2.7f, -0.5f, 0, 1.9f, 300}},
    };
    for (size_t i = 0; i < TM_ARRAY_LEN(rows); i++) {
        tm_shape shape = shape_of(DIMS(5));
        op_case c = op_begin(13);
        op_input(&c, "x", TM_FLOAT32, shape, rows[i].in);
        onnx_int(c.model, onnx_add(c.model, "Cast", "x", "narrow"), "to", rows[i].to);
        onnx_int(c.model, onnx_add(c.model, "Cast", "narrow", "y"), "to", TM_FLOAT32);
        float *expected = malloc(sizeof rows[i].out);
        memcpy(expected, rows[i].out, sizeof rows[i].out);
        op_check(&c, &shape, expected, 1e-6);
    }
}

static void test_integers(void **state) {
    (void)state;
    static const int32_t x[6] = {-3, 0, 7, -100, 2, 1};
    static const struct {
        const char *type;
        float y[6];
    } rows[] = {{"Abs", {3, 0, 7, 100, 2, 1}},
                {"Neg", {3, 0, -7, 100, -2, -1}},
                {"Sign", {-1, 0, 1, -1, 1, 1}},
                {"Relu", {0, 0, 7, 0, 2, 1}}};
    for (size_t i = 0; i < TM_ARRAY_LEN(rows); i++) {
        tm_shape shape = shape_of(DIMS(2, 3));
        op_case c = op_begin(14);
        op_input(&c, "x", TM_INT32, shape, x);
        onnx_add(c.model, rows[i].type, "x", "y");
        float *expected = malloc(sizeof rows[i].y);
        memcpy(expected, rows[i].y, sizeof rows[i].y);
        op_check(&c, &shape, expected, 1e-6);
    }
}

static void test_logic(void **state) {
    (void)state;
    static const float x[4] = {0, 1, -1, 2};
    tm_shape shape = shape_of(DIMS(4));
    op_case c = op_begin(13);
    op_input(&c, "x", TM_FLOAT32, shape, x);
    onnx_int(c.model, onnx_add(c.model, "Cast", "x", "b"), "to", TM_BOOL);
    onnx_add(c.model, "Not", "b", "y");
    float *expected = calloc(4, sizeof *expected);
    expected[0] = 1;
    op_check(&c, &shape, expected, 1e-6);
}

static void test_infinities(void **state) {
    (void)state;
    const float x[4] = {INFINITY, -INFINITY, NAN, 1};
    tm_shape shape = shape_of(DIMS(4));
    for (int signs = 0; signs < 4; signs++) {
        op_case c = op_begin(13);
        op_input(&c, "x", TM_FLOAT32, shape, x);
        onnx_node *node = onnx_add(c.model, "IsInf", "x", "y");
        onnx_int(c.model, node, "detect_positive", signs & 1);
        onnx_int(c.model, node, "detect_negative", signs >> 1);
        float *expected = calloc(4, sizeof *expected);
        expected[0] = (float)(signs & 1);
        expected[1] = (float)(signs >> 1);
        op_check(&c, &shape, expected, 0);
    }
    op_case c = op_begin(13);
    op_input(&c, "x", TM_FLOAT32, shape, x);
    onnx_add(c.model, "IsNaN", "x", "y");
    float *expected = calloc(4, sizeof *expected);
    expected[2] = 1;
    op_check(&c, &shape, expected, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_functions), cmocka_unit_test(test_padding_channels_stay_zero),
        cmocka_unit_test(test_clip),      cmocka_unit_test(test_gelu_by_tanh),
        cmocka_unit_test(test_cast),      cmocka_unit_test(test_integers),
        cmocka_unit_test(test_logic),     cmocka_unit_test(test_infinities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
