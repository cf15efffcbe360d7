// The host evaluators: what operators give when everything they read is known without a device.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnx_build.h"
#include "support.h"

// Plans a model without inputs and returns its first output's host value; the graph is freed by `done`.
static tm_graph *planned;

static const tm_host_tensor *fold(onnx_model *model) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_plan *plan;
    planned = onnx_load(model, NULL);
    assert_ok(tm_graph_plan(planned, NULL, 0, &plan, &err), &err);
    onnx_free(model);
    const tm_host_tensor *value = tm_plan_output_host(plan, 0);
    assert_non_null(value);
    return value;
}

static void done(void) {
    tm_graph_free(planned);
    planned = NULL;
}

static void expect(onnx_model *model, tm_dtype dtype, size_t rank, const int64_t *dims, const void *data,
                   size_t bytes) {
    const tm_host_tensor *value = fold(model);
    assert_int_equal(value->dtype, dtype);
    assert_int_equal(value->shape.rank, rank);
    for (size_t d = 0; d < rank; d++) assert_int_equal(value->shape.dim[d], dims[d]);
    if (bytes) assert_memory_equal(value->data, data, bytes);
    done();
}
#define EXPECT(model, dtype, array, ...) expect(model, dtype, __VA_ARGS__, array, sizeof(array))

static void expect_failure(onnx_model *model, const char *part) {
    size_t size;
    uint8_t *bytes = onnx_bytes(model, &size);
    onnx_free(model);
    tm_graph *graph = NULL;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_int_not_equal(tm_graph_load_memory(NULL, bytes, size, "m", NULL, 0, &graph, &err), TAGMASK_OK);
    free(bytes);
    if (!strstr(err.message, part)) fail_msg("expected '%s' in: %s", part, err.message);
}

static onnx_model *unary(const char *op, tm_dtype dtype, size_t count, const void *data) {
    onnx_model *m = onnx_new(18);
    const int64_t dims[] = {(int64_t)count};
    onnx_constant(m, "a", dtype, 1, dims, data);
    onnx_add(m, op, "a", "y");
    onnx_output(m, "y");
    return m;
}

// a: 2x3, b: 3.
static onnx_model *binary(const char *op, tm_dtype dtype, const void *a, const void *b) {
    onnx_model *m = onnx_new(18);
    onnx_constant(m, "a", dtype, DIMS(2, 3), a);
    onnx_constant(m, "b", dtype, DIMS(3), b);
    onnx_add(m, op, "a,b", "y");
    onnx_output(m, "y");
    return m;
}

static void unary_operators(void **state) {
    (void)state;
    const int64_t whole[] = {-3, 0, 7};
    const int64_t negated[] = {3, 0, -7}, absolute[] = {3, 0, 7};
    EXPECT(unary("Neg", TM_INT64, 3, whole), TM_INT64, negated, DIMS(3));
    EXPECT(unary("Abs", TM_INT64, 3, whole), TM_INT64, absolute, DIMS(3));
    const float real[] = {-2.5f, 0, 2.25f, 3.5f};
    const float floors[] = {-3, 0, 2, 3}, ceils[] = {-2, 0, 3, 4}, rounded[] = {-2, 0, 2, 4}, roots[] = {0, 1.5f};
    EXPECT(unary("Floor", TM_FLOAT32, 4, real), TM_FLOAT32, floors, DIMS(4));
    EXPECT(unary("Round", TM_FLOAT32, 4, real), TM_FLOAT32, rounded, DIMS(4));
    const tm_host_tensor *value = fold(unary("Ceil", TM_FLOAT32, 4, real));
    for (size_t i = 0; i < 4; i++) assert_true(((float *)value->data)[i] == ceils[i]);  // -0 for some
    done();
    EXPECT(unary("Sqrt", TM_FLOAT32, 2, real + 1), TM_FLOAT32, roots, DIMS(2));
    const uint8_t truth[] = {1, 0}, opposite[] = {0, 1};
    EXPECT(unary("Not", TM_BOOL, 2, truth), TM_BOOL, opposite, DIMS(2));
}

static void binary_operators(void **state) {
    (void)state;
    const int64_t a[] = {7, -7, 9, INT64_MIN, 0, 4}, b[] = {3, 3, -1};
    const int64_t sum[] = {10, -4, 8, INT64_MIN + 3, 3, 3}, quotient[] = {2, -2, -9, INT64_MIN / 3, 0, -4};
    const int64_t modulo[] = {1, 2, 0, 1, 0, 0}, least[] = {3, -7, -1, INT64_MIN, 0, -1};
    EXPECT(binary("Add", TM_INT64, a, b), TM_INT64, sum, DIMS(2, 3));
    EXPECT(binary("Div", TM_INT64, a, b), TM_INT64, quotient, DIMS(2, 3));
    EXPECT(binary("Mod", TM_INT64, a, b), TM_INT64, modulo, DIMS(2, 3));
    EXPECT(binary("Min", TM_INT64, a, b), TM_INT64, least, DIMS(2, 3));
    const uint8_t greater[] = {1, 0, 1, 0, 0, 1};
    EXPECT(binary("Greater", TM_INT64, a, b), TM_BOOL, greater, DIMS(2, 3));
    const int32_t small[] = {2, -2, 3, 0, 1, -1}, exponents[] = {3, 2, 0}, powers[] = {8, 4, 1, 0, 1, 1};
    EXPECT(binary("Pow", TM_INT32, small, exponents), TM_INT32, powers, DIMS(2, 3));
    const float x[] = {1, 2, 3, 4, 5, 6}, y[] = {2, 4, 8}, divided[] = {0.5f, 0.5f, 0.375f, 2, 1.25f, 0.75f};
    EXPECT(binary("Div", TM_FLOAT32, x, y), TM_FLOAT32, divided, DIMS(2, 3));
    const int64_t zeros[] = {1, 0, 1};
    expect_failure(binary("Div", TM_INT64, a, zeros), "divided by zero");
    const int64_t overflow[] = {INT64_MIN, 1, 1}, minus[] = {-1, -1, -1};
    onnx_model *m = onnx_new(18);
    onnx_constant(m, "a", TM_INT64, DIMS(3), overflow);
    onnx_constant(m, "b", TM_INT64, DIMS(3), minus);
    onnx_add(m, "Div", "a,b", "y");
    onnx_output(m, "y");
    const int64_t wrapped[] = {INT64_MIN, -1, -1};
    EXPECT(m, TM_INT64, wrapped, DIMS(3));
}

static void selections_and_casts(void **state) {
    (void)state;
    const uint8_t condition[] = {1, 0};
    const int64_t a[] = {1, 2, 3, 4}, b[] = {-1};
    onnx_model *m = onnx_new(18);
    onnx_constant(m, "c", TM_BOOL, DIMS(2, 1), condition);
    onnx_constant(m, "a", TM_INT64, DIMS(2, 2), a);
    onnx_constant(m, "b", TM_INT64, DIMS(1), b);
    onnx_add(m, "Where", "c,a,b", "y");
    onnx_output(m, "y");
    const int64_t chosen[] = {1, 2, -1, -1};
    EXPECT(m, TM_INT64, chosen, DIMS(2, 2));

    const float real[] = {-2.75f, 0, 3.99f, 1e30f};
    const struct {
        tm_dtype to;
        const void *expected;
        size_t bytes;
    } casts[] = {{TM_INT64, (int64_t[]){-2, 0, 3, INT64_MAX}, 32}, {TM_BOOL, (uint8_t[]){1, 0, 1, 1}, 4}};
    for (size_t i = 0; i < TM_ARRAY_LEN(casts); i++) {
        m = onnx_new(18);
        onnx_constant(m, "a", TM_FLOAT32, DIMS(4), real);
        onnx_int(m, onnx_add(m, "Cast", "a", "y"), "to", casts[i].to);
        onnx_output(m, "y");
        expect(m, casts[i].to, DIMS(4), casts[i].expected, casts[i].bytes);
    }
}

// ---- Moving elements.
static const int64_t counted[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

static onnx_model *of_counted(const char *op, const char *inputs, onnx_node **node) {
    onnx_model *m = onnx_new(18);
    onnx_constant(m, "a", TM_INT64, DIMS(3, 4), counted);
    *node = onnx_add(m, op, inputs, "y");
    onnx_output(m, "y");
    return m;
}

static void slices(void **state) {
    (void)state;
    static const struct {
        int64_t start, end, step, axis;
        int64_t rows, columns, expected[12];
    } cases[] = {{1, 3, 1, 0, 2, 4, {4, 5, 6, 7, 8, 9, 10, 11}},
                 {-1, INT64_MIN, -2, 1, 3, 2, {3, 1, 7, 5, 11, 9}},
                 {0, INT64_MAX, INT64_MAX, 1, 3, 1, {0, 4, 8}},
                 {5, 2, 1, 0, 0, 4, {0}},
                 {-100, 100, 3, -1, 3, 2, {0, 3, 4, 7, 8, 11}}};
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        onnx_node *node;
        onnx_model *m = of_counted("Slice", "a,s,e,x,p", &node);
        onnx_constant(m, "s", TM_INT64, DIMS(1), &cases[i].start);
        onnx_constant(m, "e", TM_INT64, DIMS(1), &cases[i].end);
        onnx_constant(m, "x", TM_INT64, DIMS(1), &cases[i].axis);
        onnx_constant(m, "p", TM_INT64, DIMS(1), &cases[i].step);
        expect(m, TM_INT64, DIMS(cases[i].rows, cases[i].columns), cases[i].expected,
               (size_t)(cases[i].rows * cases[i].columns) * 8);
    }
    onnx_node *node;
    onnx_model *m = of_counted("Slice", "a,s,e,x,s", &node);
    const int64_t zero = 0, axis = 7;
    onnx_constant(m, "s", TM_INT64, DIMS(1), &zero);
    onnx_constant(m, "e", TM_INT64, DIMS(1), &axis);
    onnx_constant(m, "x", TM_INT64, DIMS(1), &zero);
    expect_failure(m, "step");
}

static void gathers_transposes_and_tiles(void **state) {
    (void)state;
    onnx_node *node;
    const int64_t indices[] = {-1, 0}, picked[] = {3, 0, 7, 4, 11, 8};
    onnx_model *m = of_counted("Gather", "a,i", &node);
    onnx_constant(m, "i", TM_INT64, DIMS(2), indices);
    onnx_int(m, node, "axis", 1);
    EXPECT(m, TM_INT64, picked, DIMS(3, 2));
    m = of_counted("Gather", "a,i", &node);
    onnx_constant(m, "i", TM_INT64, SCALAR, (int64_t[]){4});
    expect_failure(m, "4");

    const int64_t turned[] = {0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11};
    EXPECT(of_counted("Transpose", "a", &node), TM_INT64, turned, DIMS(4, 3));

    m = onnx_new(18);
    onnx_constant(m, "a", TM_INT64, DIMS(1, 2), counted);
    onnx_constant(m, "r", TM_INT64, DIMS(2), (int64_t[]){2, 2});
    onnx_add(m, "Tile", "a,r", "y");
    onnx_output(m, "y");
    const int64_t tiled[] = {0, 1, 0, 1, 0, 1, 0, 1};
    EXPECT(m, TM_INT64, tiled, DIMS(2, 4));

    m = onnx_new(18);
    onnx_constant(m, "a", TM_INT64, DIMS(2, 1), counted);
    onnx_constant(m, "s", TM_INT64, DIMS(3), (int64_t[]){2, 1, 2});
    onnx_add(m, "Expand", "a,s", "y");
    onnx_output(m, "y");
    const int64_t expanded[] = {0, 0, 1, 1, 0, 0, 1, 1};
    EXPECT(m, TM_INT64, expanded, DIMS(2, 2, 2));
}

static void concatenations_and_splits(void **state) {
    (void)state;
    onnx_node *node;
    onnx_model *m = of_counted("Concat", "a,b,a", &node);
    onnx_constant(m, "b", TM_INT64, DIMS(3, 1), (int64_t[]){-1, -2, -3});
    onnx_int(m, node, "axis", -1);
    const int64_t joined[] = {0, 1, 2, 3, -1, 0, 1, 2, 3, 4, 5, 6, 7, -2, 4, 5, 6, 7, 8, 9, 10, 11, -3, 8, 9, 10, 11};
    EXPECT(m, TM_INT64, joined, DIMS(3, 9));
    m = onnx_new(13);
    onnx_constant(m, "a", TM_INT64, DIMS(3, 4), counted);
    onnx_constant(m, "parts", TM_INT64, DIMS(2), (int64_t[]){1, 3});
    onnx_int(m, onnx_add(m, "Split", "a,parts", "left,y"), "axis", 1);
    onnx_output(m, "y");
    const int64_t right[] = {1, 2, 3, 5, 6, 7, 9, 10, 11};
    EXPECT(m, TM_INT64, right, DIMS(3, 3));
}

static void reductions(void **state) {
    (void)state;
    static const struct {
        const char *op;
        int64_t expected[3];
    } cases[] = {{"ReduceSum", {6, 22, 38}},
                 {"ReduceMax", {3, 7, 11}},
                 {"ReduceMin", {0, 4, 8}},
                 {"ReduceProd", {0, 840, 7920}}};
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        onnx_node *node;
        onnx_model *m = of_counted(cases[i].op, "a,axes", &node);
        onnx_constant(m, "axes", TM_INT64, DIMS(1), (int64_t[]){-1});
        onnx_int(m, node, "keepdims", 0);
        EXPECT(m, TM_INT64, cases[i].expected, DIMS(3));
    }
}

// ---- Sources and views.
static void shapes_constants_and_ranges(void **state) {
    (void)state;
    onnx_node *node;
    onnx_model *m = of_counted("Shape", "a", &node);
    onnx_int(m, node, "start", -1);
    EXPECT(m, TM_INT64, ((const int64_t[]){4}), DIMS(1));
    EXPECT(of_counted("Size", "a", &node), TM_INT64, ((const int64_t[]){12}), SCALAR);

    m = onnx_new(18);
    onnx_constant(m, "s", TM_INT64, DIMS(2), (int64_t[]){2, 2});
    onnx_tensor(m, onnx_add(m, "ConstantOfShape", "s", "y"), "value", TM_INT32, DIMS(1), (int32_t[]){7});
    onnx_output(m, "y");
    EXPECT(m, TM_INT32, ((const int32_t[]){7, 7, 7, 7}), DIMS(2, 2));

    const struct {
        int64_t start, limit, delta, count, expected[4];
    } ranges[] = {{1, 8, 2, 4, {1, 3, 5, 7}}, {5, -1, -3, 2, {5, 2}}, {3, 3, 1, 0, {0}}};
    for (size_t i = 0; i < TM_ARRAY_LEN(ranges); i++) {
        m = onnx_new(18);
        onnx_constant(m, "s", TM_INT64, SCALAR, &ranges[i].start);
        onnx_constant(m, "l", TM_INT64, SCALAR, &ranges[i].limit);
        onnx_constant(m, "d", TM_INT64, SCALAR, &ranges[i].delta);
        onnx_add(m, "Range", "s,l,d", "y");
        onnx_output(m, "y");
        expect(m, TM_INT64, DIMS(ranges[i].count), ranges[i].expected, (size_t)ranges[i].count * 8);
    }
    m = onnx_new(18);
    onnx_constant(m, "s", TM_INT64, SCALAR, (int64_t[]){0});
    onnx_add(m, "Range", "s,s,s", "y");
    onnx_output(m, "y");
    expect_failure(m, "no range");
}

static void views(void **state) {
    (void)state;
    static const struct {
        const char *op;
        size_t count;
        int64_t operand[4];
        size_t rank;
        int64_t dims[5];
    } cases[] = {{"Reshape", 3, {2, -1, 2}, 3, {2, 3, 2}},
                 {"Reshape", 3, {0, 2, -1}, 3, {3, 2, 2}},
                 {"Reshape", 1, {-1}, 1, {12}},
                 {"Unsqueeze", 2, {0, -1}, 4, {1, 3, 4, 1}},
                 {"Unsqueeze", 1, {1}, 3, {3, 1, 4}}};
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        onnx_node *node;
        onnx_model *m = of_counted(cases[i].op, "a,o", &node);
        const int64_t count[] = {(int64_t)cases[i].count};
        onnx_constant(m, "o", TM_INT64, 1, count, cases[i].operand);
        expect(m, TM_INT64, cases[i].rank, cases[i].dims, counted, sizeof counted);
    }
    const struct {
        const char *op;
        size_t count;
        int64_t operand[3];
        const char *part;
    } bad[] = {{"Reshape", 2, {5, -1}, "cannot be reshaped"},
               {"Reshape", 2, {-1, -1}, "dimension 1 is -1"},
               {"Reshape", 2, {-2, 6}, "dimension 0 is -2"},
               {"Reshape", 2, {INT64_MAX, INT64_MAX}, "new shape"},
               {"Squeeze", 1, {0}, "only 1 can be squeezed"},
               {"Unsqueeze", 2, {1, 1}, "given twice"},
               {"Unsqueeze", 1, {9}, "axis is 9"}};
    for (size_t i = 0; i < TM_ARRAY_LEN(bad); i++) {
        onnx_node *node;
        onnx_model *m = of_counted(bad[i].op, "a,o", &node);
        const int64_t count[] = {(int64_t)bad[i].count};
        onnx_constant(m, "o", TM_INT64, 1, count, bad[i].operand);
        expect_failure(m, bad[i].part);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary_operators),
        cmocka_unit_test(binary_operators),
        cmocka_unit_test(selections_and_casts),
        cmocka_unit_test(slices),
        cmocka_unit_test(gathers_transposes_and_tiles),
        cmocka_unit_test(concatenations_and_splits),
        cmocka_unit_test(reductions),
        cmocka_unit_test(shapes_constants_and_ranges),
        cmocka_unit_test(views),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
