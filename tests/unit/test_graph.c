// Passes, plans and memory: an optimized network gives what the same network gives when every inner tensor is kept as
// an output, which forbids every fusion.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/plan.h"
#include "onnx_build.h"
#include "support.h"

static tm_graph *load_with(const onnx_model *model, const char *const *extra, size_t extra_count) {
    size_t size;
    uint8_t *bytes = onnx_bytes(model, &size);
    tm_graph *graph = NULL;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_status status =
        tm_graph_load_memory(test_gpu(), bytes, size, "test model", extra, extra_count, &graph, &err);
    free(bytes);
    assert_ok(status, &err);
    return graph;
}

static void run_all(tm_graph *graph, const tm_host_tensor *inputs, size_t count, tm_host_tensor *outputs) {
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_graph_run(graph, inputs, count, outputs, &err), &err);
}

static size_t elements(const tm_host_tensor *tensor) {
    size_t count = 0;
    assert_true(tm_shape_count(&tensor->shape, &count));
    return count;
}

// Runs the model fused and with `extra` tensors kept; the outputs must agree. Returns how many dispatches the fused
// plan has.
static size_t compare_fused(const onnx_model *model, const tm_host_tensor *inputs, size_t count,
                            const char *const *extra, size_t extra_count) {
    tm_graph *fused = load_with(model, NULL, 0), *kept = load_with(model, extra, extra_count);
    tm_host_tensor a[1], b[16];
    assert_true(extra_count < TM_ARRAY_LEN(b));
    run_all(fused, inputs, count, a);
    run_all(kept, inputs, count, b);
    assert_true(tm_shape_equal(&a[0].shape, &b[0].shape));
    assert_close((float *)a[0].data, (float *)b[0].data, elements(&a[0]), 1e-5);
    size_t saved = tm_plan_get_stats(kept->plans).dispatches - tm_plan_get_stats(fused->plans).dispatches;
    free(a[0].data);
    for (size_t i = 0; i <= extra_count; i++) free(b[i].data);
    tm_graph_free(fused);
    tm_graph_free(kept);
    return saved;
}

static size_t nodes_after_passes(const onnx_model *model) {
    tm_graph *graph = load_with(model, NULL, 0);
    size_t count = graph->node_count;
    tm_graph_free(graph);
    return count;
}

static void add_noise(onnx_model *m, const char *name, uint64_t seed, float low, float high, size_t rank,
                      const int64_t *dims) {
    size_t count = 1;
    for (size_t i = 0; i < rank; i++) count *= (size_t)dims[i];
    float *data = test_noise(seed, count, low, high);
    onnx_constant(m, name, TM_FLOAT32, rank, dims, data);
    free(data);
}

// ---- Passes.
static void affine_maps_fold_into_convolutions(void **state) {
    (void)state;
    onnx_model *m = onnx_new(13);
    onnx_input(m, "x", TM_FLOAT32, DIMS(1, 3, 9, 7));
    add_noise(m, "w", 1, -1, 1, DIMS(5, 3, 3, 3));
    add_noise(m, "gamma", 2, 0.5f, 2, DIMS(5));
    add_noise(m, "beta", 3, -1, 1, DIMS(5));
    add_noise(m, "mean", 4, -1, 1, DIMS(5));
    add_noise(m, "variance", 5, 0.1f, 2, DIMS(5));
    add_noise(m, "factor", 6, -2, 2, DIMS(5, 1, 1));
    add_noise(m, "offset", 7, -1, 1, DIMS(1, 5, 1, 1));
    add_noise(m, "one", 8, 1.5f, 2, SCALAR);
    onnx_add(m, "Conv", "x,w", "c");
    onnx_add(m, "BatchNormalization", "c,gamma,beta,mean,variance", "n");
    onnx_add(m, "Mul", "factor,n", "p");
    onnx_add(m, "Sub", "offset,p", "s");
    onnx_add(m, "Div", "s,one", "d");
    onnx_add(m, "Relu", "d", "y");
    onnx_output(m, "y");
    assert_int_equal(nodes_after_passes(m), 1);
    float *x = test_noise(9, 3 * 9 * 7, -1, 1);
    tm_host_tensor input = onnx_value(TM_FLOAT32, DIMS(1, 3, 9, 7), x);
    const char *const extra[] = {"c", "n", "p", "s", "d"};
    assert_true(compare_fused(m, &input, 1, extra, TM_ARRAY_LEN(extra)) > 0);
    free(x);
    onnx_free(m);
}

static void affine_maps_fold_into_transposed_convolutions(void **state) {
    (void)state;
    onnx_model *m = onnx_new(13);
    onnx_input(m, "x", TM_FLOAT32, DIMS(1, 4, 5, 6));
    add_noise(m, "w", 1, -1, 1, DIMS(4, 3, 3, 3));  // two groups: six channels out
    add_noise(m, "b", 2, -1, 1, DIMS(6));
    add_noise(m, "factor", 3, -2, 2, DIMS(6, 1, 1));
    onnx_int(m, onnx_add(m, "ConvTranspose", "x,w,b", "c"), "group", 2);
    onnx_add(m, "Mul", "c,factor", "n");
    onnx_add(m, "Add", "n,factor", "y");
    onnx_output(m, "y");
    assert_int_equal(nodes_after_passes(m), 1);
    float *x = test_noise(9, 4 * 5 * 6, -1, 1);
    tm_host_tensor input = onnx_value(TM_FLOAT32, DIMS(1, 4, 5, 6), x);
    const char *const extra[] = {"c", "n"};
    assert_true(compare_fused(m, &input, 1, extra, TM_ARRAY_LEN(extra)) > 0);
    free(x);
    onnx_free(m);
}

static void affine_maps_fold_into_gemm(void **state) {
    (void)state;
    float *x = test_noise(9, 5 * 6, -1, 1);
    const char *const extra[] = {"c", "n"};
    for (int transposed = 0; transposed < 2; transposed++) {
        onnx_model *m = onnx_new(13);
        onnx_input(m, "x", TM_FLOAT32, DIMS(5, 6));
        if (transposed)
            add_noise(m, "w", 1, -1, 1, DIMS(7, 6));
        else
            add_noise(m, "w", 1, -1, 1, DIMS(6, 7));
        add_noise(m, "b", 2, -1, 1, DIMS(7));
        add_noise(m, "factor", 3, -2, 2, DIMS(1, 7));
        onnx_node *gemm = onnx_add(m, "Gemm", "x,w,b", "c");
        onnx_int(m, gemm, "transB", transposed);
        onnx_float(m, gemm, "alpha", 0.5f);
        onnx_add(m, "Mul", "c,factor", "n");
        onnx_add(m, "Sub", "n,factor", "y");
        onnx_output(m, "y");
        assert_int_equal(nodes_after_passes(m), 1);
        tm_host_tensor input = onnx_value(TM_FLOAT32, DIMS(5, 6), x);
        assert_true(compare_fused(m, &input, 1, extra, TM_ARRAY_LEN(extra)) > 0);
        onnx_free(m);
    }
    free(x);
}

// A constant that varies over space, or enlarges the output, must stay.
static void other_constants_stay(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        onnx_model *m = onnx_new(13);
        onnx_input(m, "x", TM_FLOAT32, DIMS(1, 2, 4, 4));
        add_noise(m, "w", 1, -1, 1, DIMS(2, 2, 1, 1));
        if (k)
            add_noise(m, "k", 2, -1, 1, DIMS(3, 2, 1, 1));
        else
            add_noise(m, "k", 2, -1, 1, DIMS(4));
        onnx_add(m, "Conv", "x,w", "c");
        onnx_add(m, "Mul", "c,k", "y");
        onnx_output(m, "y");
        assert_int_equal(nodes_after_passes(m), 2);
        onnx_free(m);
    }
}

static void activations_fuse(void **state) {
    (void)state;
    static const struct {
        const char *op, *attribute;
        int64_t opset;
        float value;
    } cases[] = {{"Relu", NULL, 13, 0},
                 {"LeakyRelu", "alpha", 13, 0.3f},
                 {"HardSwish", NULL, 14, 0},
                 {"Sigmoid", NULL, 13, 0},
                 {"Clip", "max", 9, 0.5f},
                 {"gate", "Sigmoid", 13, 0},
                 {"gate", "HardSigmoid", 13, 1.0f / 6}};
    float *x = test_noise(9, 3 * 8 * 8, -3, 3);
    tm_host_tensor input = onnx_value(TM_FLOAT32, DIMS(1, 3, 8, 8), x);
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        onnx_model *m = onnx_new(cases[i].opset);
        onnx_input(m, "x", TM_FLOAT32, DIMS(1, 3, 8, 8));
        add_noise(m, "w", 1, -1, 1, DIMS(6, 3, 3, 3));
        onnx_add(m, "Conv", "x,w", "c");
        if (!strcmp(cases[i].op, "gate")) {
            onnx_node *gate = onnx_add(m, cases[i].attribute, "c", "g");
            if (cases[i].value != 0) onnx_float(m, gate, "alpha", cases[i].value);
            onnx_add(m, "Mul", "g,c", "y");
        } else {
            onnx_node *act = onnx_add(m, cases[i].op, "c", "y");
            if (cases[i].attribute) onnx_float(m, act, cases[i].attribute, cases[i].value);
        }
        onnx_output(m, "y");
        assert_int_equal(nodes_after_passes(m), 1);
        const char *const extra[] = {"c"};
        assert_true(compare_fused(m, &input, 1, extra, 1) > 0);
        onnx_free(m);
    }
    free(x);
}

static void clip_takes_constant_inputs(void **state) {
    (void)state;
    onnx_model *m = onnx_new(13);
    const float low = -0.25f, high = 0.5f;
    onnx_input(m, "x", TM_FLOAT32, DIMS(1, 3, 8, 8));
    add_noise(m, "w", 1, -1, 1, DIMS(6, 3, 3, 3));
    onnx_constant(m, "low", TM_FLOAT32, SCALAR, &low);
    onnx_constant(m, "high", TM_FLOAT32, SCALAR, &high);
    onnx_add(m, "Conv", "x,w", "c");
    onnx_add(m, "Clip", "c,low,high", "y");
    onnx_output(m, "y");
    assert_int_equal(nodes_after_passes(m), 1);
    float *x = test_noise(9, 3 * 8 * 8, -3, 3);
    tm_host_tensor input = onnx_value(TM_FLOAT32, DIMS(1, 3, 8, 8), x);
    const char *const extra[] = {"c"};
    assert_true(compare_fused(m, &input, 1, extra, 1) > 0);
    free(x);
    onnx_free(m);
}

static void padding_moves_into_convolutions(void **state) {
    (void)state;
    onnx_model *m = onnx_new(13);
    const int64_t pads[] = {0, 0, 0, 1, 0, 0, 2, 3};
    onnx_input(m, "x", TM_FLOAT32, DIMS(1, 3, 8, 8));
    add_noise(m, "w", 1, -1, 1, DIMS(6, 3, 3, 3));
    onnx_constant(m, "pads", TM_INT64, DIMS(8), pads);
    onnx_add(m, "Pad", "x,pads", "p");
    onnx_node *conv = onnx_add(m, "Conv", "p,w", "y");
    onnx_ints(m, conv, "pads", DIMS(1, 0, 0, 0));
    onnx_ints(m, conv, "strides", DIMS(2, 2));
    onnx_output(m, "y");
    assert_int_equal(nodes_after_passes(m), 1);
    float *x = test_noise(9, 3 * 8 * 8, -3, 3);
    tm_host_tensor input = onnx_value(TM_FLOAT32, DIMS(1, 3, 8, 8), x);
    const char *const extra[] = {"p"};
    assert_true(compare_fused(m, &input, 1, extra, 1) > 0);
    free(x);
    onnx_free(m);
}

// Weights and bias as constants, as inputs, and computed on the way give the same.
static void weights_may_be_computed(void **state) {
    (void)state;
    float *x = test_noise(1, 4 * 6 * 6, -1, 1), *w = test_noise(2, 5 * 4 * 9, -1, 1), *b = test_noise(3, 5, -1, 1);
    const float one = 1;
    float *expected = NULL;
    tm_host_tensor inputs[] = {onnx_value(TM_FLOAT32, DIMS(1, 4, 6, 6), x), onnx_value(TM_FLOAT32, DIMS(5, 4, 3, 3), w),
                               onnx_value(TM_FLOAT32, DIMS(5), b), onnx_value(TM_FLOAT32, DIMS(1), &one)};
    for (int kind = 0; kind < 4; kind++) {
        onnx_model *m = onnx_new(13);
        onnx_input(m, "x", TM_FLOAT32, DIMS(1, 4, 6, 6));
        tm_host_tensor given[3] = {inputs[0]};
        size_t count = 1;
        if (kind == 1)
            onnx_input(m, "w", TM_FLOAT32, DIMS(-1, 4, 3, 3));
        else
            onnx_constant(m, kind == 3 ? "v" : "w", TM_FLOAT32, DIMS(5, 4, 3, 3), w);
        if (kind == 1) given[count++] = inputs[1];
        if (kind == 2)
            onnx_input(m, "b", TM_FLOAT32, DIMS(5));
        else
            onnx_constant(m, "b", TM_FLOAT32, DIMS(5), b);
        if (kind == 2) given[count++] = inputs[2];
        if (kind == 3) onnx_input(m, "one", TM_FLOAT32, DIMS(1));
        if (kind == 3) onnx_add(m, "Mul", "v,one", "w");
        if (kind == 3) given[count++] = inputs[3];
        onnx_add(m, "Conv", "x,w,b", "c");
        onnx_add(m, "Relu", "c", "y");
        onnx_output(m, "y");
        float *y = onnx_run(m, test_gpu(), given, count, NULL);
        if (kind)
            assert_close(y, expected, 5 * 4 * 4, 1e-5);
        else
            expected = y;
        if (kind) free(y);
        onnx_free(m);
    }
    free(expected);
    free(x);
    free(w);
    free(b);
}

// ---- Residuals.
// conv(x) + other, then Relu; other has the shape of the sum or broadcasts.
static size_t residual_savings(size_t rank, const int64_t *dims) {
    onnx_model *m = onnx_new(13);
    onnx_input(m, "x", TM_FLOAT32, DIMS(1, 4, 6, 6));
    onnx_input(m, "other", TM_FLOAT32, rank, dims);
    add_noise(m, "w", 1, -1, 1, DIMS(4, 4, 3, 3));
    onnx_node *conv = onnx_add(m, "Conv", "x,w", "c");
    onnx_ints(m, conv, "pads", DIMS(1, 1, 1, 1));
    onnx_add(m, "Add", "other,c", "s");
    onnx_add(m, "Relu", "s", "y");
    onnx_output(m, "y");
    float *x = test_noise(9, 4 * 6 * 6, -3, 3), *other = test_noise(10, 4 * 6 * 6, -3, 3);
    tm_host_tensor inputs[] = {onnx_value(TM_FLOAT32, DIMS(1, 4, 6, 6), x), onnx_value(TM_FLOAT32, rank, dims, other)};
    const char *const extra[] = {"c", "s"};
    size_t saved = compare_fused(m, inputs, 2, extra, 2);
    free(x);
    free(other);
    onnx_free(m);
    return saved;
}

static void residuals_fuse_where_shapes_agree(void **state) {
    (void)state;
    assert_int_equal(residual_savings(DIMS(1, 4, 6, 6)), 2);
    assert_int_equal(residual_savings(DIMS(1, 4, 1, 1)), 0);
}

static void both_sides_of_a_sum_may_be_convolutions(void **state) {
    (void)state;
    onnx_model *m = onnx_new(13);
    onnx_input(m, "x", TM_FLOAT32, DIMS(1, 4, 6, 6));
    add_noise(m, "v", 1, -1, 1, DIMS(8, 4, 1, 1));
    add_noise(m, "w", 2, -1, 1, DIMS(8, 4, 1, 1));
    onnx_add(m, "Conv", "x,v", "a");
    onnx_add(m, "Conv", "x,w", "b");
    onnx_add(m, "Add", "b,a", "s");
    onnx_add(m, "Conv", "s,u", "d");
    add_noise(m, "u", 3, -1, 1, DIMS(8, 8, 1, 1));
    onnx_add(m, "Add", "d,s", "t");
    onnx_add(m, "Sigmoid", "t", "y");
    onnx_output(m, "y");
    float *x = test_noise(9, 4 * 6 * 6, -3, 3);
    tm_host_tensor input = onnx_value(TM_FLOAT32, DIMS(1, 4, 6, 6), x);
    const char *const extra[] = {"a", "b", "s", "d", "t"};
    assert_true(compare_fused(m, &input, 1, extra, TM_ARRAY_LEN(extra)) > 0);
    free(x);
    onnx_free(m);
}

// ---- Shapes at plan time.
static onnx_model *resize_chain(void) {
    onnx_model *m = onnx_new(13);
    const int64_t two[] = {2, 3}, zero[] = {0}, end[] = {2}, scale[] = {2, 2};
    onnx_input(m, "x", TM_FLOAT32, DIMS(1, 4, -1, -1));
    onnx_constant(m, "spatial", TM_INT64, DIMS(2), two);
    onnx_constant(m, "zero", TM_INT64, DIMS(1), zero);
    onnx_constant(m, "end", TM_INT64, DIMS(1), end);
    onnx_constant(m, "scale", TM_INT64, DIMS(2), scale);
    add_noise(m, "w", 1, -1, 1, DIMS(4, 4, 3, 3));
    onnx_node *conv = onnx_add(m, "Conv", "x,w", "c");
    onnx_ints(m, conv, "pads", DIMS(1, 1, 1, 1));
    onnx_ints(m, conv, "strides", DIMS(2, 2));
    onnx_add(m, "Shape", "c", "shape");
    onnx_add(m, "Gather", "shape,spatial", "hw");
    onnx_add(m, "Mul", "hw,scale", "target");
    onnx_add(m, "Slice", "shape,zero,end", "nc");
    onnx_node *concat = onnx_add(m, "Concat", "nc,target", "sizes");
    onnx_int(m, concat, "axis", 0);
    onnx_node *resize = onnx_add(m, "Resize", "c,,,sizes", "y");
    onnx_string(m, resize, "mode", "nearest");
    onnx_output(m, "y");
    return m;
}

static void sizes_may_depend_on_the_input(void **state) {
    (void)state;
    onnx_model *m = resize_chain();
    tm_graph *graph = load_with(m, NULL, 0);
    tm_error err = TAGMASK_ERROR_INIT;
    tm_plan *first = NULL, *again = NULL, *other = NULL;
    tm_host_tensor small = onnx_value(TM_FLOAT32, DIMS(1, 4, 10, 12), NULL);
    tm_host_tensor large = onnx_value(TM_FLOAT32, DIMS(1, 4, 31, 8), NULL);
    assert_ok(tm_graph_plan(graph, &small, 1, &first, &err), &err);
    assert_ok(tm_graph_plan(graph, &large, 1, &other, &err), &err);
    assert_ok(tm_graph_plan(graph, &small, 1, &again, &err), &err);
    assert_ptr_equal(first, again);
    const tm_shape expected[] = {{4, {1, 4, 10, 12}}, {4, {1, 4, 32, 8}}};
    tm_tensor a = tm_plan_output(first, 0), b = tm_plan_output(other, 0);
    assert_true(tm_shape_equal(&a.shape, &expected[0]));
    assert_true(tm_shape_equal(&b.shape, &expected[1]));
    for (int i = 1; i < TM_PLAN_CACHE + 5; i++) {
        tm_host_tensor next = onnx_value(TM_FLOAT32, DIMS(1, 4, 10 + i, 12), NULL);
        assert_ok(tm_graph_plan(graph, &next, 1, &other, &err), &err);
    }
    assert_true(graph->plan_count <= TM_PLAN_CACHE + 1);
    tm_graph_free(graph);
    onnx_free(m);
}

static void host_inputs_decide_shapes(void **state) {
    (void)state;
    onnx_model *m = onnx_new(13);
    onnx_input(m, "x", TM_FLOAT32, DIMS(2, 6));
    onnx_input(m, "target", TM_INT64, DIMS(2));
    onnx_input(m, "more", TM_INT32, DIMS(2));
    onnx_node *cast = onnx_add(m, "Cast", "more", "wide");
    onnx_int(m, cast, "to", TM_INT64);
    onnx_add(m, "Add", "target,wide", "sum");
    onnx_add(m, "Reshape", "x,sum", "y");
    onnx_output(m, "y");
    tm_graph *graph = load_with(m, NULL, 0);
    float *x = test_noise(1, 12, -1, 1);
    for (int64_t rows = 3; rows <= 4; rows++) {
        const int64_t target[] = {rows - 1, 12 / rows - 2};
        const int32_t more[] = {1, 2};
        tm_host_tensor output, inputs[] = {onnx_value(TM_FLOAT32, DIMS(2, 6), x), onnx_value(TM_INT64, DIMS(2), target),
                                           onnx_value(TM_INT32, DIMS(2), more)};
        run_all(graph, inputs, 3, &output);
        assert_int_equal(output.shape.dim[0], rows);
        assert_memory_equal(output.data, x, 12 * sizeof *x);
        free(output.data);
    }
    tm_host_tensor without[] = {onnx_value(TM_FLOAT32, DIMS(2, 6), x), onnx_value(TM_INT64, DIMS(2), NULL),
                                onnx_value(TM_INT32, DIMS(2), NULL)};
    tm_error err = TAGMASK_ERROR_INIT;
    tm_plan *plan;
    assert_int_equal(tm_graph_plan(graph, without, 3, &plan, &err), TAGMASK_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "'target' decides shapes"));
    free(x);
    tm_graph_free(graph);
    onnx_free(m);
}

// Here the loader cannot know; the shape rule of Mul makes one output, and the file claims another.
static void outputs_beyond_the_operators_are_refused(void **state) {
    (void)state;
    onnx_model *m = onnx_new(14);
    onnx_input(m, "x", TM_FLOAT32, DIMS(2, 3));
    onnx_add(m, "Mul", "x,x", "y,z");
    onnx_output(m, "y");
    tm_graph *graph = load_with(m, NULL, 0);
    tm_host_tensor input = onnx_value(TM_FLOAT32, DIMS(2, 3), NULL);
    tm_error err = TAGMASK_ERROR_INIT;
    tm_plan *plan = NULL;
    assert_int_equal(tm_graph_plan(graph, &input, 1, &plan, &err), TAGMASK_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "(Mul, opset 14): has 2 outputs; expected at most 1"));
    tm_graph_free(graph);
    onnx_free(m);
}

static void wrong_inputs_are_refused(void **state) {
    (void)state;
    onnx_model *m = resize_chain();
    tm_graph *graph = load_with(m, NULL, 0);
    tm_error err = TAGMASK_ERROR_INIT;
    tm_plan *plan = NULL;
    const struct {
        tm_host_tensor input;
        const char *part;
    } cases[] = {{onnx_value(TM_INT32, DIMS(1, 4, 8, 8), NULL), "'x' is int32; expected float32"},
                 {onnx_value(TM_FLOAT32, DIMS(4, 8, 8), NULL), "'x' has 3 dimensions; expected 4"},
                 {onnx_value(TM_FLOAT32, DIMS(1, 4, -8, 8), NULL), "impossible shape 1x4x-8x8"},
                 {onnx_value(TM_FLOAT32, DIMS(1, 5, 8, 8), NULL), "Conv"},
                 {onnx_value(TM_FLOAT32, DIMS(1, 4, (int64_t)1 << 30, (int64_t)1 << 30), NULL), ""}};
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        assert_int_not_equal(tm_graph_plan(graph, &cases[i].input, 1, &plan, &err), TAGMASK_OK);
        if (!strstr(err.message, cases[i].part)) fail_msg("expected '%s' in: %s", cases[i].part, err.message);
    }
    assert_int_equal(tm_graph_plan(graph, NULL, 0, &plan, &err), TAGMASK_ERROR_ARGUMENT);
    assert_null(plan);
    tm_graph_free(graph);
    onnx_free(m);
}

static void integers_that_do_not_fit_are_refused(void **state) {
    (void)state;
    onnx_model *m = onnx_new(13);
    onnx_input(m, "a", TM_INT64, DIMS(2));
    onnx_input(m, "b", TM_INT64, DIMS(2));
    onnx_add(m, "Add", "a,b", "y");
    onnx_output(m, "y");
    tm_graph *graph = load_with(m, NULL, 0);
    int64_t a[] = {5, -7}, b[] = {1, 2};
    tm_host_tensor output, inputs[] = {onnx_value(TM_INT64, DIMS(2), a), onnx_value(TM_INT64, DIMS(2), b)};
    run_all(graph, inputs, 2, &output);
    assert_int_equal(output.dtype, TM_INT64);
    const int64_t expected[] = {6, -5};
    assert_memory_equal(output.data, expected, sizeof expected);
    free(output.data);
    a[1] = (int64_t)1 << 33;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_int_equal(tm_graph_run(graph, inputs, 2, &output, &err), TAGMASK_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "element 1 of 'a' does not fit 32 bits"));
    tm_graph_free(graph);
    onnx_free(m);
}

// ---- Odd graphs.
static void outputs_may_be_inputs_constants_or_repeated(void **state) {
    (void)state;
    onnx_model *m = onnx_new(13);
    onnx_input(m, "x", TM_FLOAT32, DIMS(2, 3));
    add_noise(m, "k", 1, -1, 1, DIMS(4));
    onnx_add(m, "Identity", "x", "same");
    onnx_add(m, "Relu", "x", "y");
    onnx_add(m, "Flatten", "y", "view");
    const char *const outputs[] = {"x", "k", "same", "y", "view", "y"};
    for (size_t i = 0; i < TM_ARRAY_LEN(outputs); i++) onnx_output(m, outputs[i]);
    float *x = test_noise(2, 6, -1, 1);
    tm_host_tensor input = onnx_value(TM_FLOAT32, DIMS(2, 3), x), made[6];
    tm_graph *graph = load_with(m, NULL, 0);
    run_all(graph, &input, 1, made);
    assert_memory_equal(made[0].data, x, 6 * sizeof *x);
    assert_memory_equal(made[2].data, x, 6 * sizeof *x);
    for (size_t i = 0; i < 6; i++) {
        float relu = x[i] > 0 ? x[i] : 0;
        assert_true(((float *)made[3].data)[i] == relu);
        assert_true(((float *)made[4].data)[i] == relu);
        assert_true(((float *)made[5].data)[i] == relu);
    }
    for (size_t i = 0; i < 6; i++) free(made[i].data);
    free(x);
    tm_graph_free(graph);
    onnx_free(m);
}

// Nodes needed only for their shape are planned away.
static void work_for_shapes_only_is_dropped(void **state) {
    (void)state;
    onnx_model *m = onnx_new(13);
    onnx_input(m, "x", TM_FLOAT32, DIMS(1, 4, 8, 8));
    add_noise(m, "w", 1, -1, 1, DIMS(4, 4, 3, 3));
    onnx_add(m, "Conv", "x,w", "c");
    onnx_add(m, "Shape", "c", "y");
    onnx_output(m, "y");
    tm_graph *graph = load_with(m, NULL, 0);
    float *x = test_noise(2, 256, -1, 1);
    tm_host_tensor input = onnx_value(TM_FLOAT32, DIMS(1, 4, 8, 8), x), output;
    run_all(graph, &input, 1, &output);
    const int64_t expected[] = {1, 4, 6, 6};
    assert_memory_equal(output.data, expected, sizeof expected);
    assert_int_equal(tm_plan_get_stats(graph->plans).dispatches, 0);
    free(output.data);
    free(x);
    tm_graph_free(graph);
    onnx_free(m);
}

// ---- Memory.
// A tangle of convolutions, sums and concatenations, different for each seed.
static onnx_model *tangle(uint64_t seed, int nodes) {
    test_random random = {seed};
    onnx_model *m = onnx_new(13);
    onnx_input(m, "v0", TM_FLOAT32, DIMS(1, 4, -1, -1));
    add_noise(m, "w", 1, -0.4f, 0.4f, DIMS(4, 4, 3, 3));
    add_noise(m, "narrow", 2, -0.4f, 0.4f, DIMS(4, 8, 1, 1));
    for (int i = 1; i <= nodes; i++) {
        char a[16], b[16], in[48], out[16], wide[16];
        int p = (int)test_uniform(&random, (float)(i > 6 ? i - 6 : 0), (float)i);
        int q = (int)test_uniform(&random, (float)(i > 6 ? i - 6 : 0), (float)i);
        snprintf(a, sizeof a, "v%d", p);
        snprintf(b, sizeof b, "v%d", q);
        snprintf(out, sizeof out, "v%d", i);
        float kind = test_uniform(&random, 0, 4);
        if (kind < 1) {
            snprintf(in, sizeof in, "%s,w", a);
            onnx_ints(m, onnx_add(m, "Conv", in, out), "pads", DIMS(1, 1, 1, 1));
        } else if (kind < 2) {
            snprintf(in, sizeof in, "%s,%s", a, b);
            onnx_add(m, "Add", in, out);
        } else if (kind < 3) {
            onnx_add(m, "Tanh", a, out);
        } else {
            snprintf(in, sizeof in, "%s,%s", a, b);
            snprintf(wide, sizeof wide, "w%d", i);
            onnx_int(m, onnx_add(m, "Concat", in, wide), "axis", 1);
            snprintf(in, sizeof in, "%s,narrow", wide);
            onnx_add(m, "Conv", in, out);
        }
    }
    char last[16];
    snprintf(last, sizeof last, "v%d", nodes);
    onnx_output(m, last);
    return m;
}

static void check_no_overlap(const tm_plan *plan) {
    for (size_t i = 0; i < plan->storage_count; i++) {
        const tm_storage *a = &plan->storages[i];
        if (a->merged >= 0 || a->constant) continue;
        assert_true(a->offset + a->bytes <= plan->stats.activation_bytes);
        for (size_t j = 0; j < i; j++) {
            const tm_storage *b = &plan->storages[j];
            if (b->merged >= 0 || b->constant || a->last < b->first || b->last < a->first) continue;
            assert_true(a->offset + a->bytes <= b->offset || b->offset + b->bytes <= a->offset);
        }
    }
}

static void memory_is_shared_without_overlap(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        onnx_model *m = tangle(seed, 40);
        tm_graph *graph = load_with(m, NULL, 0);
        tm_error err = TAGMASK_ERROR_INIT;
        tm_host_tensor x = onnx_value(TM_FLOAT32, DIMS(1, 4, 40, 30), NULL);
        tm_plan *plan;
        assert_ok(tm_graph_plan(graph, &x, 1, &plan, &err), &err);
        check_no_overlap(plan);
        tm_plan_stats stats = tm_plan_get_stats(plan);
        assert_true(stats.activation_bytes >= stats.liveness_bytes);
        assert_true((double)stats.activation_bytes <= 1.15 * (double)stats.liveness_bytes);
        tm_graph_free(graph);
        onnx_free(m);
    }
}

// Fused and in place against every tensor kept: catches a tensor overwritten too early.
static void tangles_compute_the_same_as_with_everything_kept(void **state) {
    (void)state;
    enum { NODES = 24 };
    float *x = test_noise(3, 4 * 12 * 10, -1, 1);
    for (uint64_t seed = 20; seed < 24; seed++) {
        onnx_model *m = tangle(seed, NODES);
        char names[NODES][16];
        const char *extra[NODES];
        for (int i = 0; i < NODES; i++) {
            snprintf(names[i], sizeof names[i], "v%d", i + 1);
            extra[i] = names[i];
        }
        tm_graph *fused = load_with(m, NULL, 0), *kept = load_with(m, extra, NODES);
        tm_host_tensor input = onnx_value(TM_FLOAT32, DIMS(1, 4, 12, 10), x), a[1], b[NODES + 1];
        run_all(fused, &input, 1, a);
        run_all(kept, &input, 1, b);
        assert_close((float *)a[0].data, (float *)b[0].data, elements(&a[0]), 1e-4);
        free(a[0].data);
        for (int i = 0; i <= NODES; i++) free(b[i].data);
        tm_graph_free(fused);
        tm_graph_free(kept);
        onnx_free(m);
    }
    free(x);
}

// The arena grows while a recording that uses the smaller one is not finished.
static void recordings_survive_a_growing_arena(void **state) {
    (void)state;
    onnx_model *m = tangle(5, 10);
    tm_graph *graph = load_with(m, NULL, 0);
    tm_error err = TAGMASK_ERROR_INIT;
    float *x = test_noise(3, 4 * 64 * 64, -1, 1);
    tm_host_tensor small = onnx_value(TM_FLOAT32, DIMS(1, 4, 8, 8), x), alone;
    tm_host_tensor large = onnx_value(TM_FLOAT32, DIMS(1, 4, 64, 64), x);
    run_all(graph, &small, 1, &alone);
    tm_graph_free(graph);
    graph = load_with(m, NULL, 0);
    tm_plan *first, *second;
    tm_recorder *recorder;
    float result[4 * 8 * 8];
    assert_ok(tm_recorder_begin(test_gpu(), &recorder, &err), &err);
    assert_ok(tm_graph_plan(graph, &small, 1, &first, &err), &err);
    assert_ok(tm_plan_output_linear(first, 0, &err), &err);
    tm_slice to = tm_plan_input(first, 0).slice;
    assert_ok(tm_upload(recorder, to, x, &err), &err);
    assert_ok(tm_plan_record(first, recorder, &err), &err);
    tm_tensor output = tm_plan_output(first, 0);
    assert_int_equal(output.layout, TM_LINEAR);
    assert_ok(tm_readback(recorder, output.slice, result, &err), &err);
    assert_ok(tm_graph_plan(graph, &large, 1, &second, &err), &err);
    assert_ok(tm_graph_plan(graph, &small, 1, &first, &err), &err);  // bound to the larger arena now
    assert_ok(tm_recorder_finish(recorder, &err), &err);
    assert_memory_equal(result, alone.data, sizeof result);
    free(alone.data);
    free(x);
    tm_graph_free(graph);
    onnx_free(m);
}

// ---- The classifier's head.
static void heads_are_found(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        onnx_model *m = onnx_new(13);
        onnx_input(m, "x", TM_FLOAT32, DIMS(1, 3, 8, 8));
        add_noise(m, "w", 1, -1, 1, DIMS(6, 3, 1, 1));
        onnx_add(m, "Conv", "x,w", "c");
        onnx_add(m, "Relu", "c", "features");
        float *weight = test_noise(2, 5 * 6, -1, 1), turned[5 * 6];
        for (int k = 0; k < 5; k++)
            for (int c = 0; c < 6; c++) turned[c * 5 + k] = weight[k * 6 + c];
        if (kind == 0) {
            onnx_constant(m, "v", TM_FLOAT32, DIMS(5, 6), weight);
            onnx_add(m, "GlobalAveragePool", "features", "p");
            onnx_add(m, "Flatten", "p", "f");
            onnx_int(m, onnx_add(m, "Gemm", "f,v", "y"), "transB", 1);
        } else if (kind == 1) {
            onnx_constant(m, "v", TM_FLOAT32, DIMS(6, 5), turned);
            onnx_node *mean = onnx_add(m, "ReduceMean", "features", "p");
            onnx_ints(m, mean, "axes", DIMS(-2, -1));
            onnx_int(m, mean, "keepdims", 0);
            add_noise(m, "b", 3, -1, 1, DIMS(5));
            onnx_add(m, "MatMul", "p,v", "t");
            onnx_add(m, "Add", "t,b", "u");
            onnx_add(m, "Softmax", "u", "y");
        } else if (kind == 2) {
            onnx_constant(m, "v", TM_FLOAT32, DIMS(5, 6, 1, 1), weight);
            onnx_add(m, "Conv", "features,v", "t");
            onnx_add(m, "GlobalAveragePool", "t", "p");
            onnx_add(m, "Flatten", "p", "y");
        } else {
            onnx_add(m, "Sigmoid", "features", "y");
        }
        onnx_output(m, "y");
        tm_graph *graph = load_with(m, NULL, 0);
        tm_cam_head head;
        tm_error err = TAGMASK_ERROR_INIT;
        if (kind == 3) {
            assert_int_equal(tm_graph_cam_head(graph, 0, &head, &err), TAGMASK_ERROR_UNSUPPORTED);
            assert_non_null(strstr(err.message, "found Sigmoid"));
        } else {
            assert_ok(tm_graph_cam_head(graph, 0, &head, &err), &err);
            assert_string_equal(head.features, "features");
            assert_int_equal(head.classes, 5);
            assert_int_equal(head.channels, 6);
            assert_memory_equal(head.weight, weight, sizeof turned);
        }
        free(weight);
        tm_graph_free(graph);
        onnx_free(m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(affine_maps_fold_into_convolutions),
        cmocka_unit_test(affine_maps_fold_into_transposed_convolutions),
        cmocka_unit_test(affine_maps_fold_into_gemm),
        cmocka_unit_test(other_constants_stay),
        cmocka_unit_test(activations_fuse),
        cmocka_unit_test(clip_takes_constant_inputs),
        cmocka_unit_test(padding_moves_into_convolutions),
        cmocka_unit_test(weights_may_be_computed),
        cmocka_unit_test(residuals_fuse_where_shapes_agree),
        cmocka_unit_test(both_sides_of_a_sum_may_be_convolutions),
        cmocka_unit_test(sizes_may_depend_on_the_input),
        cmocka_unit_test(host_inputs_decide_shapes),
        cmocka_unit_test(outputs_beyond_the_operators_are_refused),
        cmocka_unit_test(wrong_inputs_are_refused),
        cmocka_unit_test(integers_that_do_not_fit_are_refused),
        cmocka_unit_test(outputs_may_be_inputs_constants_or_repeated),
        cmocka_unit_test(work_for_shapes_only_is_dropped),
        cmocka_unit_test(memory_is_shared_without_overlap),
        cmocka_unit_test(tangles_compute_the_same_as_with_everything_kept),
        cmocka_unit_test(recordings_survive_a_growing_arena),
        cmocka_unit_test(heads_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
