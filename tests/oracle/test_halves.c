// Weights as 16-bit floats, in every kernel that reads them, against plain C with weights that are rounded alike.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnx_build.h"
#include "ref_half.h"
#include "ref_ops.h"
#include "support.h"

#define TOLERANCE 1e-5           // of sums in 32 bits; a half is off by up to 5e-4
#define TOLERANCE_WINOGRAD 1e-4  // as for weights of 32 bits

#define PADS(t, l, b, r) .pad_top = (t), .pad_left = (l), .pad_bottom = (b), .pad_right = (r)
#define STEP(s, d) .stride_y = (s), .stride_x = (s), .dilation_y = (d), .dilation_x = (d)
#define SIZE(n, c, h, w) .batch = (n), .in_channels = (c), .in_height = (h), .in_width = (w)
#define KERNEL(m, k, g) .out_channels = (m), .kernel_height = (k), .kernel_width = (k), .groups = (g)

static const ref_conv cases[] = {
    {SIZE(1, 16, 32, 32), KERNEL(16, 3, 1), STEP(1, 1), PADS(1, 1, 1, 1)},
    {SIZE(1, 64, 21, 35), KERNEL(1, 3, 1), STEP(1, 1), PADS(1, 1, 1, 1)},
    {SIZE(3, 17, 13, 29), KERNEL(33, 3, 1), STEP(1, 1), PADS(1, 1, 1, 1)},
    {SIZE(1, 16, 19, 23), KERNEL(20, 3, 1), STEP(1, 2), PADS(2, 2, 2, 2)},
    {SIZE(2, 3, 33, 17), KERNEL(10, 3, 1), STEP(2, 1), PADS(0, 0, 1, 1)},
    {SIZE(1, 40, 9, 70), KERNEL(70, 1, 1), STEP(1, 1), PADS(0, 0, 0, 0)},
    {SIZE(2, 37, 11, 13), KERNEL(75, 1, 1), STEP(1, 1), PADS(0, 0, 0, 0)},
    {SIZE(1, 32, 14, 15), KERNEL(32, 5, 32), STEP(1, 1), PADS(2, 2, 2, 2)},
    {SIZE(2, 13, 19, 17), KERNEL(13, 3, 13), STEP(2, 1), PADS(0, 0, 1, 1)},
    {SIZE(1, 8, 21, 20), KERNEL(8, 3, 8), STEP(1, 2), PADS(2, 2, 2, 2)},
    {SIZE(2, 16, 12, 12), KERNEL(24, 3, 2), STEP(1, 1), PADS(1, 1, 1, 1)},
};
// More tiles than a chunk of Winograd's stages holds.
static const ref_conv large = {SIZE(2, 65, 66, 70), KERNEL(64, 3, 1), STEP(1, 1), PADS(1, 1, 1, 1)};

// ---- Devices: "NAME=VALUE" of the environment while it is opened.
static tm_gpu *open_with(const char *const *settings) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_gpu *gpu;
    char *before[4] = {NULL}, *names[4] = {NULL};
    for (size_t i = 0; settings[i]; i++) {
        names[i] = strdup(settings[i]);
        char *value = strchr(names[i], '=');
        *value++ = 0;
        if (getenv(names[i])) before[i] = strdup(getenv(names[i]));
        setenv(names[i], value, 1);
    }
    assert_ok(tm_gpu_open(NULL, &gpu, &err), &err);
    for (size_t i = 0; settings[i]; i++) {
        if (before[i])
            setenv(names[i], before[i], 1);
        else
            unsetenv(names[i]);
        free(before[i]);
        free(names[i]);
    }
    return gpu;
}
#define WITH(...) ((const char *const[]){__VA_ARGS__, NULL})

static void close_checked(tm_gpu *gpu) {
    assert_int_equal(tm_gpu_validation_errors(gpu), 0);
    tm_gpu_close(gpu);
}

// ---- Networks of one operator.
static float *run(onnx_model *model, tm_gpu *gpu, tm_precision precision, const tm_host_tensor *x, uint64_t *bytes) {
    tm_graph *graph = onnx_load_as(model, gpu, precision);
    tm_host_tensor y;
    tm_plan *plan;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_graph_run(graph, x, 1, &y, &err), &err);
    assert_ok(tm_graph_plan(graph, x, 1, &plan, &err), &err);
    *bytes = tm_plan_get_stats(plan).weight_bytes;
    tm_graph_free(graph);
    return y.data;
}

static onnx_model *conv_model(const ref_conv *r, const float *weights, const float *bias) {
    onnx_model *model = onnx_new(14);
    onnx_input(model, "x", TM_FLOAT32, DIMS(-1, r->in_channels, -1, -1));
    onnx_constant(model, "w", TM_FLOAT32,
                  DIMS(r->out_channels, r->in_channels / r->groups, r->kernel_height, r->kernel_width), weights);
    onnx_constant(model, "b", TM_FLOAT32, DIMS(r->out_channels), bias);
    onnx_node *conv = onnx_add(model, "Conv", "x,w,b", "y");
    onnx_ints(model, conv, "strides", DIMS(r->stride_y, r->stride_x));
    onnx_ints(model, conv, "dilations", DIMS(r->dilation_y, r->dilation_x));
    onnx_ints(model, conv, "pads", DIMS(r->pad_top, r->pad_left, r->pad_bottom, r->pad_right));
    onnx_int(model, conv, "group", r->groups);
    onnx_output(model, "y");
    return model;
}

static size_t weight_count(const ref_conv *r) {
    return (size_t)(r->out_channels * (r->in_channels / r->groups) * r->kernel_height * r->kernel_width);
}

// The Winograd tile that TAGMASK_CONV=pinned leads to; 0: none.
static int winograd_tile(const ref_conv *r, const char *pinned) {
    bool fits = r->kernel_height == 3 && r->stride_y == 1 && r->dilation_y == 1 && r->groups == 1;
    int tiles = r->batch * ((ref_conv_out_height(r) + 3) / 4) * ((ref_conv_out_width(r) + 3) / 4);
    if (!fits || !strcmp(pinned, "direct")) return 0;
    if (!strcmp(pinned, "shared")) return tiles >= 64 && r->in_channels > 4 && r->out_channels > 2 ? 4 : 0;
    return strcmp(pinned, "winograd2") ? 4 : 2;
}

static void check_conv(tm_gpu *gpu, const ref_conv *r, const char *pinned) {
    size_t count = (size_t)(r->batch * r->out_channels * ref_conv_out_height(r) * ref_conv_out_width(r));
    float *x = test_noise(1, (size_t)(r->batch * r->in_channels * r->in_height * r->in_width), -1, 1);
    float *weights = test_noise(2, weight_count(r), -0.3f, 0.3f), *bias = test_noise(3, (size_t)r->out_channels, -1, 1);
    float *rounded = ref_halves(weights, weight_count(r)), *exact = ref_conv_run(r, x, weights, bias);
    int tile = winograd_tile(r, pinned);
    float *expected = tile ? ref_half_winograd(r, tile, x, weights, bias) : ref_conv_run(r, x, rounded, bias);
    onnx_model *model = conv_model(r, weights, bias);
    tm_host_tensor input = onnx_value(TM_FLOAT32, DIMS(r->batch, r->in_channels, r->in_height, r->in_width), x);
    uint64_t full, half;
    setenv("TAGMASK_CONV", pinned, 1);
    free(run(model, gpu, TM_FP32, &input, &full));
    float *y = run(model, gpu, TM_FP16, &input, &half);
    unsetenv("TAGMASK_CONV");
    double error = test_relative_error(y, expected, count), rounding = test_relative_error(y, exact, count);
    double allowed = tile ? TOLERANCE_WINOGRAD : TOLERANCE;
    if (!(error <= allowed)) fail_msg("%s, %d channels: relative error %g", pinned, r->in_channels, error);
    // Tiles of 4x4 pixels add up what is rounded with factors of up to 64.
    if (!(rounding > TOLERANCE && rounding < (tile == 4 ? 2e-2 : 2e-3)))
        fail_msg("%s: off by %g through rounding", pinned, rounding);
    if (!(half < full)) fail_msg("%s: %llu bytes", pinned, (unsigned long long)half);
    free(x), free(weights), free(bias), free(rounded), free(exact), free(expected), free(y);
    onnx_free(model);
}

static void check_convs(tm_gpu *gpu, const char *pinned) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_conv(gpu, &cases[i], pinned);
}

static void test_convs(void **state) {
    (void)state;
    check_convs(test_gpu(), "direct");
    check_convs(test_gpu(), "winograd");
    check_convs(test_gpu(), "winograd2");
    check_conv(test_gpu(), &large, "winograd");
}

static void test_convs_of_gpus(void **state) {
    (void)state;
    tm_gpu *gpu = open_with(WITH("TAGMASK_GPU_CLASS=gpu"));
    check_convs(gpu, "direct");
    check_convs(gpu, "winograd");
    check_convs(gpu, "winograd2");
    check_convs(gpu, "shared");
    check_conv(gpu, &large, "shared");
    close_checked(gpu);
}

// A device whose texel buffers cannot hold halves reads them through storage buffers.
static void test_without_texels(void **state) {
    (void)state;
    tm_gpu *gpu = open_with(WITH("TAGMASK_DISABLE=fp16"));
    assert_false(tm_gpu_get_info(gpu)->half_texels);
    check_convs(gpu, "direct");
    close_checked(gpu);
}

// Pieces start inside of packed weights.
static void test_pieces(void **state) {
    (void)state;
    static const ref_conv wide[] = {
        {SIZE(1, 16, 9, 11), KERNEL(256, 3, 1), STEP(1, 1), PADS(1, 1, 1, 1)},
        {SIZE(1, 160, 7, 8), KERNEL(320, 1, 1), STEP(1, 1), PADS(0, 0, 0, 0)},
        {SIZE(1, 4000, 3, 4), KERNEL(4000, 3, 4000), STEP(1, 1), PADS(1, 1, 1, 1)},
        {SIZE(1, 256, 6, 7), KERNEL(512, 3, 32), STEP(1, 1), PADS(1, 1, 1, 1)},
    };
    tm_gpu *gpu = open_with(WITH("TAGMASK_STORAGE_RANGE=65536", "TAGMASK_BUFFER_ALIGNMENT=256"));
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) check_conv(gpu, &wide[i], "direct");
    close_checked(gpu);
}

// ---- Weights that halves cannot hold stay what they are, bit for bit; small ones lose no more than halves must.
static void check_kept(float low, float high, float odd, bool kept) {
    const ref_conv *r = &cases[5];
    size_t count = (size_t)(r->out_channels * r->in_height * r->in_width);
    float *x = test_noise(1, (size_t)(r->in_channels * r->in_height * r->in_width), -1, 1);
    float *weights = test_noise(2, weight_count(r), low, high), *bias = calloc((size_t)r->out_channels, sizeof *bias);
    weights[7] = odd;
    onnx_model *model = conv_model(r, weights, bias);
    tm_host_tensor input = onnx_value(TM_FLOAT32, DIMS(1, r->in_channels, r->in_height, r->in_width), x);
    uint64_t full, half;
    float *expected = run(model, test_gpu(), TM_FP32, &input, &full);
    float *y = run(model, test_gpu(), TM_FP16, &input, &half);
    if ((full == half) != kept) fail_msg("weights up to %g, %g: %llu bytes", high, odd, (unsigned long long)half);
    if (kept) assert_memory_equal(y, expected, count * sizeof *y);
    if (!kept) {
        float *rounded = ref_halves(weights, weight_count(r)), *wanted = ref_conv_run(r, x, rounded, bias);
        assert_close(y, wanted, count, TOLERANCE);
        free(rounded), free(wanted);
    }
    free(x), free(weights), free(bias), free(expected), free(y);
    onnx_free(model);
}

static void test_what_halves_cannot_hold(void **state) {
    (void)state;
    check_kept(-1, 1, 65504, false);
    check_kept(-1, 1, 65519, false);  // rounds to 65504
    check_kept(-1, 1, 65520, true);
    check_kept(-1, 1, -1e30f, true);
    check_kept(-1e-6f, 1e-6f, 1e-6f, true);
    check_kept(-1e-3f, 1e-3f, 1e-3f, false);  // some below 2^-14, where halves are farther apart
    check_kept(-1, 1, 1e-9f, false);
}

// ---- Products with a constant matrix.
static void check_product(tm_gpu *gpu, bool gemm, bool transposed, int64_t m, int64_t k, int64_t n, bool halves) {
    float *a = test_noise(4, (size_t)(m * k), -1, 1), *b = test_noise(5, (size_t)(k * n), -1, 1);
    float *c = test_noise(6, (size_t)n, -1, 1), *straight = calloc((size_t)(k * n), sizeof *straight);
    float *expected = calloc((size_t)(m * n), sizeof *expected);
    float *rounded = ref_halves(b, (size_t)(k * n));
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < n; j++)
            straight[i * n + j] = (halves ? rounded : b)[transposed ? j * k + i : i * n + j];
    ref_matmul(a, straight, (size_t)m, (size_t)n, (size_t)k, expected);
    for (int64_t i = 0; gemm && i < m * n; i++) expected[i] = 0.5f * expected[i] + 2 * c[i % n];
    onnx_model *model = onnx_new(13);
    onnx_input(model, "x", TM_FLOAT32, DIMS(-1, k));
    onnx_constant(model, "w", TM_FLOAT32, 2, (int64_t[]){transposed ? n : k, transposed ? k : n}, b);
    onnx_constant(model, "c", TM_FLOAT32, DIMS(n), c);
    onnx_node *node = onnx_add(model, gemm ? "Gemm" : "MatMul", gemm ? "x,w,c" : "x,w", "y");
    if (gemm) onnx_int(model, node, "transB", transposed);
    if (gemm) onnx_float(model, node, "alpha", 0.5f);
    if (gemm) onnx_float(model, node, "beta", 2);
    onnx_output(model, "y");
    tm_host_tensor input = onnx_value(TM_FLOAT32, DIMS(m, k), a);
    uint64_t full, half;
    free(run(model, gpu, TM_FP32, &input, &full));
    float *y = run(model, gpu, TM_FP16, &input, &half);
    assert_close(y, expected, (size_t)(m * n), TOLERANCE);
    assert_true(halves ? half < full : half == full);
    free(a), free(b), free(c), free(straight), free(expected), free(rounded), free(y);
    onnx_free(model);
}

static void check_products(tm_gpu *gpu) {
    check_product(gpu, false, false, 6, 64, 12, true);
    check_product(gpu, false, false, 1, 64, 100, true);
    check_product(gpu, false, false, 5, 62, 12, false);  // rows of B are read as vectors, and these are none
    check_product(gpu, true, true, 1, 640, 101, true);
    check_product(gpu, true, true, 9, 64, 10, true);
    check_product(gpu, true, false, 9, 64, 36, true);
    check_product(gpu, true, false, 9, 64, 35, false);
}

static void test_products(void **state) {
    (void)state;
    check_products(test_gpu());
    tm_gpu *gpu = open_with(WITH("TAGMASK_GPU_CLASS=gpu"));
    check_products(gpu);
    close_checked(gpu);
    gpu = open_with(WITH("TAGMASK_STORAGE_RANGE=32768", "TAGMASK_BUFFER_ALIGNMENT=256"));
    check_product(gpu, true, true, 300, 64, 100, true);
    check_product(gpu, false, false, 300, 64, 100, true);
    check_product(gpu, true, false, 300, 640, 100, false);  // B itself is larger than the device binds
    close_checked(gpu);
}

// A transposed convolution by phases packs its weights like a convolution.
static void test_transposed(void **state) {
    (void)state;
    const ref_conv r = {SIZE(1, 12, 9, 11), KERNEL(8, 4, 1), STEP(2, 1), PADS(1, 1, 1, 1)};
    float *x = test_noise(1, 12 * 9 * 11, -1, 1), *weights = test_noise(2, 12 * 8 * 16, -0.3f, 0.3f);
    float *rounded = ref_halves(weights, 12 * 8 * 16), *expected = ref_conv_transpose(&r, 18, 22, x, rounded, NULL);
    onnx_model *model = onnx_new(14);
    onnx_input(model, "x", TM_FLOAT32, DIMS(1, 12, 9, 11));
    onnx_constant(model, "w", TM_FLOAT32, DIMS(12, 8, 4, 4), weights);
    onnx_node *node = onnx_add(model, "ConvTranspose", "x,w", "y");
    onnx_ints(model, node, "strides", DIMS(2, 2));
    onnx_ints(model, node, "pads", DIMS(1, 1, 1, 1));
    onnx_output(model, "y");
    tm_host_tensor input = onnx_value(TM_FLOAT32, DIMS(1, 12, 9, 11), x);
    uint64_t bytes;
    float *y = run(model, test_gpu(), TM_FP16, &input, &bytes);
    assert_close(y, expected, 8 * 18 * 22, TOLERANCE);
    free(x), free(weights), free(rounded), free(expected), free(y);
    onnx_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convs),          cmocka_unit_test(test_convs_of_gpus),
        cmocka_unit_test(test_without_texels), cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_products),       cmocka_unit_test(test_what_halves_cannot_hold),
        cmocka_unit_test(test_transposed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
