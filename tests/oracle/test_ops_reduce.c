// Reductions, global pooling, ArgMax, ArgMin and Softmax against plain C.
#include <stdlib.h>
#include <string.h>

#include "op_case.h"
#include "ref_ops.h"

static void check_reduce(const char *type, tm_shape in, uint32_t axes, bool keep, int64_t opset, bool c4) {
    bool global = !strncmp(type, "Global", 6), positive = !strcmp(type, "ReduceLogSum");
    float *x = test_noise(elements(&in), elements(&in), positive ? 0.1f : -2, 2);
    int64_t list[TM_MAX_RANK];
    size_t count = 0;
    for (int32_t d = 0; d < in.rank; d++)
        if (axes >> d & 1) list[count++] = d % 2 ? d - in.rank : d;
    tm_shape out;
    float *expected = ref_reduce(type, x, in, axes, keep, &out);
    op_case c = op_begin(opset);
    op_input_any(&c, "x", in, x, c4);
    bool input = opset >= 18 && !global;
    if (input) op_ints(&c, "axes", count, list);
    onnx_node *node = onnx_add(c.model, type, input ? "x,axes" : "x", "y");
    if (!input && !global) onnx_ints(c.model, node, "axes", count, list);
    if (!global) onnx_int(c.model, node, "keepdims", keep);
    op_check(&c, &out, expected, 1e-4);
    free(x);
}

static void test_reduce(void **state) {
    (void)state;
    static const char *const types[] = {"ReduceSum",    "ReduceMean",     "ReduceMax", "ReduceMin",
                                        "ReduceProd",   "ReduceL1",       "ReduceL2",  "ReduceSumSquare",
                                        "ReduceLogSum", "ReduceLogSumExp"};
    for (size_t t = 0; t < TM_ARRAY_LEN(types); t++) {
        for (int c4 = 0; c4 < 2; c4++) {
            check_reduce(types[t], shape_of(DIMS(2, 5, 3, 4)), 0xc, true, 18, c4);
            check_reduce(types[t], shape_of(DIMS(2, 5, 3, 4)), 0xc, false, 18, c4);
        }
        check_reduce(types[t], shape_of(DIMS(2, 5, 3, 4)), 0x2, true, 18, false);
        check_reduce(types[t], shape_of(DIMS(2, 5, 3, 4)), 0x5, false, 18, false);
        check_reduce(types[t], shape_of(DIMS(7)), 0x1, false, 18, false);
    }
    check_reduce("ReduceMean", shape_of(DIMS(2, 5, 3, 4)), 0xc, false, 11, true);
    check_reduce("ReduceSum", shape_of(DIMS(2, 3, 2, 2, 3, 2, 3)), 0x55, true, 18, false);
    check_reduce("ReduceSum", shape_of(DIMS(2, 3, 2, 2, 3, 2, 3)), 0x2a, true, 18, false);
}

static void test_global(void **state) {
    (void)state;
    for (int c4 = 0; c4 < 2; c4++) {
        check_reduce("GlobalAveragePool", shape_of(DIMS(2, 7, 5, 3)), 0xc, true, 13, c4);
        check_reduce("GlobalMaxPool", shape_of(DIMS(2, 7, 5, 3)), 0xc, true, 13, c4);
        check_reduce("GlobalAveragePool", shape_of(DIMS(1, 3, 90, 70)), 0xc, true, 13, c4);
    }
    check_reduce("GlobalAveragePool", shape_of(DIMS(2, 3, 50)), 0x4, true, 13, false);
}

static void check_arg(bool least, bool last, int32_t axis, bool keep) {
    tm_shape in = shape_of(DIMS(3, 5, 4)), out = {.rank = 0};
    size_t inner = 1, n = (size_t)in.dim[axis], at = 0;
    for (int32_t d = axis + 1; d < 3; d++) inner *= (size_t)in.dim[d];
    for (int32_t d = 0; d < 3; d++)
        if (d != axis || keep) out.dim[out.rank++] = d == axis ? 1 : in.dim[d];
    float *x = test_noise(3, 60, 0, 4), *expected = malloc(sizeof *expected * 60);
    for (size_t i = 0; i < 60; i++) x[i] = (float)(int)x[i];  // many equal elements
    for (size_t line = 0; line < 60 / n; line++) {
        size_t base = line / inner * n * inner + line % inner, best = 0;
        for (size_t k = 1; k < n; k++) {
            float v = x[base + k * inner], b = x[base + best * inner];
            if ((least ? v < b : v > b) || (last && v == b)) best = k;
        }
        expected[at++] = (float)best;
    }
    op_case c = op_begin(13);
    op_input(&c, "x", TM_FLOAT32, in, x);
    onnx_node *node = onnx_add(c.model, least ? "ArgMin" : "ArgMax", "x", "y");
    onnx_int(c.model, node, "axis", axis);
    onnx_int(c.model, node, "keepdims", keep);
    onnx_int(c.model, node, "select_last_index", last);
    op_check(&c, &out, expected, 0);
    free(x);
}

static void test_arg(void **state) {
    (void)state;
    for (int i = 0; i < 12; i++) check_arg(i & 1, i & 2, i % 3, i & 4);
}

static void check_softmax(const char *type, int64_t opset, tm_shape in, int32_t axis, tm_shape seen, int32_t line) {
    float *x = test_noise(3, elements(&in), -30, 30);
    op_case c = op_begin(opset);
    op_input_any(&c, "x", in, x, true);
    onnx_int(c.model, onnx_add(c.model, type, "x", "y"), "axis", axis);
    op_check(&c, &in, ref_softmax(x, seen, line, !strcmp(type, "LogSoftmax")), 1e-5);
    free(x);
}

static void test_softmax(void **state) {
    (void)state;
    static const char *const types[] = {"Softmax", "LogSoftmax"};
    for (size_t t = 0; t < 2; t++) {
        tm_shape in = shape_of(DIMS(2, 5, 3, 4));
        for (int32_t axis = 0; axis < 4; axis++) check_softmax(types[t], 13, in, axis, in, axis);
        check_softmax(types[t], 11, in, 1, shape_of(DIMS(2, 60)), 1);
        check_softmax(types[t], 11, in, 2, shape_of(DIMS(10, 12)), 1);
        check_softmax(types[t], 13, shape_of(DIMS(1, 1000)), -1, shape_of(DIMS(1, 1000)), 1);
    }
}

// Longer than the rounds that Mesa's CPU driver allows a thread's loops.
static void test_long_lines(void **state) {
    (void)state;
    static const char *const types[] = {"ReduceSum", "ReduceMax", "ReduceLogSumExp"};
    tm_shape line = shape_of(DIMS(2, 100000));
    for (size_t t = 0; t < TM_ARRAY_LEN(types); t++) check_reduce(types[t], line, 0x2, true, 18, false);
    check_reduce("GlobalAveragePool", shape_of(DIMS(1, 4, 300, 300)), 0xc, true, 13, true);
    check_reduce("GlobalAveragePool", shape_of(DIMS(1, 4, 300, 300)), 0xc, true, 13, false);
    check_softmax("Softmax", 13, line, 1, line, 1);
    check_softmax("LogSoftmax", 13, line, 1, line, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reduce), cmocka_unit_test(test_global),
                                       cmocka_unit_test(test_arg), cmocka_unit_test(test_softmax),
                                       cmocka_unit_test(test_long_lines)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
