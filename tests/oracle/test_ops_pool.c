// MaxPool and AveragePool against plain C: windows, padding, dilation, ceil_mode, auto_pad, both layouts.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "op_case.h"
#include "ref_ops.h"

typedef struct pool_case {
    int64_t in[2], out[2];  // H, W
    ref_pool_spec spec;
    bool ceil_mode;
    const char *auto_pad;
} pool_case;

static const pool_case cases[] = {
    {{8, 8}, {4, 4}, {.kernel = {2, 2}, .stride = {2, 2}, .dilation = {1, 1}}},
    {{7, 9}, {4, 5}, {.kernel = {2, 2}, .stride = {2, 2}, .dilation = {1, 1}}, .ceil_mode = true},
    {{7, 9}, {4, 5}, {.kernel = {3, 3}, .stride = {2, 2}, .dilation = {1, 1}, .begin = {1, 1}, .end = {1, 1}}},
    {{6, 5}, {3, 2}, {.kernel = {3, 2}, .stride = {2, 3}, .dilation = {1, 1}, .begin = {1, 0}, .end = {0, 1}}},
    {{9, 11}, {5, 7}, {.kernel = {3, 3}, .stride = {1, 1}, .dilation = {2, 2}}},
    {{6, 6}, {4, 4}, {.kernel = {3, 3}, .stride = {2, 2}, .dilation = {1, 1}, .begin = {1, 1}, .end = {1, 1}}, true},
    {{5, 6}, {3, 3}, {.kernel = {2, 3}, .stride = {2, 2}, .dilation = {1, 1}, .end = {1, 1}}, .auto_pad = "SAME_UPPER"},
    {{5, 6},
     {3, 3},
     {.kernel = {2, 3}, .stride = {2, 2}, .dilation = {1, 1}, .begin = {1, 1}},
     .auto_pad = "SAME_LOWER"},
    {{7, 7}, {1, 1}, {.kernel = {7, 7}, .stride = {1, 1}, .dilation = {1, 1}}, .auto_pad = "VALID"},
};

static void check_pool(const pool_case *p, const char *type, bool include_pad, bool c4) {
    tm_shape in = shape_of(DIMS(2, 6, p->in[0], p->in[1])), out = shape_of(DIMS(2, 6, p->out[0], p->out[1]));
    float *x = test_noise(5, elements(&in), -3, -1);  // all negative: padding must not win a maximum
    ref_pool_spec spec = p->spec;
    spec.maximum = !strcmp(type, "MaxPool");
    spec.include_pad = include_pad;
    op_case c = op_begin(19);
    op_input_any(&c, "x", in, x, c4);
    onnx_node *node = onnx_add(c.model, type, "x", "y");
    onnx_ints(c.model, node, "kernel_shape", 2, spec.kernel);
    onnx_ints(c.model, node, "strides", 2, spec.stride);
    onnx_ints(c.model, node, "dilations", 2, spec.dilation);
    if (p->auto_pad)
        onnx_string(c.model, node, "auto_pad", p->auto_pad);
    else
        onnx_ints(c.model, node, "pads", DIMS(spec.begin[0], spec.begin[1], spec.end[0], spec.end[1]));
    if (p->ceil_mode) onnx_int(c.model, node, "ceil_mode", 1);
    if (include_pad) onnx_int(c.model, node, "count_include_pad", 1);
    op_check(&c, &out, ref_pool(x, in, out, &spec), 1e-5);
    free(x);
}

static void test_pool(void **state) {
    (void)state;
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        for (int c4 = 0; c4 < 2; c4++) {
            check_pool(&cases[i], "MaxPool", false, c4);
            check_pool(&cases[i], "AveragePool", false, c4);
            check_pool(&cases[i], "AveragePool", true, c4);
        }
    }
}

static void test_one_dimension(void **state) {
    (void)state;
    tm_shape in = shape_of(DIMS(1, 3, 10)), out = shape_of(DIMS(1, 3, 4));
    float *x = test_noise(5, 30, -1, 1);
    ref_pool_spec spec = {.maximum = true, .kernel = {1, 3}, .stride = {1, 2}, .dilation = {1, 1}};
    op_case c = op_begin(13);
    op_input(&c, "x", TM_FLOAT32, in, x);
    onnx_node *node = onnx_add(c.model, "MaxPool", "x", "y");
    onnx_ints(c.model, node, "kernel_shape", DIMS(3));
    onnx_ints(c.model, node, "strides", DIMS(2));
    op_check(&c, &out, ref_pool(x, shape_of(DIMS(1, 3, 1, 10)), shape_of(DIMS(1, 3, 1, 4)), &spec), 1e-6);
    free(x);
}

// Every element of a window of three dimensions, counted out.
static float volume_at(const float *x, const int64_t in[3], const int64_t first[3], const char *type) {
    double sum = 0, largest = -INFINITY;
    int count = 0;
    for (int64_t i = 0; i < 18; i++) {  // the window is 2x3x3
        int64_t z = first[0] + i / 9, y = first[1] + i / 3 % 3, c = first[2] + i % 3;
        if (z < 0 || y < 0 || c < 0 || z >= in[0] || y >= in[1] || c >= in[2]) continue;
        double v = x[(z * in[1] + y) * in[2] + c];
        sum += v;
        largest = fmax(largest, v);
        count++;
    }
    return (float)(!strcmp(type, "MaxPool") ? largest : sum / count);
}

static void test_three_dimensions(void **state) {
    (void)state;
    static const char *const types[] = {"MaxPool", "AveragePool"};
    tm_shape in = shape_of(DIMS(2, 3, 4, 6, 5)), out = shape_of(DIMS(2, 3, 5, 3, 3));
    for (size_t t = 0; t < 2; t++) {
        float *x = test_noise(5, elements(&in), -3, -1), *expected = malloc(sizeof *expected * elements(&out));
        for (size_t i = 0; i < elements(&out); i++) {
            int64_t k = (int64_t)i, first[3] = {k / 9 % 5 - 1, k / 3 % 3 * 2 - 1, k % 3 * 2 - 1};
            expected[i] = volume_at(x + k / 45 * 120, in.dim + 2, first, types[t]);
        }
        op_case c = op_begin(13);
        op_input(&c, "x", TM_FLOAT32, in, x);
        onnx_node *node = onnx_add(c.model, types[t], "x", "y");
        onnx_ints(c.model, node, "kernel_shape", DIMS(2, 3, 3));
        onnx_ints(c.model, node, "strides", DIMS(1, 2, 2));
        onnx_ints(c.model, node, "pads", DIMS(1, 1, 1, 1, 1, 1));
        op_check(&c, &out, expected, 1e-5);
        free(x);
    }
}

static void test_indices(void **state) {
    (void)state;
    tm_shape in = shape_of(DIMS(1, 2, 4, 6)), out = shape_of(DIMS(1, 2, 2, 3));
    for (int column_major = 0; column_major < 2; column_major++) {
        float *x = test_noise(9, 48, -3, -1), *expected = malloc(sizeof *expected * 12);
        for (int64_t i = 0; i < 12; i++) {
            int64_t best = -1, plane = i / 6 * 24;
            for (int64_t k = 0; k < 4; k++) {
                int64_t at = plane + (i / 3 % 2 * 2 + k / 2) * 6 + i % 3 * 2 + k % 2;
                if (best < 0 || x[at] > x[best]) best = at;
            }
            int64_t row = (best - plane) / 6, column = best % 6;
            expected[i] = (float)(plane + (column_major ? column * 4 + row : row * 6 + column));
        }
        op_case c = op_begin(13);
        op_input_c4(&c, "x", in, x);
        onnx_node *node = onnx_add(c.model, "MaxPool", "x", "largest,y");
        onnx_ints(c.model, node, "kernel_shape", DIMS(2, 2));
        onnx_ints(c.model, node, "strides", DIMS(2, 2));
        onnx_int(c.model, node, "storage_order", column_major);
        op_check(&c, &out, expected, 0);
        free(x);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pool), cmocka_unit_test(test_one_dimension),
                                       cmocka_unit_test(test_three_dimensions), cmocka_unit_test(test_indices)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
