// Whole networks against ONNX Runtime: the fixtures of data/networks hold statistics and samples of every output for a
// picture that is drawn with integer arithmetic here and in make.py.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"
#include "support.h"

#define TOLERANCE 1e-3  // of the output's range

static void prepare(const char *name, int height, int width, float *x) {
    const float mean[] = {0.485f, 0.456f, 0.406f}, deviation[] = {0.229f, 0.224f, 0.225f};
    int area = height * width;
    test_draw_picture(height, width, x);
    for (int i = 0; i < 3 * area; i++) {
        if (!strcmp(name, "u2netp"))
            x[i] = (x[i] / 255 - mean[i / area]) / deviation[i / area];
        else
            x[i] = (x[i] - 127) / 128;
    }
}

static char *model_path(const char *name) {
    const char *folder = getenv("TAGMASK_MODELS");
    char *path = tm_format("%s/%s/model.onnx", folder && *folder ? folder : TEST_BUILD "/models", name);
    if (!path || !tm_file_exists(path)) fail_msg("%s is missing: run sh third_party/setup.sh test", path);
    return path;
}

// One output as the fixture describes it, compared with what was computed.
static void compare_output(FILE *file, const tm_host_tensor *output) {
    int rank = 0, samples = 0;
    size_t count = 0;
    double least, most, mean, sum = 0, low = INFINITY, high = -INFINITY;
    assert_int_equal(fscanf(file, "%d", &rank), 1);
    assert_int_equal(rank, output->shape.rank);
    for (int d = 0; d < rank; d++) {
        long long dim = 0;
        assert_int_equal(fscanf(file, "%lld", &dim), 1);
        assert_int_equal(dim, output->shape.dim[d]);
    }
    assert_int_equal(fscanf(file, "%lf %lf %lf %d", &least, &most, &mean, &samples), 4);
    assert_true(samples > 100 && most > least);
    assert_int_equal(output->dtype, TM_FLOAT32);
    assert_true(tm_shape_count(&output->shape, &count));
    const float *data = output->data;
    for (size_t i = 0; i < count; i++) {
        sum += data[i];
        low = fmin(low, data[i]);
        high = fmax(high, data[i]);
    }
    double allowed = TOLERANCE * (most - least), worst = 0;
    for (int s = 0; s < samples; s++) {
        long index = -1;
        double expected;
        assert_int_equal(fscanf(file, "%ld %lf", &index, &expected), 2);
        assert_true(index >= 0 && (size_t)index < count);
        double difference = fabs(data[index] - expected);
        worst = difference <= worst ? worst : difference;
    }
    if (!(worst <= allowed)) fail_msg("a sample is off by %g of the range", worst / (most - least));
    assert_true(fabs(low - least) <= allowed && fabs(high - most) <= allowed);
    assert_true(fabs(sum / (double)count - mean) <= allowed);
}

static void compare_network(const char *name, int height, int width) {
    char *path = model_path(name), *fixture = tm_format("%s/networks/%s-%dx%d.txt", TEST_DATA, name, height, width);
    tm_error err = TAGMASK_ERROR_INIT;
    tm_graph *graph;
    assert_ok(tm_graph_load(test_gpu(), path, NULL, 0, &graph, &err), &err);
    const tm_value_info *infos;
    size_t count = tm_graph_outputs(graph, &infos), expected = 0;
    tm_host_tensor *outputs = calloc(count, sizeof *outputs);
    float *x = calloc((size_t)height * (size_t)width * 3, sizeof *x);
    assert_true(outputs && x && fixture);
    prepare(name, height, width, x);
    tm_host_tensor input = {TM_FLOAT32, {4, {1, 3, height, width}}, x};
    assert_ok(tm_graph_run(graph, &input, 1, outputs, &err), &err);
    FILE *file = fopen(fixture, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%zu", &expected), 1);
    assert_int_equal(expected, count);
    for (size_t i = 0; i < count; i++) compare_output(file, &outputs[i]);
    fclose(file);
    for (size_t i = 0; i < count; i++) free(outputs[i].data);
    free(outputs);
    free(x);
    free(path);
    free(fixture);
    tm_graph_free(graph);
}

static void efficientnet_agrees(void **state) {
    (void)state;
    compare_network("efficientnet-lite0", 224, 224);
    compare_network("efficientnet-lite0", 160, 288);
}

static void u2netp_agrees(void **state) {
    (void)state;
    compare_network("u2netp", 320, 320);
    compare_network("u2netp", 96, 160);
}

// The head's weights times the mean of the features it names, plus a constant a class, are the logits: found on one
// picture, the constants must hold on another.
static void the_cam_head_explains_the_logits(void **state) {
    (void)state;
    char *path = model_path("efficientnet-lite0");
    tm_error err = TAGMASK_ERROR_INIT;
    tm_graph *graph;
    tm_cam_head head;
    assert_ok(tm_graph_load(test_gpu(), path, NULL, 0, &graph, &err), &err);
    assert_ok(tm_graph_cam_head(graph, 0, &head, &err), &err);
    assert_int_equal(head.classes, 1000);
    assert_int_equal(head.channels, 1280);
    tm_graph *wide;
    const char *const extra[] = {head.features};
    assert_ok(tm_graph_load(test_gpu(), path, extra, 1, &wide, &err), &err);
    double bias[1000];
    for (int round = 0; round < 2; round++) {
        int height = 96 + 32 * round, width = 128;
        float *x = calloc((size_t)height * (size_t)width * 3, sizeof *x);
        assert_non_null(x);
        prepare("efficientnet-lite0", height, width, x);
        tm_host_tensor input = {TM_FLOAT32, {4, {1, 3, height, width}}, x}, outputs[2];
        assert_ok(tm_graph_run(wide, &input, 1, outputs, &err), &err);
        const float *logits = outputs[0].data, *features = outputs[1].data;
        size_t area = (size_t)(outputs[1].shape.dim[2] * outputs[1].shape.dim[3]);
        assert_int_equal(outputs[1].shape.dim[1], head.channels);
        for (size_t k = 0; k < 1000; k++) {
            double sum = 0;
            for (size_t c = 0; c < 1280; c++)
                for (size_t p = 0; p < area; p++)
                    sum += (double)head.weight[k * 1280 + c] * features[c * area + p] / (double)area;
            if (!round)
                bias[k] = logits[k] - sum;
            else
                assert_true(fabs(logits[k] - sum - bias[k]) < 1e-3);
        }
        free(outputs[0].data);
        free(outputs[1].data);
        free(x);
    }
    free(path);
    tm_graph_free(graph);
    tm_graph_free(wide);
}

// ---- Weights of 16 bits.
static float *run_as(const char *path, tm_precision precision, const tm_host_tensor *input, size_t *count,
                     uint64_t *weight_bytes) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_graph *graph;
    tm_plan *plan;
    tm_host_tensor outputs[8];
    const tm_value_info *infos;
    assert_ok(tm_graph_load_as(test_gpu(), precision, path, NULL, 0, &graph, &err), &err);
    size_t output_count = tm_graph_outputs(graph, &infos);
    assert_true(output_count <= TM_ARRAY_LEN(outputs));
    assert_ok(tm_graph_run(graph, input, 1, outputs, &err), &err);
    assert_ok(tm_graph_plan(graph, input, 1, &plan, &err), &err);
    *weight_bytes = tm_plan_get_stats(plan).weight_bytes;
    assert_true(tm_shape_count(&outputs[0].shape, count));
    for (size_t i = 1; i < output_count; i++) free(outputs[i].data);
    tm_graph_free(graph);
    return outputs[0].data;
}

// Output 0 with weights of 16 bits differs from the one with 32 by at most `most` of its range anywhere, by `usual` as
// root of the mean square, and their memory is at most 51 % (biases stay 32-bit floats).
static void compare_precisions(const char *name, int height, int width, double most, double usual) {
    char *path = model_path(name);
    float *x = calloc((size_t)height * (size_t)width * 3, sizeof *x);
    assert_non_null(x);
    prepare(name, height, width, x);
    tm_host_tensor input = {TM_FLOAT32, {4, {1, 3, height, width}}, x};
    size_t count, same;
    uint64_t full, half;
    float *expected = run_as(path, TM_FP32, &input, &count, &full), *y = run_as(path, TM_FP16, &input, &same, &half);
    double low = INFINITY, high = -INFINITY, worst = 0, squares = 0;
    assert_int_equal(count, same);
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)y[i] - expected[i]);
        squares += difference * difference;
        low = fmin(low, expected[i]);
        high = fmax(high, expected[i]);
        worst = difference <= worst ? worst : difference;
    }
    worst /= high - low;
    double mean = sqrt(squares / (double)count) / (high - low);
    print_message("%s %dx%d: off by %.2g of the range, %.2g on average, %.1f of %.1f MiB\n", name, height, width, worst,
                  mean, (double)half / (1 << 20), (double)full / (1 << 20));
    if (!(worst <= most && mean <= usual)) fail_msg("off by %g of the range, %g on average", worst, mean);
    assert_true(worst > 0 && (double)half <= 0.51 * (double)full);
    free(x);
    free(expected);
    free(y);
    free(path);
}

static void halves_stay_close(void **state) {
    (void)state;
    compare_precisions("efficientnet-lite0", 224, 224, 5e-3, 1e-3);
    compare_precisions("u2netp", 320, 320, 0.15, 1.2e-2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(efficientnet_agrees),
        cmocka_unit_test(u2netp_agrees),
        cmocka_unit_test(the_cam_head_explains_the_logits),
        cmocka_unit_test(halves_stay_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
