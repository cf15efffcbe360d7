// A network's tail against the whole network, and with dilated convolutions against the same network written that way.
#include <stdlib.h>
#include <string.h>

#include "graph/internal.h"
#include "onnx_build.h"
#include "support.h"

enum { C = 3, K = 6, SIDE = 19 };

static void add_noise(onnx_model *m, const char *name, uint64_t seed, size_t rank, const int64_t *dims) {
    size_t count = 1;
    for (size_t i = 0; i < rank; i++) count *= (size_t)dims[i];
    float *values = test_noise(seed, count, -0.4f, 0.4f);
    onnx_constant(m, name, TM_FLOAT32, rank, dims, values);
    free(values);
}

static void add_conv(onnx_model *m, const char *inputs, const char *output, int64_t stride, int64_t dilation,
                     int64_t pad, int64_t group) {
    onnx_node *conv = onnx_add(m, "Conv", inputs, output);
    onnx_name(m, conv, output);
    onnx_ints(m, conv, "strides", DIMS(stride, stride));
    onnx_ints(m, conv, "dilations", DIMS(dilation, dilation));
    onnx_ints(m, conv, "pads", DIMS(pad, pad, pad, pad));
    onnx_int(m, conv, "group", group);
}

// x -> conv -> "cut" -> conv of stride 2 -> conv -> conv with groups -> y. `rate` moves the tail's taps apart, `dense`
// takes the stride out; from: NULL for the whole network, else the tail alone.
static onnx_model *network(int64_t rate, bool dense, bool tail) {
    onnx_model *m = onnx_new(13);
    int64_t after = dense ? rate * 2 : rate;
    onnx_input(m, tail ? "cut" : "x", TM_FLOAT32, DIMS(1, tail ? K : C, -1, -1));
    if (!tail) {
        add_noise(m, "w0", 1, DIMS(K, C, 3, 3));
        add_conv(m, "x,w0", "cut", 1, 1, 1, 1);
    }
    add_noise(m, "w1", 2, DIMS(K, K, 3, 3));
    add_conv(m, "cut,w1", "half", dense ? 1 : 2, rate, rate, 1);
    onnx_add(m, "Relu", "half", "relu");
    add_noise(m, "w2", 3, DIMS(K, K, 1, 1));
    add_conv(m, "relu,w2", "point", 1, 1, 0, 1);
    add_noise(m, "w3", 4, DIMS(K, 1, 5, 5));
    add_conv(m, "point,w3", "y", 1, after, 2 * after, K);
    onnx_output(m, "y");
    return m;
}

static tm_graph *load_tail(const onnx_model *m, const tm_tail *tail, tm_error *err) {
    size_t size;
    uint8_t *bytes = onnx_bytes(m, &size);
    char *folder = test_temporary_dir(), *path = tm_path_join(folder, "m.onnx");
    assert_ok(tm_write_file(path, bytes, size, err), err);
    tm_graph *graph = NULL;
    tagmask_status status = tm_graph_load_tail(test_gpu(), path, tail, NULL, 0, &graph, err);
    assert_int_equal(status == TAGMASK_OK, graph != NULL);
    free(bytes);
    free(path);
    free(folder);
    return graph;
}

static float *run(tm_graph *graph, const float *cut, size_t *count) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_host_tensor input = onnx_value(TM_FLOAT32, DIMS(1, K, SIDE, SIDE), cut), output;
    assert_ok(tm_graph_run(graph, &input, 1, &output, &err), &err);
    assert_true(tm_shape_count(&output.shape, count));
    return output.data;
}

static void check_tail(uint32_t rate, bool dense) {
    tm_error err = TAGMASK_ERROR_INIT;
    onnx_model *whole = network(1, false, false), *wanted = network(rate, dense, true);
    const tm_tail tail = {"cut", rate, dense};
    tm_graph *a = load_tail(whole, &tail, &err), *b = onnx_load(wanted, test_gpu());
    assert_ok(a ? TAGMASK_OK : err.status, &err);
    const tm_value_info *inputs;
    assert_int_equal(tm_graph_inputs(a, &inputs), 1);
    assert_string_equal(inputs[0].name, "cut");
    float *cut = test_noise(5, K * SIDE * SIDE, -1, 1);
    size_t count_a, count_b;
    float *got = run(a, cut, &count_a), *expected = run(b, cut, &count_b);
    assert_int_equal(count_a, count_b);
    assert_memory_equal(got, expected, count_a * sizeof *got);
    free(got);
    free(expected);
    free(cut);
    tm_graph_free(a);
    tm_graph_free(b);
    onnx_free(whole);
    onnx_free(wanted);
}

static void as_in_the_model(void **state) {
    (void)state;
    check_tail(1, false);
}
static void dilated(void **state) {
    (void)state;
    check_tail(2, false);
    check_tail(3, false);
}
static void without_strides(void **state) {
    (void)state;
    check_tail(1, true);
    check_tail(2, true);
}

// The tail's input is the same tensor as inside the whole network: both ends meet.
static void whole_in_two_parts(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    onnx_model *m = network(1, false, false);
    onnx_output(m, "cut");
    tm_graph *whole = onnx_load(m, test_gpu());
    onnx_free(m);
    m = network(1, false, false);
    const tm_tail kind = {"cut", 1, false};
    tm_graph *tail = load_tail(m, &kind, &err);
    assert_ok(tail ? TAGMASK_OK : err.status, &err);
    float *x = test_noise(6, C * SIDE * SIDE, -1, 1);
    tm_host_tensor input = onnx_value(TM_FLOAT32, DIMS(1, C, SIDE, SIDE), x), outputs[2];
    assert_ok(tm_graph_run(whole, &input, 1, outputs, &err), &err);
    size_t count;
    float *got = run(tail, outputs[1].data, &count);
    assert_memory_equal(got, outputs[0].data, count * sizeof *got);
    free(got);
    free(outputs[0].data);
    free(outputs[1].data);
    free(x);
    tm_graph_free(whole);
    tm_graph_free(tail);
    onnx_free(m);
}

static void expect_error(const onnx_model *m, const char *from, size_t output, const char *text) {
    tm_error err = TAGMASK_ERROR_INIT;
    const tm_tail kind = {.from = from, .dilation = 1, .output = output};
    assert_null(load_tail(m, &kind, &err));
    if (!strstr(err.message, text)) fail_msg("\"%s\" does not say \"%s\"", err.message, text);
}

static void bad_cuts(void **state) {
    (void)state;
    onnx_model *m = network(1, false, false);
    expect_error(m, "nothing", 0, "has no tensor 'nothing'");
    expect_error(m, "w1", 0, "has no tensor 'w1'");
    onnx_free(m);
    // A skip connection around the cut.
    m = network(1, false, false);
    onnx_add(m, "GlobalAveragePool", "x", "mean");
    onnx_add(m, "ReduceSum", "mean", "sum");
    onnx_add(m, "Add", "y,sum", "z");
    onnx_output(m, "z");
    expect_error(m, "cut", 1, "(Add) after it also reads 'sum', which does not come from it");
    // Of another output it is none of this one's business.
    tm_error err = TAGMASK_ERROR_INIT;
    const tm_tail kind = {.from = "cut", .dilation = 1};
    tm_graph *tail = load_tail(m, &kind, &err);
    assert_non_null(tail);
    tm_graph_free(tail);
    onnx_free(m);
}

// Inner tensors alone: the same bits as beside the output, without what only that needs.
static void layers_alone(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    onnx_model *m = network(1, false, false);
    size_t size;
    uint8_t *bytes = onnx_bytes(m, &size);
    char *folder = test_temporary_dir(), *path = tm_path_join(folder, "m.onnx");
    assert_ok(tm_write_file(path, bytes, size, &err), &err);
    const char *layers[] = {"relu"};
    tm_graph *whole = NULL, *part = NULL, *none = NULL;
    assert_ok(tm_graph_load(test_gpu(), path, layers, 1, &whole, &err), &err);
    assert_ok(tm_graph_load_layers(test_gpu(), TM_FP32, path, layers, 1, &part, &err), &err);
    float *x = test_noise(9, C * SIDE * SIDE, -1, 1);
    const tm_host_tensor input = onnx_value(TM_FLOAT32, DIMS(1, C, SIDE, SIDE), x);
    tm_host_tensor both[2], alone;
    assert_ok(tm_graph_run(whole, &input, 1, both, &err), &err);
    assert_ok(tm_graph_run(part, &input, 1, &alone, &err), &err);
    size_t count = 0;
    assert_true(tm_shape_equal(&both[1].shape, &alone.shape) && tm_shape_count(&alone.shape, &count));
    assert_memory_equal(both[1].data, alone.data, count * sizeof(float));
    const tm_value_info *outputs;
    assert_int_equal(tm_graph_outputs(part, &outputs), 1);
    assert_true(part->node_count < whole->node_count);
    layers[0] = "nowhere";
    assert_int_equal(tm_graph_load_layers(test_gpu(), TM_FP32, path, layers, 1, &none, &err), TAGMASK_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "nowhere"));
    free(both[0].data);
    free(both[1].data);
    free(alone.data);
    free(x);
    tm_graph_free(whole);
    tm_graph_free(part);
    onnx_free(m);
    free(bytes);
    free(path);
    free(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_in_the_model),    cmocka_unit_test(dilated),  cmocka_unit_test(without_strides),
        cmocka_unit_test(whole_in_two_parts), cmocka_unit_test(bad_cuts), cmocka_unit_test(layers_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
