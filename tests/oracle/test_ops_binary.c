// Elementwise operators of two and more inputs: every way of broadcasting, in both layouts.
#include <stdlib.h>
#include <string.h>

#include "op_case.h"
#include "ref_ops.h"

static void check_binary(const char *type, tm_shape sa, tm_shape sb, bool a_c4, bool b_c4) {
    float low = !strcmp(type, "Pow") || !strcmp(type, "Div") || !strcmp(type, "Mod") ? 0.5f : -3.0f;
    float *a = test_noise(3, elements(&sa), low, 3), *b = test_noise(4, elements(&sb), low, 3);
    tm_shape out;
    float *expected = ref_binary(type, a, sa, b, sb, &out);
    op_case c = op_begin(14);
    op_input_any(&c, "a", sa, a, a_c4);
    op_input_any(&c, "b", sb, b, b_c4);
    onnx_node *node = onnx_add(c.model, type, "a,b", "y");
    if (!strcmp(type, "Mod")) onnx_int(c.model, node, "fmod", 1);
    op_check(&c, &out, expected, 1e-4);
    free(a);
    free(b);
}

static void test_operations(void **state) {
    (void)state;
    static const char *const types[] = {
        "Add",         "Sub", "Mul", "Div", "Pow", "Min", "Max", "PRelu", "Greater", "Less", "GreaterOrEqual",
        "LessOrEqual", "Mod"};
    for (size_t i = 0; i < TM_ARRAY_LEN(types); i++) {
        check_binary(types[i], shape_of(DIMS(2, 5, 3, 4)), shape_of(DIMS(2, 5, 3, 4)), true, true);
        check_binary(types[i], shape_of(DIMS(2, 5, 3, 4)), shape_of(DIMS(1, 5, 1, 1)), true, true);
        check_binary(types[i], shape_of(DIMS(2, 5, 3, 4)), shape_of(DIMS(5, 1, 1)), true, false);
        check_binary(types[i], shape_of(DIMS(2, 5, 3, 4)), shape_of(DIMS(5, 1, 1)), false, false);
        check_binary(types[i], shape_of(DIMS(3, 7)), shape_of(DIMS(1)), false, false);
    }
}

static void test_shapes(void **state) {
    (void)state;
    const tm_shape x = shape_of(DIMS(2, 6, 3, 5));
    const tm_shape others[] = {
        shape_of(DIMS(2, 6, 3, 5)), shape_of(DIMS(1, 6, 3, 5)), shape_of(DIMS(2, 1, 3, 5)), shape_of(DIMS(2, 6, 1, 5)),
        shape_of(DIMS(2, 6, 3, 1)), shape_of(DIMS(2, 6, 1, 1)), shape_of(DIMS(1, 1, 1, 1)), shape_of(DIMS(1, 1, 3, 1)),
        shape_of(DIMS(6, 1, 1)),    shape_of(DIMS(3, 5)),       shape_of(DIMS(5)),          shape_of(DIMS(1, 5)),
    };
    for (size_t i = 0; i < TM_ARRAY_LEN(others); i++) {
        for (int layouts = 0; layouts < 4; layouts++) {
            check_binary("Sub", x, others[i], layouts & 1, layouts & 2);
            check_binary("Sub", others[i], x, layouts & 1, layouts & 2);
        }
    }
    // Both sides broadcast.
    // Rows and columns of linear tensors, in whole vectors and not, on either side and on both.
    static const tm_shape parts[] = {{2, {1, 12}}, {2, {6, 1}}, {1, {12}}, {3, {3, 6, 1}}, {3, {3, 1, 12}}};
    for (size_t i = 0; i < TM_ARRAY_LEN(parts); i++) {
        check_binary("Sub", shape_of(DIMS(3, 6, 12)), parts[i], false, false);
        check_binary("Div", parts[i], shape_of(DIMS(3, 6, 12)), false, false);
    }
    check_binary("Mul", shape_of(DIMS(7, 1)), shape_of(DIMS(1, 8)), false, false);
    check_binary("Sub", shape_of(DIMS(1, 8)), shape_of(DIMS(7, 1)), false, false);
    check_binary("Sub", shape_of(DIMS(7, 10)), shape_of(DIMS(10)), false, false);
    check_binary("Sub", shape_of(DIMS(7, 10)), shape_of(DIMS(7, 1)), false, false);
    check_binary("Sub", shape_of(DIMS(5, 4, 8)), shape_of(DIMS(5, 1, 8)), false, false);
    check_binary("Sub", shape_of(DIMS(300, 384)), shape_of(DIMS(300, 1)), false, false);
    check_binary("Sub", shape_of(DIMS(4, 1, 3)), shape_of(DIMS(2, 1, 5, 1)), false, false);
    check_binary("Mul", shape_of(DIMS(1, 6, 1, 5)), shape_of(DIMS(2, 1, 3, 1)), true, true);
    check_binary("Sub", shape_of(DIMS(2, 1, 2, 1, 2, 1, 2)), shape_of(DIMS(2, 1, 3, 1, 2, 1, 3, 1)), false, false);
}

static void test_negative_powers(void **state) {
    (void)state;
    static const float a[8] = {-2, -2, -2, 0, 3, 2, -3, 4}, b[8] = {3, 2, -1, 2, 0, 0.5f, 0, -0.5f};
    tm_shape shape = shape_of(DIMS(8)), out;
    float *expected = ref_binary("Pow", a, shape, b, shape, &out);
    op_case c = op_begin(13);
    op_input(&c, "a", TM_FLOAT32, shape, a);
    op_input(&c, "b", TM_FLOAT32, shape, b);
    onnx_add(c.model, "Pow", "a,b", "y");
    op_check(&c, &shape, expected, 1e-5);
}

// A constant exponent of two.
static void test_squares(void **state) {
    (void)state;
    tm_shape shape = shape_of(DIMS(3, 7));
    float *x = test_noise(1, elements(&shape), -3, 3), *expected = malloc(sizeof *expected * elements(&shape));
    for (size_t i = 0; i < elements(&shape); i++) expected[i] = x[i] * x[i];
    op_case c = op_begin(13);
    op_input(&c, "a", TM_FLOAT32, shape, x);
    op_scalar(&c, "two", 2);
    onnx_add(c.model, "Pow", "a,two", "y");
    op_check(&c, &shape, expected, 1e-6);
    free(x);
}

static void test_powers_of_mixed_types(void **state) {
    (void)state;
    static const float f[4] = {0.5f, 2, -2, 3}, real[4] = {0.125f, 4, -0.5f, 81}, whole[4] = {1, 4, 1, 64};
    static const int32_t i[4] = {3, 2, -1, 4};
    tm_shape shape = shape_of(DIMS(4));
    for (int integer_base = 0; integer_base < 2; integer_base++) {
        op_case c = op_begin(13);
        op_input(&c, "f", TM_FLOAT32, shape, f);
        op_input(&c, "i", TM_INT32, shape, i);
        onnx_add(c.model, "Pow", integer_base ? "i,f" : "f,i", "y");
        float *expected = malloc(sizeof real);
        memcpy(expected, integer_base ? whole : real, sizeof real);
        op_check(&c, &shape, expected, 1e-5);
    }
}

static void test_variadic(void **state) {
    (void)state;
    static const char *const types[] = {"Sum", "Mean", "Min", "Max"};
    tm_shape shapes[3] = {shape_of(DIMS(2, 5, 3, 3)), shape_of(DIMS(2, 5, 3, 3)), shape_of(DIMS(5, 1, 1))};
    for (size_t t = 0; t < 8; t++) {
        const char *type = types[t / 2];
        if (t % 2)
            shapes[2] = shapes[0];
        else
            shapes[2] = shape_of(DIMS(5, 1, 1));
        float *x[3];
        op_case c = op_begin(13);
        static const char *const names[] = {"p", "q", "r"};
        for (size_t i = 0; i < 3; i++) {
            x[i] = test_noise(i, elements(&shapes[i]), -2, 2);
            op_input_any(&c, names[i], shapes[i], x[i], t % 2);
        }
        tm_shape out;
        const char *step = !strcmp(type, "Mean") ? "Sum" : type;
        float *first = ref_binary(step, x[0], shapes[0], x[1], shapes[1], &out);
        float *expected = ref_binary(step, first, out, x[2], shapes[2], &out);
        if (!strcmp(type, "Mean"))
            for (size_t i = 0; i < elements(&out); i++) expected[i] /= 3;
        onnx_add(c.model, type, "p,q,r", "y");
        op_check(&c, &out, expected, 1e-5);
        free(first);
        for (size_t i = 0; i < 3; i++) free(x[i]);
    }
}

static void test_integers(void **state) {
    (void)state;
    static const int32_t a[6] = {-7, 7, 9, -9, 4, 0}, b[6] = {3, -3, 3, -3, 5, 4};
    static const char *const types[] = {"Add", "Sub", "Mul", "Div", "Min", "Max", "Equal", "Greater", "Mod"};
    static const float expected[9][6] = {
        {-4, 4, 12, -12, 9, 4}, {-10, 10, 6, -6, -1, -4}, {-21, -21, 27, 27, 20, 0},
        {-2, -2, 3, 3, 0, 0},   {-7, -3, 3, -9, 4, 0},    {3, 7, 9, -3, 5, 4},
        {0, 0, 0, 0, 0, 0},     {0, 1, 1, 0, 0, 0},       {2, -2, 0, 0, 4, 0},
    };
    for (size_t i = 0; i < TM_ARRAY_LEN(types); i++) {
        tm_shape shape = shape_of(DIMS(6));
        op_case c = op_begin(13);
        op_input(&c, "a", TM_INT32, shape, a);
        op_input(&c, "b", TM_INT32, shape, b);
        onnx_add(c.model, types[i], "a,b", "y");
        float *copy = malloc(sizeof expected[i]);
        memcpy(copy, expected[i], sizeof expected[i]);
        op_check(&c, &shape, copy, 1e-6);
    }
}

static void test_where(void **state) {
    (void)state;
    tm_shape sc = shape_of(DIMS(4, 1)), sa = shape_of(DIMS(2, 4, 3)), sb = shape_of(DIMS(3)), out = sa;
    float *raw = test_noise(1, 4, -1, 1), *a = test_noise(2, 24, -1, 1), *b = test_noise(3, 3, -1, 1);
    raw[0] = 0;
    float *expected = malloc(sizeof *expected * 24);
    for (size_t i = 0; i < 24; i++) expected[i] = raw[i / 3 % 4] != 0 ? a[i] : b[i % 3];
    op_case c = op_begin(13);
    op_input(&c, "raw", TM_FLOAT32, sc, raw);
    op_input(&c, "a", TM_FLOAT32, sa, a);
    op_input(&c, "b", TM_FLOAT32, sb, b);
    onnx_int(c.model, onnx_add(c.model, "Cast", "raw", "condition"), "to", TM_BOOL);
    onnx_add(c.model, "Where", "condition,a,b", "y");
    op_check(&c, &out, expected, 1e-6);
    free(raw);
    free(a);
    free(b);
}

// More elements than 65,535 workgroups of one dimension hold.
static void test_wide(void **state) {
    (void)state;
    check_binary("Add", shape_of(DIMS(3, 1000, 1001)), shape_of(DIMS(1000, 1)), false, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operations),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_squares),
        cmocka_unit_test(test_negative_powers),
        cmocka_unit_test(test_powers_of_mixed_types),
        cmocka_unit_test(test_variadic),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_where),
        cmocka_unit_test(test_wide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
