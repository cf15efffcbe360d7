// Normalizations against plain C with doubles.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "op_case.h"
#include "ref_ops.h"

static void check_batch(tm_shape in, bool c4) {
    size_t count = elements(&in), channels = (size_t)in.dim[1], plane = count / channels / (size_t)in.dim[0];
    float *x = test_noise(1, count, -2, 2), *expected = malloc(sizeof *expected * count), *p[4];
    for (int i = 0; i < 4; i++) p[i] = test_noise((uint64_t)i + 2, channels, i == 3 ? 0.1f : -1, 2);
    for (size_t i = 0; i < count; i++) {
        size_t k = i / plane % channels;
        expected[i] = (float)((x[i] - (double)p[2][k]) / sqrt(p[3][k] + 1e-3) * p[0][k] + p[1][k]);
    }
    op_case c = op_begin(13);
    op_input_any(&c, "x", in, x, c4);
    static const char *const names[] = {"scale", "bias", "mean", "variance"};
    for (int i = 0; i < 4; i++) onnx_constant(c.model, names[i], TM_FLOAT32, DIMS((int64_t)channels), p[i]);
    onnx_float(c.model, onnx_add(c.model, "BatchNormalization", "x,scale,bias,mean,variance", "y"), "epsilon", 1e-3f);
    op_check(&c, &in, expected, 1e-4);
    free(x);
    for (int i = 0; i < 4; i++) free(p[i]);
}

static void test_batch(void **state) {
    (void)state;
    check_batch(shape_of(DIMS(2, 5, 3, 4)), true);
    check_batch(shape_of(DIMS(2, 5, 3, 4)), false);
    check_batch(shape_of(DIMS(2, 8, 3, 4)), true);
    check_batch(shape_of(DIMS(3, 6)), false);
    check_batch(shape_of(DIMS(2, 3, 2, 3, 4)), false);
}

// Rows of `length` elements are normalized; at[i] is the index of scale and bias for element i of the tensor.
static float *ref_norm(const float *x, size_t rows, size_t length, const size_t *at, const float *scale,
                       const float *bias, bool rms) {
    float *y = malloc(sizeof *y * rows * length);
    for (size_t r = 0; r < rows; r++) {
        double mean = 0, variance = 0;
        for (size_t i = 0; i < length && !rms; i++) mean += x[r * length + i] / (double)length;
        for (size_t i = 0; i < length; i++) variance += pow(x[r * length + i] - mean, 2) / (double)length;
        for (size_t i = 0; i < length; i++) {
            size_t j = r * length + i;
            y[j] = (float)((x[j] - mean) / sqrt(variance + 1e-5) * scale[at[j]] + (bias ? bias[at[j]] : 0));
        }
    }
    return y;
}

// kind: 0 instance, 1 group (by channel), 2 group (by group), 3 layer over the last two dimensions, 4 layer without
// bias, 5 root mean square.
static void check_norm(int kind) {
    tm_shape in = shape_of(DIMS(2, 6, 5, 7));
    static const char *const types[] = {"InstanceNormalization", "GroupNormalization", "GroupNormalization",
                                        "LayerNormalization",    "LayerNormalization", "RMSNormalization"};
    static const size_t rows[] = {12, 4, 4, 12, 12, 12}, each[] = {6, 6, 2, 35, 35, 35};
    size_t count = 420, at[420];
    for (size_t i = 0; i < count; i++) at[i] = kind >= 3 ? i % 35 : kind == 2 ? i / 105 % 2 : i / 35 % 6;
    float *x = test_noise(1, count, 2, 6), *scale = test_noise(2, each[kind], -2, 2),
          *bias = test_noise(3, each[kind], -2, 2);
    bool biased = kind < 4;
    float *expected = ref_norm(x, rows[kind], count / rows[kind], at, scale, biased ? bias : NULL, kind == 5);
    op_case c = op_begin(kind == 2 ? 18 : kind == 5 ? 23 : 21);
    op_input_any(&c, "x", in, x, true);
    const tm_shape vector = kind >= 3 ? shape_of(DIMS(5, 7)) : shape_of(DIMS((int64_t)each[kind]));
    onnx_constant(c.model, "scale", TM_FLOAT32, (size_t)vector.rank, vector.dim, scale);
    if (biased) onnx_constant(c.model, "bias", TM_FLOAT32, (size_t)vector.rank, vector.dim, bias);
    onnx_node *node = onnx_add(c.model, types[kind], biased ? "x,scale,bias" : "x,scale", "y");
    if (kind == 1 || kind == 2) onnx_int(c.model, node, "num_groups", 2);
    if (kind >= 3) onnx_int(c.model, node, "axis", -2);
    op_check(&c, &in, expected, 1e-4);
    free(x);
    free(scale);
    free(bias);
}

static void test_rows(void **state) {
    (void)state;
    for (int kind = 0; kind < 6; kind++) check_norm(kind);
}

static void test_statistics(void **state) {
    (void)state;
    tm_shape in = shape_of(DIMS(3, 5, 7)), out = shape_of(DIMS(3, 1, 1));
    for (int deviation = 0; deviation < 2; deviation++) {
        float *x = test_noise(1, 105, 2, 6), *ones = test_noise(2, 35, 1, 1), *expected = malloc(sizeof *expected * 3);
        for (size_t r = 0; r < 3; r++) {
            double mean = 0, variance = 0;
            for (size_t i = 0; i < 35; i++) mean += x[r * 35 + i] / 35.0;
            for (size_t i = 0; i < 35; i++) variance += pow(x[r * 35 + i] - mean, 2) / 35;
            expected[r] = (float)(deviation ? 1 / sqrt(variance + 1e-5) : mean);
        }
        op_case c = op_begin(17);
        op_input(&c, "x", TM_FLOAT32, in, x);
        onnx_constant(c.model, "scale", TM_FLOAT32, DIMS(5, 7), ones);
        onnx_node *node = onnx_add(c.model, "LayerNormalization", "x,scale", deviation ? "n,mean,y" : "n,y,deviation");
        onnx_int(c.model, node, "axis", 1);
        op_check(&c, &out, expected, 1e-4);
        free(x);
        free(ones);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_batch), cmocka_unit_test(test_rows),
                                       cmocka_unit_test(test_statistics)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
