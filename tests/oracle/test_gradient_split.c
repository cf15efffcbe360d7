// Gradients of tensors larger than the device binds: on a device whose range is lowered they are what they are on the
// device as it is.
#include <stdlib.h>
#include <string.h>

#include "gradient_case.h"

static tm_gpu *open_lowered(const char *range, const char *alignment) {
    tm_gpu *gpu = NULL;
    tm_error err = TAGMASK_ERROR_INIT;
    setenv("TAGMASK_STORAGE_RANGE", range, 1);
    setenv("TAGMASK_BUFFER_ALIGNMENT", alignment, 1);
    assert_ok(tm_gpu_open(NULL, &gpu, &err), &err);
    unsetenv("TAGMASK_STORAGE_RANGE");
    unsetenv("TAGMASK_BUFFER_ALIGNMENT");
    return gpu;
}

static tm_host_tensor run_on(tm_gpu *gpu, const gradient_case *c, const tm_host_tensor *inputs, uint64_t *dispatches) {
    tm_error err = TAGMASK_ERROR_INIT;
    onnx_model *m = gradient_model(c, 12);
    size_t size;
    uint8_t *bytes = onnx_bytes(m, &size);
    tm_gradient request = {"y", &c->tensors[0].name, 1, TM_FP32, false};
    tm_graph *graph = NULL;
    assert_ok(tm_graph_load_gradient_memory(gpu, bytes, size, "model", &request, NULL, 0, &graph, &err), &err);
    tm_host_tensor outputs[2];
    uint64_t before = tm_gpu_get_stats(gpu).dispatches;
    if (tm_graph_run(graph, inputs, 2, outputs, &err) != TAGMASK_OK) fail_msg("%s: %s", c->chain, err.message);
    *dispatches = tm_gpu_get_stats(gpu).dispatches - before;
    tm_graph_free(graph);
    free(outputs[0].data);
    free(bytes);
    onnx_free(m);
    return outputs[1];
}

static void check(const gradient_case *c, const char *range) {
    tm_shape x = shape_of(c->tensors[0].rank, c->tensors[0].dims), y = gradient_shape(c);
    float *data = test_noise(1, elements(&x), -1, 1), *g = test_noise(2, elements(&y), -1, 1);
    tm_host_tensor inputs[2] = {onnx_value(TM_FLOAT32, (size_t)x.rank, x.dim, data),
                                onnx_value(TM_FLOAT32, (size_t)y.rank, y.dim, g)};
    uint64_t whole_dispatches, dispatches;
    tm_host_tensor whole = run_on(test_gpu(), c, inputs, &whole_dispatches);
    static const char *const alignments[] = {"16", "256"};
    for (size_t a = 0; a < TM_ARRAY_LEN(alignments); a++) {
        tm_gpu *gpu = open_lowered(range, alignments[a]);
        tm_host_tensor cut = run_on(gpu, c, inputs, &dispatches);
        if (dispatches == whole_dispatches) fail_msg("%s was not cut", c->chain);
        if (test_relative_error(cut.data, whole.data, elements(&x)) > 1e-5)  // another variant of a kernel may fit
            fail_msg("%s, alignment %s: off by %g", c->chain, alignments[a],
                     test_relative_error(cut.data, whole.data, elements(&x)));
        free(cut.data);
        assert_int_equal(tm_gpu_validation_errors(gpu), 0);
        tm_gpu_close(gpu);
    }
    free(whole.data);
    free(data);
    free(g);
}

// Convolutions are cut between images only.
static void gradients_are_cut(void **state) {
    (void)state;
    static const gradient_case cases[] = {
        {"Sigmoid x y", {{"x", 4, {2, 8, 12, 16}}}},
        {"Sigmoid x a; Add a,w y", {{"x", 4, {1, 6, 7, 9}}, {"w", 4, {3, 6, 7, 9}}}},
        {"Sigmoid x a; Mul a,w y", {{"x", 3, {6, 1, 9}}, {"w", 4, {3, 6, 27, 9}}}},
        {"Sigmoid x a; ReduceMean a y axes=1,3 keepdims=0", {{"x", 4, {4, 8, 12, 16}}}, 13},
        {"Conv x,w a; GlobalAveragePool a y", {{"x", 4, {4, 8, 12, 16}}, {"w", 4, {8, 8, 1, 1}}}},
        {"Conv x,w y pads=1,1,1,1", {{"x", 4, {6, 4, 12, 16}}, {"w", 4, {4, 4, 3, 3}}}},
        {"Conv x,w a pads=1,1,1,1 strides=2,2; Conv a,v y pads=0,0,1,1 strides=2,2 group=4",
         {{"x", 4, {6, 4, 12, 16}}, {"w", 4, {4, 4, 3, 3}}, {"v", 4, {4, 1, 3, 3}}}},
        {"Conv x,k a pads=1,1,1,1; BatchNormalization a,s,s,s,s b; Sigmoid b c; Conv c,w y pads=1,1,1,1",
         {{"x", 4, {6, 4, 12, 16}}, {"w", 4, {4, 4, 3, 3}}, {"k", 4, {4, 4, 3, 3}}, {"s", 1, {4}, 0.5f, 1}}},
        {"BatchNormalization x,s,w,s,s b; Sigmoid b y",
         {{"x", 4, {6, 4, 12, 16}}, {"w", 1, {4}}, {"s", 1, {4}, 0.5f, 1}}},
        {"MaxPool x y kernel_shape=2,2 strides=2,2", {{"x", 4, {6, 8, 12, 16}}}},
        {"AveragePool x y kernel_shape=3,3", {{"x", 4, {6, 8, 12, 16}}}},
        {"Softmax x y axis=2", {{"x", 4, {6, 8, 12, 16}}}},
        {"Concat x,x,w y axis=1", {{"x", 4, {6, 8, 12, 16}}, {"w", 4, {6, 3, 12, 16}}}},
        {"Slice x,[0:1],[9:9],[1:2] y", {{"x", 4, {6, 8, 12, 16}}}},
        {"Pad x,[0:0:1:1:0:0:1:2] y", {{"x", 4, {6, 8, 12, 16}}}},
    };
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++)
        check(&cases[i], strncmp(cases[i].chain, "Conv", 4) ? "4096" : "8192");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
