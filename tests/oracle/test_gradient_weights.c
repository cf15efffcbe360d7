// Weights that a network is differentiated by, changed on the device between runs: everything that is computed follows.
#include <stdlib.h>
#include <string.h>

#include "gradient_case.h"

// Ways that a weight could be computed with beforehand: packed, folded into another, by constants alone, fused.
static const gradient_case cases[] = {
    {"Conv x,w a pads=1,1,1,1; Clip a,low y",
     {{"x", 4, {1, 4, 6, 8}}, {"w", 4, {8, 4, 3, 3}}, {"low", 0, {0}, 0, 0.01f, true}}},
    {"Conv x,w a; BatchNormalization a,s,s,m,s b; Relu b y",
     {{"x", 4, {1, 4, 6, 8}}, {"w", 4, {8, 4, 1, 1}}, {"s", 1, {8}, 0.5f, 1}, {"m", 1, {8}, 0, 1, true}}},
    {"Conv x,k a; Add a,w b; Relu b y",
     {{"x", 4, {1, 4, 6, 8}}, {"w", 3, {8, 1, 1}}, {"k", 4, {8, 4, 1, 1}, 0, 1, true}}},
    {"Transpose w v; Mul v,v u; MatMul x,u y", {{"x", 2, {3, 8}}, {"w", 2, {5, 8}}}},
    {"Gemm x,w,b y transB=1", {{"x", 2, {3, 8}}, {"w", 2, {5, 8}}, {"b", 1, {5}}}},
    {"Conv x,k a group=8; Mul a,w y",
     {{"x", 4, {1, 8, 6, 8}}, {"w", 4, {1, 8, 6, 8}}, {"k", 4, {8, 1, 1, 1}, 0, 1, true}}},
};

typedef struct result {
    tm_host_tensor outputs[3];
    size_t count;
} result;

static result run(tm_graph *graph, const gradient_case *c, const float *x, const float *g, tm_shape y) {
    result r = {.count = 0};
    const tm_value_info *infos;
    tm_error err = TAGMASK_ERROR_INIT;
    tm_host_tensor inputs[2] = {onnx_value(TM_FLOAT32, c->tensors[0].rank, c->tensors[0].dims, x),
                                onnx_value(TM_FLOAT32, (size_t)y.rank, y.dim, g)};
    assert_ok(tm_graph_run(graph, inputs, 2, r.outputs, &err), &err);
    r.count = tm_graph_outputs(graph, &infos);
    return r;
}

static void change(tm_graph *graph, const char *name, const float *values) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_tensor weight;
    tm_recorder *recorder;
    assert_ok(tm_graph_weight(graph, name, &weight, &err), &err);
    assert_ok(tm_recorder_begin(test_gpu(), &recorder, &err), &err);
    assert_ok(tm_upload(recorder, weight.slice, values, &err), &err);
    assert_ok(tm_recorder_finish(recorder, &err), &err);
}

static tm_graph *load(const gradient_case *c, uint64_t seed) {
    tm_error err = TAGMASK_ERROR_INIT;
    const char *names[] = {"x", "w"};
    onnx_model *m = gradient_model(c, seed);
    tm_graph *graph = gradient_load(m, names, 2, &err);
    assert_ok(graph ? TAGMASK_OK : err.status, &err);
    onnx_free(m);
    return graph;
}

static void follow_their_tensor(void **state) {
    (void)state;
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        const gradient_case *c = &cases[i];
        tm_shape x = shape_of(c->tensors[0].rank, c->tensors[0].dims),
                 w = shape_of(c->tensors[1].rank, c->tensors[1].dims);
        float *data = test_noise(1, elements(&x), -1, 1), *weights = test_noise(50, elements(&w), -1, 1);
        tm_graph *changed = load(c, 40), *wanted = load(c, 50);
        tm_shape y = gradient_shape(c);
        float *g = test_noise(2, elements(&y), -1, 1);
        result before = run(changed, c, data, g, y), expected = run(wanted, c, data, g, y);
        change(changed, "w", weights);
        result after = run(changed, c, data, g, y);
        double moved = test_relative_error(before.outputs[0].data, after.outputs[0].data, elements(&y));
        assert_true(moved > 0.01);
        for (size_t k = 0; k < after.count; k++) {
            assert_close((const float *)after.outputs[k].data, (const float *)expected.outputs[k].data,
                         elements(&after.outputs[k].shape), 1e-6);
            free(before.outputs[k].data);
            free(after.outputs[k].data);
            free(expected.outputs[k].data);
        }
        tm_graph_free(changed);
        tm_graph_free(wanted);
        free(data);
        free(weights);
        free(g);
    }
}

static void are_known_by_name(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tm_tensor weight;
    tm_graph *graph = load(&cases[0], 1);
    assert_int_equal(tm_graph_weight(graph, "x", &weight, &err), TAGMASK_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "'x' is no weight"));
    assert_int_equal(tm_graph_weight(graph, "w", &weight, &err), TAGMASK_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "before the network is planned"));
    tm_graph_free(graph);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follow_their_tensor),
        cmocka_unit_test(are_known_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
