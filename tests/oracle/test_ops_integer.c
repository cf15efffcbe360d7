// Integers on the device: what each type holds, and that nothing beyond it passes for a result. The reference is C.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "onnx_build.h"
#include "support.h"

#define COUNT 6

static int64_t at(tm_dtype dtype, const void *data, size_t i) {
    switch (dtype) {
        case TM_INT8:
            return ((const int8_t *)data)[i];
        case TM_UINT8:
            return ((const uint8_t *)data)[i];
        case TM_INT16:
            return ((const int16_t *)data)[i];
        case TM_UINT16:
            return ((const uint16_t *)data)[i];
        case TM_INT32:
            return ((const int32_t *)data)[i];
        case TM_UINT32:
            return ((const uint32_t *)data)[i];
        default:
            return ((const int64_t *)data)[i];
    }
}

static void put(tm_dtype dtype, int64_t *memory, size_t i, int64_t value) {
    size_t size = dtype == TM_INT8 || dtype == TM_UINT8     ? 1
                  : dtype == TM_INT16 || dtype == TM_UINT16 ? 2
                  : dtype == TM_INT32 || dtype == TM_UINT32 ? 4
                                                            : 8;
    memcpy((char *)memory + i * size, &value, size);
}

typedef struct operand {
    tm_dtype dtype;
    size_t count;
    int64_t memory[COUNT];
} operand;

static operand integers(tm_dtype dtype, const int64_t *values, size_t count) {
    operand o = {dtype, count, {0}};
    for (size_t i = 0; i < count; i++) put(dtype, o.memory, i, values[i]);
    return o;
}

// Runs a model of inputs "a" (and "b") and output "y". expected NULL: it must fail, with `message`.
static void run(onnx_model *model, const operand *operands, size_t count, tm_dtype dtype, const int64_t *expected,
                size_t results, const char *message) {
    static const char *const names[] = {"a", "b"};
    tm_host_tensor inputs[2], y = {0};
    for (size_t i = 0; i < count; i++) {
        int64_t dim = (int64_t)operands[i].count;
        onnx_input(model, names[i], operands[i].dtype, 1, &dim);
        inputs[i] = onnx_value(operands[i].dtype, 1, &dim, operands[i].memory);
    }
    onnx_output(model, "y");
    tm_graph *graph = onnx_load(model, test_gpu());
    tm_error err = TAGMASK_ERROR_INIT;
    for (int round = 0; round < 2; round++) {  // an alarm does not outlive its run
        tagmask_status status = tm_graph_run(graph, inputs, count, &y, &err);
        if (!expected) {
            assert_int_equal(status, TAGMASK_ERROR_UNSUPPORTED);
            assert_non_null(strstr(err.message, message));
            assert_non_null(strstr(err.message, "node '"));
            continue;
        }
        assert_ok(status, &err);
        assert_int_equal(y.dtype, dtype);
        for (size_t i = 0; i < results; i++) assert_int_equal(at(dtype, y.data, i), expected[i]);
        free(y.data);
    }
    tm_graph_free(graph);
    onnx_free(model);
}

static void check(const char *type, tm_dtype dtype, const int64_t *a, const int64_t *b, const int64_t *expected) {
    operand operands[2] = {integers(dtype, a, COUNT), integers(dtype, b ? b : a, COUNT)};
    onnx_model *model = onnx_new(14);
    onnx_add(model, type, b ? "a,b" : "a", "y");
    run(model, operands, b ? 2 : 1, dtype, expected, COUNT,
        !strcmp(type, "Div") || !strcmp(type, "Mod") ? "divided by zero" : "does not fit 32 bits");
}

static void test_powers(void **state) {
    (void)state;
    static const int64_t a[COUNT] = {2, -1, -1, 1, -3, 0}, b[COUNT] = {-1, -3, -2, -5, 3, 0};
    check("Pow", TM_INT32, a, b, (const int64_t[]){0, -1, 1, 1, -27, 1});
    check("Pow", TM_INT64, a, b, (const int64_t[]){0, -1, 1, 1, -27, 1});
}

static void test_narrow_types_wrap(void **state) {
    (void)state;
    static const tm_dtype types[] = {TM_INT8, TM_UINT8, TM_INT16, TM_UINT16};
    static const int64_t a[COUNT] = {120, 3, 100, 7, 1, 127}, b[COUNT] = {100, 5, 100, 9, 1, 127};
    for (size_t t = 0; t < TM_ARRAY_LEN(types); t++) {
        int64_t memory[COUNT], sum[COUNT], difference[COUNT], product[COUNT];
        for (size_t i = 0; i < COUNT; i++) {
            put(types[t], memory, 0, a[i] + b[i]);
            sum[i] = at(types[t], memory, 0);
            put(types[t], memory, 0, a[i] - b[i]);
            difference[i] = at(types[t], memory, 0);
            put(types[t], memory, 0, a[i] * b[i]);
            product[i] = at(types[t], memory, 0);
        }
        check("Add", types[t], a, b, sum);
        check("Sub", types[t], a, b, difference);
        check("Mul", types[t], a, b, product);
    }
    // Not only when it is read back: what follows sees the wrapped value.
    operand operands[2] = {integers(TM_INT8, a, COUNT), integers(TM_INT8, b, COUNT)};
    onnx_model *model = onnx_new(14);
    onnx_add(model, "Add", "a,b", "sum");
    onnx_int(model, onnx_add(model, "Cast", "sum", "y"), "to", TM_INT32);
    run(model, operands, 2, TM_INT32, (const int64_t[]){-36, 8, -56, 16, 2, -2}, COUNT, NULL);
}

static void test_wide_types_alarm(void **state) {
    (void)state;
    static const int64_t near[COUNT] = {INT32_MAX, 0, 0, 0, 0, 0}, least[COUNT] = {0, 0, INT32_MIN, 0, 0, 0};
    static const int64_t ones[COUNT] = {1, 1, 1, 1, 1, 1}, big[COUNT] = {0, 0, 0, 0, 0, 65536};
    static const int64_t fits[COUNT] = {46340, -46340, INT32_MAX, INT32_MIN, 0, -1},
                         small[COUNT] = {46340, 46340, 1, 1, 5, -1};
    check("Add", TM_INT64, near, ones, NULL);
    check("Sub", TM_INT64, least, ones, NULL);
    check("Mul", TM_INT64, big, big, NULL);
    check("Pow", TM_INT64, big, (const int64_t[]){1, 1, 1, 1, 1, 2}, NULL);
    check("Neg", TM_INT64, least, NULL, NULL);
    check("Abs", TM_INT64, least, NULL, NULL);
    check("Sub", TM_UINT32, ones, big, NULL);
    check("Mul", TM_INT64, fits, small,
          (const int64_t[]){46340LL * 46340, -46340LL * 46340, INT32_MAX, INT32_MIN, 0, 1});
    // int32 wraps, by its own definition.
    check("Add", TM_INT32, near, ones, (const int64_t[]){INT32_MIN, 1, 1, 1, 1, 1});
}

static void test_division_by_zero(void **state) {
    (void)state;
    static const int64_t a[COUNT] = {7, -7, 7, -7, 6, 0}, b[COUNT] = {2, 2, -2, -2, 3, 5}, zero[COUNT] = {1, 1, 1, 0};
    check("Div", TM_INT32, a, b, (const int64_t[]){3, -3, -3, 3, 2, 0});
    check("Mod", TM_INT32, a, b, (const int64_t[]){1, 1, -1, -1, 0, 0});
    check("Div", TM_INT32, a, zero, NULL);
    check("Mod", TM_INT64, a, zero, NULL);
}

static void test_sums(void **state) {
    (void)state;
    static const int64_t a[COUNT] = {INT32_MAX - 3, 1, 1, 1, 0, 0}, over[COUNT] = {INT32_MAX - 3, 1, 1, 1, 1, 0};
    static const int64_t bytes[COUNT] = {100, 100, 100, 0, 0, 0};
    for (int wide = 0; wide < 3; wide++) {
        operand o = wide < 2 ? integers(TM_INT64, wide ? over : a, COUNT) : integers(TM_UINT8, bytes, COUNT);
        onnx_model *model = onnx_new(13);
        onnx_add(model, "ReduceSum", "a", "y");
        run(model, &o, 1, o.dtype,
            wide == 1 ? NULL
            : wide    ? (const int64_t[]){44}
                      : (const int64_t[]){INT32_MAX},
            1, "does not fit 32 bits");
    }
}

static void test_casts(void **state) {
    (void)state;
    static const float values[5] = {3e9f, -3e9f, -2147483648.0f, 2.9f, -2.9f},
                       fits[5] = {-2147483648.0f, 2.9f, 0, 1, 2};
    operand real = {TM_FLOAT32, 5, {0}};
    memcpy(real.memory, values, sizeof values);
    for (int pass = 0; pass < 4; pass++) {
        if (pass == 2) memcpy(real.memory, fits, sizeof fits);
        if (pass == 3) ((float *)real.memory)[4] = NAN;
        static const int64_t saturated[5] = {INT32_MAX, INT32_MIN, INT32_MIN, 2, -2}, same[5] = {INT32_MIN, 2, 0, 1, 2};
        tm_dtype to = pass ? TM_INT64 : TM_INT32;
        onnx_model *model = onnx_new(13);
        onnx_int(model, onnx_add(model, "Cast", "a", "y"), "to", to);
        run(model, &real, 1, to, pass == 0 ? saturated : pass == 2 ? same : NULL, 5, "does not fit 32 bits");
    }
}

static void test_indices(void **state) {
    (void)state;
    static const int64_t data[COUNT] = {10, 11, 12, 13, 14, 15}, good[3] = {-6, 5, 0}, bad[3] = {0, 6, 1},
                         low[3] = {-7};
    const int64_t *const given[] = {good, bad, low};
    for (size_t i = 0; i < TM_ARRAY_LEN(given); i++) {
        operand operands[2] = {integers(TM_INT64, data, COUNT), integers(TM_INT64, given[i], 3)};
        onnx_model *model = onnx_new(13);
        onnx_add(model, "Gather", "a,b", "y");
        run(model, operands, 2, TM_INT64, i ? NULL : (const int64_t[]){10, 15, 10}, 3, "outside of the axis");
        // Constants are refused as soon as the axis is known.
        model = onnx_new(13);
        onnx_input(model, "a", TM_INT64, DIMS(COUNT));
        onnx_constant(model, "b", TM_INT64, DIMS(3), given[i]);
        onnx_add(model, "Gather", "a,b", "y");
        onnx_output(model, "y");
        tm_graph *graph = onnx_load(model, test_gpu());
        tm_host_tensor input = onnx_value(TM_INT64, DIMS(COUNT), data), y;
        tm_error err = TAGMASK_ERROR_INIT;
        tagmask_status status = tm_graph_run(graph, &input, 1, &y, &err);
        assert_int_equal(status, i ? TAGMASK_ERROR_FORMAT : TAGMASK_OK);
        if (!i) free(y.data);
        if (i) assert_non_null(strstr(err.message, i == 1 ? "index 1 is 6; expected -6 to 5" : "index 0 is -7"));
        tm_graph_free(graph);
        onnx_free(model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_powers),
        cmocka_unit_test(test_narrow_types_wrap),
        cmocka_unit_test(test_wide_types_alarm),
        cmocka_unit_test(test_division_by_zero),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_casts),
        cmocka_unit_test(test_indices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
