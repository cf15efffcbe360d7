// ConvTranspose against a plain C scatter: strides, dilations, groups, output_padding, output_shape, auto_pad, signals.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"
#include "onnx_build.h"
#include "ref_conv.h"
#include "support.h"

typedef struct transpose_case {
    ref_conv conv;  // pads as they must come out
    int out_height, out_width;
    const char *auto_pad;  // NULL: explicit pads
    int extra, wanted;     // output_padding of both axes; 1: pass output_shape instead of pads
    bool bias, relu;
} transpose_case;

#define SIZE(n, c, h, w) .batch = (n), .in_channels = (c), .in_height = (h), .in_width = (w)
#define KERNEL(m, k, g) .out_channels = (m), .kernel_height = (k), .kernel_width = (k), .groups = (g)
#define STEP(s, d) .stride_y = (s), .stride_x = (s), .dilation_y = (d), .dilation_x = (d)
#define PADS(t, l, b, r) .pad_top = (t), .pad_left = (l), .pad_bottom = (b), .pad_right = (r)

static const transpose_case cases[] = {
    {{SIZE(1, 5, 7, 9), KERNEL(6, 2, 1), STEP(2, 1), PADS(0, 0, 0, 0)}, 14, 18, NULL, 0, 0, true, true},
    {{SIZE(2, 6, 5, 4), KERNEL(4, 3, 2), STEP(2, 1), PADS(1, 1, 1, 1)}, 10, 8, NULL, 1, 0, true, false},
    {{SIZE(1, 3, 6, 5), KERNEL(2, 3, 1), STEP(1, 2), PADS(1, 0, 2, 1)}, 7, 8, NULL, 0, 0, false, false},
    {{SIZE(1, 3, 6, 5), KERNEL(2, 4, 1), STEP(3, 1), PADS(1, 1, 0, 0)}, 18, 15, "SAME_LOWER", 0, 0, false, false},
    {{SIZE(1, 3, 6, 5), KERNEL(2, 4, 1), STEP(3, 1), PADS(0, 0, 1, 1)}, 18, 15, "SAME_UPPER", 0, 0, false, false},
    {{SIZE(2, 7, 6, 9), KERNEL(5, 4, 1), STEP(2, 1), PADS(1, 1, 1, 1)}, 12, 18, NULL, 0, 0, true, true},
    {{SIZE(1, 6, 5, 8), KERNEL(9, 3, 1), STEP(2, 1), PADS(1, 1, 1, 1)}, 10, 16, NULL, 1, 0, true, false},
    {{SIZE(1, 9, 7, 4), KERNEL(3, 5, 1), STEP(3, 1), PADS(4, 0, 1, 2)}, 18, 12, NULL, 0, 0, false, true},
    {{SIZE(1, 4, 4, 5), KERNEL(6, 1, 1), STEP(2, 1), PADS(0, 0, 0, 0)}, 8, 10, NULL, 1, 0, true, false},
    {{SIZE(1, 4, 9, 9), KERNEL(8, 2, 1), STEP(2, 1), PADS(1, 0, 1, 2)}, 16, 16, NULL, 0, 0, true, true},
    {{SIZE(1, 5, 6, 6), KERNEL(7, 3, 1), STEP(1, 1), PADS(1, 2, 1, 0)}, 6, 6, NULL, 0, 0, true, true},
    {{SIZE(1, 4, 3, 3), KERNEL(4, 3, 4), STEP(3, 1), PADS(0, 0, -1, -1)}, 10, 10, NULL, 0, 1, true, false},
};

static float *run_case(const transpose_case *c, const float *x, const float *w, const float *b, tm_shape *shape) {
    const ref_conv *r = &c->conv;
    onnx_model *model = onnx_new(14);
    onnx_input(model, "x", TM_FLOAT32, DIMS(-1, r->in_channels, -1, -1));
    onnx_constant(model, "w", TM_FLOAT32,
                  DIMS(r->in_channels, r->out_channels / r->groups, r->kernel_height, r->kernel_width), w);
    onnx_constant(model, "b", TM_FLOAT32, DIMS(r->out_channels), b);
    onnx_node *node = onnx_add(model, "ConvTranspose", c->bias ? "x,w,b" : "x,w", c->relu ? "c" : "y");
    onnx_ints(model, node, "strides", DIMS(r->stride_y, r->stride_x));
    onnx_ints(model, node, "dilations", DIMS(r->dilation_y, r->dilation_x));
    onnx_int(model, node, "group", r->groups);
    if (c->extra) onnx_ints(model, node, "output_padding", DIMS(c->extra, c->extra));
    if (c->auto_pad)
        onnx_string(model, node, "auto_pad", c->auto_pad);
    else if (c->wanted)
        onnx_ints(model, node, "output_shape", DIMS(c->out_height, c->out_width));
    else
        onnx_ints(model, node, "pads", DIMS(r->pad_top, r->pad_left, r->pad_bottom, r->pad_right));
    if (c->relu) onnx_add(model, "Relu", "c", "y");
    onnx_output(model, "y");
    tm_host_tensor value = onnx_value(TM_FLOAT32, DIMS(r->batch, r->in_channels, r->in_height, r->in_width), x);
    float *y = onnx_run(model, test_gpu(), &value, 1, shape);
    onnx_free(model);
    return y;
}

static void test_images(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const transpose_case *c = &cases[i];
        const ref_conv *r = &c->conv;
        size_t taps = (size_t)(r->kernel_height * r->kernel_width);
        float *x = test_noise(i, (size_t)(r->batch * r->in_channels * r->in_height * r->in_width), -1, 1);
        float *w = test_noise(i + 20, (size_t)(r->in_channels * (r->out_channels / r->groups)) * taps, -1, 1);
        float *b = test_noise(i + 40, (size_t)r->out_channels, -1, 1);
        float *expected = ref_conv_transpose(r, c->out_height, c->out_width, x, w, c->bias ? b : NULL);
        size_t count = (size_t)(r->batch * r->out_channels * c->out_height * c->out_width);
        for (size_t k = 0; c->relu && k < count; k++) expected[k] = expected[k] > 0 ? expected[k] : 0;
        tm_shape shape;
        float *y = run_case(c, x, w, b, &shape);
        assert_int_equal(shape.dim[2], c->out_height);
        assert_int_equal(shape.dim[3], c->out_width);
        double error = test_relative_error(y, expected, count);
        if (!(error <= 1e-4)) fail_msg("case %zu: relative error %g", i, error);
        free(x);
        free(w);
        free(b);
        free(expected);
        free(y);
    }
}

// The sum of two, of which one becomes the other's residual, with an activation that leaves no zero a zero.
static void test_residual(void **state) {
    (void)state;
    static const ref_conv r = {SIZE(2, 5, 4, 6), KERNEL(6, 4, 1), STEP(2, 1), PADS(1, 1, 1, 1)};
    enum { COUNT = 2 * 6 * 8 * 12, WEIGHTS = 5 * 6 * 16 };
    float *x = test_noise(1, 2 * 5 * 4 * 6, -1, 1), *w = test_noise(2, 2 * WEIGHTS, -1, 1);
    float *first = ref_conv_transpose(&r, 8, 12, x, w, NULL),
          *second = ref_conv_transpose(&r, 8, 12, x, w + WEIGHTS, NULL);
    for (int i = 0; i < COUNT; i++) first[i] = 1 / (1 + expf(-(first[i] + second[i])));
    onnx_model *model = onnx_new(13);
    onnx_input(model, "x", TM_FLOAT32, DIMS(-1, 5, -1, -1));
    onnx_constant(model, "w", TM_FLOAT32, DIMS(5, 6, 4, 4), w);
    onnx_constant(model, "v", TM_FLOAT32, DIMS(5, 6, 4, 4), w + WEIGHTS);
    for (int i = 0; i < 2; i++) {
        onnx_node *node = onnx_add(model, "ConvTranspose", i ? "x,v" : "x,w", i ? "b" : "a");
        onnx_ints(model, node, "strides", DIMS(2, 2));
        onnx_ints(model, node, "pads", DIMS(1, 1, 1, 1));
    }
    onnx_add(model, "Add", "a,b", "c");
    onnx_add(model, "Sigmoid", "c", "y");
    onnx_output(model, "y");
    tm_shape shape;
    tm_host_tensor value = onnx_value(TM_FLOAT32, DIMS(2, 5, 4, 6), x);
    float *y = onnx_run(model, test_gpu(), &value, 1, &shape);
    assert_close(y, first, COUNT, 1e-4);
    free(x);
    free(w);
    free(first);
    free(second);
    free(y);
    onnx_free(model);
}

static void test_signal(void **state) {
    (void)state;
    static const ref_conv r = {SIZE(1, 4, 1, 11), .out_channels = 3, .kernel_height = 1, .kernel_width = 4,
                               .groups = 1,       .stride_y = 1,     .stride_x = 2,      .dilation_y = 1,
                               .dilation_x = 1,   .pad_left = 1};
    float *x = test_noise(1, 44, -1, 1), *w = test_noise(2, 48, -1, 1);
    float *expected = ref_conv_transpose(&r, 1, 22, x, w, NULL);
    onnx_model *model = onnx_new(11);
    onnx_input(model, "x", TM_FLOAT32, DIMS(1, 4, 11));
    onnx_constant(model, "w", TM_FLOAT32, DIMS(4, 3, 4), w);
    onnx_node *node = onnx_add(model, "ConvTranspose", "x,w", "y");
    onnx_ints(model, node, "strides", DIMS(2));
    onnx_ints(model, node, "pads", DIMS(1, 1));
    onnx_output(model, "y");
    tm_shape shape;
    tm_host_tensor value = onnx_value(TM_FLOAT32, DIMS(1, 4, 11), x);
    float *y = onnx_run(model, test_gpu(), &value, 1, &shape);
    assert_int_equal(shape.rank, 3);
    assert_int_equal(shape.dim[2], 22);
    assert_close(y, expected, 66, 1e-4);
    free(x);
    free(w);
    free(expected);
    free(y);
    onnx_free(model);
}

static void test_bad(void **state) {
    (void)state;
    static const struct {
        const char *name;
        size_t count;
        int64_t values[4];
    } bad[] = {{"strides", 2, {0, 1}},
               {"pads", 4, {9, 9, 9, 9}},
               {"output_shape", 2, {-4, 4}},
               {"output_padding", 1, {1}},
               {"group", 0, {3}},
               {"kernel_shape", 2, {2, 3}},
               {"dilations", 2, {1 << 20, 1 << 20}}};
    float *noise = test_noise(3, 4096, -1, 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        onnx_model *model = onnx_new(13);
        onnx_input(model, "x", TM_FLOAT32, DIMS(1, 4, 5, 5));
        // A thousand taps with the largest dilation reach beyond what 32-bit positions can hold.
        bool wide = !strcmp(bad[i].name, "dilations");
        onnx_constant(model, "w", TM_FLOAT32, DIMS(4, 1, 1, wide ? 1000 : 3), noise);
        onnx_node *node = onnx_add(model, "ConvTranspose", "x,w", "y");
        if (bad[i].count)
            onnx_ints(model, node, bad[i].name, bad[i].count, bad[i].values);
        else
            onnx_int(model, node, bad[i].name, bad[i].values[0]);
        onnx_output(model, "y");
        size_t size;
        uint8_t *bytes = onnx_bytes(model, &size);
        tm_error err = TAGMASK_ERROR_INIT;
        tm_graph *graph = NULL;
        tagmask_status status = tm_graph_load_memory(test_gpu(), bytes, size, "bad", NULL, 0, &graph, &err);
        tm_plan *plan;
        tm_host_tensor x = onnx_value(TM_FLOAT32, DIMS(1, 4, 5, 5), noise);
        if (status == TAGMASK_OK) status = tm_graph_plan(graph, &x, 1, &plan, &err);
        if (status == TAGMASK_OK) fail_msg("bad case %zu was accepted", i);
        if (!strstr(err.message, "ConvTranspose")) fail_msg("bad case %zu: '%s' names no node", i, err.message);
        tm_graph_free(graph);
        free(bytes);
        onnx_free(model);
    }
    free(noise);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_images), cmocka_unit_test(test_residual),
                                       cmocka_unit_test(test_signal), cmocka_unit_test(test_bad)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
