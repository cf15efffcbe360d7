// Every kernel of the convolution family against the plain C convolution: odd sizes, strides, dilations, groups,
// asymmetric pads, every fused activation, the fused residual, weights computed at run time.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"
#include "onnx_build.h"
#include "ref_conv.h"
#include "support.h"

#define TOLERANCE 1e-4

typedef enum case_act { NONE, RELU, CLIP, LEAKY, HARDSWISH, SIGMOID, SILU } case_act;
typedef struct conv_case {
    ref_conv conv;
    case_act act;
    bool bias, residual;
} conv_case;

#define PADS(t, l, b, r) .pad_top = (t), .pad_left = (l), .pad_bottom = (b), .pad_right = (r)
#define STEP(s, d) .stride_y = (s), .stride_x = (s), .dilation_y = (d), .dilation_x = (d)
#define SIZE(n, c, h, w) .batch = (n), .in_channels = (c), .in_height = (h), .in_width = (w)
#define KERNEL(m, k, g) .out_channels = (m), .kernel_height = (k), .kernel_width = (k), .groups = (g)

static const conv_case cases[] = {
    {{SIZE(1, 16, 32, 32), KERNEL(16, 3, 1), STEP(1, 1), PADS(1, 1, 1, 1)}, RELU, true, false},
    {{SIZE(1, 64, 21, 35), KERNEL(1, 3, 1), STEP(1, 1), PADS(1, 1, 1, 1)}, SIGMOID, true, false},
    {{SIZE(3, 17, 13, 29), KERNEL(33, 3, 1), STEP(1, 1), PADS(1, 1, 1, 1)}, RELU, true, true},
    {{SIZE(2, 9, 34, 31), KERNEL(11, 3, 1), STEP(1, 1), PADS(0, 2, 1, 0)}, HARDSWISH, false, false},
    {{SIZE(1, 7, 3, 2), KERNEL(9, 3, 1), STEP(1, 1), PADS(2, 2, 2, 2)}, LEAKY, true, true},
    {{SIZE(1, 16, 19, 23), KERNEL(20, 3, 1), STEP(1, 2), PADS(2, 2, 2, 2)}, SILU, true, false},
    {{SIZE(2, 3, 33, 17), KERNEL(10, 3, 1), STEP(2, 1), PADS(0, 0, 1, 1)}, CLIP, true, false},
    {{SIZE(1, 4, 40, 40), KERNEL(4, 7, 1), STEP(3, 1), PADS(0, 0, 0, 0)}, NONE, true, false},
    {{SIZE(1, 40, 9, 70), KERNEL(70, 1, 1), STEP(1, 1), PADS(0, 0, 0, 0)}, CLIP, true, true},
    {{SIZE(2, 32, 8, 16), KERNEL(24, 1, 1), STEP(1, 1), PADS(0, 0, 0, 0)}, NONE, false, false},
    {{SIZE(2, 37, 11, 13), KERNEL(75, 1, 1), STEP(1, 1), PADS(0, 0, 0, 0)}, RELU, true, true},
    {{SIZE(1, 5, 9, 70), KERNEL(6, 1, 1), STEP(2, 1), PADS(0, 0, 0, 0)}, NONE, true, false},
    {{SIZE(1, 32, 14, 15), KERNEL(32, 5, 32), STEP(1, 1), PADS(2, 2, 2, 2)}, CLIP, true, true},
    {{SIZE(2, 13, 19, 17), KERNEL(13, 3, 13), STEP(2, 1), PADS(0, 0, 1, 1)}, SIGMOID, true, false},
    {{SIZE(1, 6, 17, 12), KERNEL(6, 5, 6), STEP(2, 1), PADS(1, 2, 2, 1)}, NONE, false, false},
    {{SIZE(1, 8, 21, 20), KERNEL(8, 3, 8), STEP(1, 2), PADS(2, 2, 2, 2)}, RELU, true, false},
    {{SIZE(2, 16, 12, 12), KERNEL(24, 3, 2), STEP(1, 1), PADS(1, 1, 1, 1)}, SILU, true, true},
    {{SIZE(1, 6, 12, 11), KERNEL(9, 3, 3), STEP(2, 1), PADS(1, 1, 1, 1)}, HARDSWISH, true, false},
    {{SIZE(1, 4, 10, 10), KERNEL(8, 3, 4), STEP(1, 1), PADS(1, 1, 1, 1)}, NONE, true, false},
};

static float activate(case_act act, float v) {
    switch (act) {
        case NONE:
            return v;
        case RELU:
            return fmaxf(v, 0);
        case CLIP:
            return fminf(fmaxf(v, -0.25f), 0.5f);
        case LEAKY:
            return v < 0 ? 0.1f * v : v;
        case HARDSWISH:
            return v * fminf(fmaxf(v / 6 + 0.5f, 0), 1);
        case SIGMOID:
            return 1 / (1 + expf(-v));
        case SILU:
            return v / (1 + expf(-v));
    }
    return v;
}

static void add_act(onnx_model *model, case_act act, const char *from, const char *to) {
    static const float low = -0.25f, high = 0.5f;
    static const char *const types[] = {"Identity", "Relu", "Clip", "LeakyRelu", "HardSwish", "Sigmoid", "Sigmoid"};
    char inputs[64];
    snprintf(inputs, sizeof inputs, act == CLIP ? "%s,low,high" : "%s", from);
    if (act == CLIP) {
        onnx_constant(model, "low", TM_FLOAT32, SCALAR, &low);
        onnx_constant(model, "high", TM_FLOAT32, SCALAR, &high);
    }
    onnx_node *node = onnx_add(model, types[act], inputs, act == SILU ? "gate" : to);
    if (act == LEAKY) onnx_float(model, node, "alpha", 0.1f);
    if (act != SILU) return;
    snprintf(inputs, sizeof inputs, "%s,gate", from);
    onnx_add(model, "Mul", inputs, to);
}

typedef struct conv_data {
    float *x, *weights, *bias, *residual, *expected;
    size_t count;
} conv_data;

static conv_data make_data(const conv_case *c, uint64_t seed) {
    const ref_conv *r = &c->conv;
    size_t weights = (size_t)(r->out_channels * (r->in_channels / r->groups) * r->kernel_height * r->kernel_width);
    conv_data d = {.count = (size_t)(r->batch * r->out_channels * ref_conv_out_height(r) * ref_conv_out_width(r))};
    d.x = test_noise(seed, (size_t)(r->batch * r->in_channels * r->in_height * r->in_width), -1, 1);
    d.weights = test_noise(seed + 1, weights, -0.3f, 0.3f);
    d.bias = test_noise(seed + 2, (size_t)r->out_channels, -1, 1);
    d.residual = test_noise(seed + 3, d.count, -1, 1);
    d.expected = ref_conv_run(r, d.x, d.weights, c->bias ? d.bias : NULL);
    for (size_t i = 0; i < d.count; i++)
        d.expected[i] = activate(c->act, d.expected[i] + (c->residual ? d.residual[i] : 0));
    return d;
}

static void free_data(conv_data *d) {
    free(d->x);
    free(d->weights);
    free(d->bias);
    free(d->residual);
    free(d->expected);
}

// Conv, Add of the residual and the activation as separate nodes: the passes fuse them. dynamic: the weights are
// inputs.
static void check(tm_gpu *gpu, const conv_case *c, bool dynamic, uint64_t seed, const char *what) {
    const ref_conv *r = &c->conv;
    conv_data d = make_data(c, seed);
    onnx_model *model = onnx_new(14);
    size_t inputs = 1;
    int64_t height = ref_conv_out_height(r), width = ref_conv_out_width(r);
    tm_host_tensor values[4] = {onnx_value(TM_FLOAT32, DIMS(r->batch, r->in_channels, r->in_height, r->in_width), d.x)};
    onnx_input(model, "x", TM_FLOAT32, DIMS(-1, r->in_channels, -1, -1));
    if (c->residual) {
        onnx_input(model, "r", TM_FLOAT32, DIMS(-1, r->out_channels, -1, -1));
        values[inputs++] = onnx_value(TM_FLOAT32, DIMS(r->batch, r->out_channels, height, width), d.residual);
    }
    if (dynamic) {
        onnx_input(model, "w", TM_FLOAT32, DIMS(-1, -1, -1, -1));
        values[inputs++] =
            onnx_value(TM_FLOAT32, DIMS(r->out_channels, r->in_channels / r->groups, r->kernel_height, r->kernel_width),
                       d.weights);
        if (c->bias) {
            onnx_input(model, "b", TM_FLOAT32, DIMS(-1));
            values[inputs++] = onnx_value(TM_FLOAT32, DIMS(r->out_channels), d.bias);
        }
    } else {
        onnx_constant(model, "w", TM_FLOAT32,
                      DIMS(r->out_channels, r->in_channels / r->groups, r->kernel_height, r->kernel_width), d.weights);
        onnx_constant(model, "b", TM_FLOAT32, DIMS(r->out_channels), d.bias);
    }
    onnx_node *conv = onnx_add(model, "Conv", c->bias ? "x,w,b" : "x,w", c->residual || c->act ? "c" : "y");
    onnx_ints(model, conv, "strides", DIMS(r->stride_y, r->stride_x));
    onnx_ints(model, conv, "dilations", DIMS(r->dilation_y, r->dilation_x));
    onnx_ints(model, conv, "pads", DIMS(r->pad_top, r->pad_left, r->pad_bottom, r->pad_right));
    onnx_int(model, conv, "group", r->groups);
    if (c->residual) onnx_add(model, "Add", "c,r", c->act ? "s" : "y");
    if (c->act) add_act(model, c->act, c->residual ? "s" : "c", "y");
    onnx_output(model, "y");
    tm_shape shape;
    float *y = onnx_run(model, gpu, values, inputs, &shape);
    assert_int_equal(shape.dim[2], height);
    assert_int_equal(shape.dim[3], width);
    double error = test_relative_error(y, d.expected, d.count);
    if (!(error <= TOLERANCE)) fail_msg("%s, case %d: relative error %g", what, (int)(c - cases), error);
    free(y);
    free_data(&d);
    onnx_free(model);
}

static void check_all(tm_gpu *gpu, const char *pinned) {
    if (pinned) setenv("TAGMASK_CONV", pinned, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check(gpu, &cases[i], false, 100 * i, pinned ? pinned : "chosen");
    unsetenv("TAGMASK_CONV");
}

static void test_chosen(void **state) {
    (void)state;
    check_all(test_gpu(), NULL);
}
static void test_direct(void **state) {
    (void)state;
    check_all(test_gpu(), "direct");
}
static void test_winograd(void **state) {
    (void)state;
    check_all(test_gpu(), "winograd");
}
// Tiles of 2x2 pixels.
static void test_winograd2(void **state) {
    (void)state;
    check_all(test_gpu(), "winograd2");
}
static void test_linear(void **state) {
    (void)state;
    check_all(test_gpu(), "linear");
}

static tm_gpu *open_gpu_class(void) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_gpu *gpu;
    const char *before = getenv("TAGMASK_GPU_CLASS");
    char *kept = before ? strdup(before) : NULL;
    setenv("TAGMASK_GPU_CLASS", "gpu", 1);
    assert_ok(tm_gpu_open(NULL, &gpu, &err), &err);
    if (kept)
        setenv("TAGMASK_GPU_CLASS", kept, 1);
    else
        unsetenv("TAGMASK_GPU_CLASS");
    free(kept);
    return gpu;
}

// The kernels that real GPUs get, on whatever device there is.
static void test_gpu_class(void **state) {
    (void)state;
    tm_gpu *gpu = open_gpu_class();
    check_all(gpu, NULL);
    check_all(gpu, "direct");
    check_all(gpu, "winograd");
    check_all(gpu, "winograd2");
    check_all(gpu, "shared");
    assert_int_equal(tm_gpu_validation_errors(gpu), 0);
    tm_gpu_close(gpu);
}

// Whatever the tuner takes serves, and it makes few pipelines: for 20 cases with seven activations (Relu and Clip are
// one), with and without residual, about as many as the kernels and endings that there are.
static void test_tuned(void **state) {
    (void)state;
    char *folder = test_temporary_dir();
    const char *cache = getenv("TAGMASK_CACHE");
    char *kept = cache ? strdup(cache) : NULL;
    setenv("TAGMASK_CACHE", folder, 1);
    setenv("TAGMASK_TUNE", "full", 1);
    tm_gpu *gpu = open_gpu_class();
    check_all(gpu, NULL);
    uint64_t made = tm_gpu_get_stats(gpu).pipelines_created;
    if (made > 80) fail_msg("%llu pipelines", (unsigned long long)made);
    check_all(gpu, NULL);  // all is chosen and made
    assert_int_equal(tm_gpu_get_stats(gpu).pipelines_created, made);
    tm_gpu_close(gpu);
    unsetenv("TAGMASK_TUNE");
    unsetenv("TAGMASK_CACHE");
    if (kept) setenv("TAGMASK_CACHE", kept, 1);
    free(kept);
    free(folder);
}

static void test_weights_at_run_time(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check(test_gpu(), &cases[i], true, 100 * i + 50, "run-time weights");
    setenv("TAGMASK_CONV", "linear", 1);  // as they are
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check(test_gpu(), &cases[i], true, 100 * i + 50, "run-time weights, linear");
    unsetenv("TAGMASK_CONV");
}

// More tiles than one chunk of the Winograd stages holds, and more than the last chunk fills.
static void test_winograd_chunks(void **state) {
    (void)state;
    static const conv_case large = {{SIZE(2, 65, 66, 70), KERNEL(64, 3, 1), STEP(1, 1), PADS(1, 1, 1, 1)}, NONE, true};
    setenv("TAGMASK_CONV", "winograd", 1);
    check(test_gpu(), &large, false, 7, "chunks");
    setenv("TAGMASK_CONV", "winograd2", 1);
    check(test_gpu(), &large, false, 7, "chunks of small tiles");
    unsetenv("TAGMASK_CONV");
}

// auto_pad against the same convolution with explicit pads.
static void test_auto_pad(void **state) {
    (void)state;
    static const struct {
        const char *mode;
        int top, left, bottom, right;
    } modes[] = {{"SAME_UPPER", 0, 1, 1, 1}, {"SAME_LOWER", 1, 1, 0, 1}, {"VALID", 0, 0, 0, 0}};
    for (size_t i = 0; i < 3; i++) {
        conv_case c = {{SIZE(1, 5, 8, 9), KERNEL(6, 3, 1), STEP(2, 1),
                        PADS(modes[i].top, modes[i].left, modes[i].bottom, modes[i].right)}};
        conv_data d = make_data(&c, 9);
        onnx_model *model = onnx_new(13);
        onnx_input(model, "x", TM_FLOAT32, DIMS(1, 5, -1, -1));
        onnx_constant(model, "w", TM_FLOAT32, DIMS(6, 5, 3, 3), d.weights);
        onnx_node *conv = onnx_add(model, "Conv", "x,w", "y");
        onnx_ints(model, conv, "strides", DIMS(2, 2));
        onnx_string(model, conv, "auto_pad", modes[i].mode);
        onnx_output(model, "y");
        tm_shape shape;
        tm_host_tensor x = onnx_value(TM_FLOAT32, DIMS(1, 5, 8, 9), d.x);
        float *y = onnx_run(model, test_gpu(), &x, 1, &shape);
        assert_int_equal(shape.dim[2], ref_conv_out_height(&c.conv));
        assert_int_equal(shape.dim[3], ref_conv_out_width(&c.conv));
        assert_close(y, d.expected, d.count, TOLERANCE);
        free(y);
        free_data(&d);
        onnx_free(model);
    }
}

// A signal: rank 3, as one row of an image.
static void test_one_dimension(void **state) {
    (void)state;
    conv_case c = {{SIZE(2, 6, 1, 37), .out_channels = 8, .kernel_height = 1, .kernel_width = 5, .groups = 2,
                    .stride_y = 1, .stride_x = 2, .dilation_y = 1, .dilation_x = 2, .pad_left = 3, .pad_right = 1},
                   .bias = true};
    conv_data d = make_data(&c, 11);
    onnx_model *model = onnx_new(13);
    onnx_input(model, "x", TM_FLOAT32, DIMS(2, 6, 37));
    onnx_constant(model, "w", TM_FLOAT32, DIMS(8, 3, 5), d.weights);
    onnx_constant(model, "b", TM_FLOAT32, DIMS(8), d.bias);
    onnx_node *conv = onnx_add(model, "Conv", "x,w,b", "y");
    onnx_ints(model, conv, "strides", DIMS(2));
    onnx_ints(model, conv, "dilations", DIMS(2));
    onnx_ints(model, conv, "pads", DIMS(3, 1));
    onnx_int(model, conv, "group", 2);
    onnx_output(model, "y");
    tm_shape shape;
    tm_host_tensor x = onnx_value(TM_FLOAT32, DIMS(2, 6, 37), d.x);
    float *y = onnx_run(model, test_gpu(), &x, 1, &shape);
    assert_int_equal(shape.rank, 3);
    assert_close(y, d.expected, d.count, TOLERANCE);
    free(y);
    free_data(&d);
    onnx_free(model);
}

// What a hostile file may say: one sentence, no crash.
static void test_bad_attributes(void **state) {
    (void)state;
    static const struct {
        const char *name, *part;
        size_t count;
        int64_t values[4];
        int64_t group, channels;
    } bad[] = {{"strides", "strides", 2, {0, 1}, 1, 4},         {"strides", "strides", 3, {1, 1, 1}, 1, 4},
               {"dilations", "dilations", 2, {-1, 1}, 1, 4},    {"dilations", "kernel reaches", 2, {1000, 1000}, 1, 4},
               {"pads", "pads", 4, {-1, 0, 0, 0}, 1, 4},        {"pads", "pads", 2, {1, 1}, 1, 4},
               {"pads", "pads", 4, {INT64_MAX, 0, 0, 0}, 1, 4}, {"kernel_shape", "kernel_shape", 2, {5, 3}, 1, 4},
               {"strides", "group", 2, {1, 1}, 0, 4},           {"strides", "group", 2, {1, 1}, 4, 4},
               {"strides", "channels", 2, {1, 1}, 1, 5},        {"strides", "channels", 2, {1, 1}, 3, 4}};
    float *noise = test_noise(3, 4096, -1, 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        onnx_model *model = onnx_new(13);
        onnx_input(model, "x", TM_FLOAT32, DIMS(1, bad[i].channels, 8, 8));
        onnx_constant(model, "w", TM_FLOAT32, DIMS(6, 4, 3, 3), noise);
        onnx_node *conv = onnx_add(model, "Conv", "x,w", "y");
        onnx_ints(model, conv, bad[i].name, bad[i].count, bad[i].values);
        onnx_int(model, conv, "group", bad[i].group);
        onnx_output(model, "y");
        size_t size;
        uint8_t *bytes = onnx_bytes(model, &size);
        tm_error err = TAGMASK_ERROR_INIT;
        tm_graph *graph = NULL;
        tagmask_status status = tm_graph_load_memory(test_gpu(), bytes, size, "bad", NULL, 0, &graph, &err);
        if (status == TAGMASK_OK) {
            tm_plan *plan;
            tm_host_tensor x = onnx_value(TM_FLOAT32, DIMS(1, bad[i].channels, 8, 8), noise);
            status = tm_graph_plan(graph, &x, 1, &plan, &err);
        }
        if (status == TAGMASK_OK) fail_msg("bad case %zu was accepted", i);
        if (!strstr(err.message, bad[i].part)) fail_msg("bad case %zu: '%s' lacks '%s'", i, err.message, bad[i].part);
        tm_graph_free(graph);
        free(bytes);
        onnx_free(model);
    }
    free(noise);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_auto_pad),       cmocka_unit_test(test_one_dimension),
        cmocka_unit_test(test_bad_attributes), cmocka_unit_test(test_winograd_chunks),
        cmocka_unit_test(test_direct),         cmocka_unit_test(test_chosen),
        cmocka_unit_test(test_winograd),       cmocka_unit_test(test_linear),
        cmocka_unit_test(test_winograd2),      cmocka_unit_test(test_tuned),
        cmocka_unit_test(test_gpu_class),      cmocka_unit_test(test_weights_at_run_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
