// Gradients of whole networks against the fixtures of data/gradients, which peers/compare_gradients.py makes with
// PyTorch in double precision.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models.h"
#include "op_case.h"

#define TOLERANCE 1e-3  // of a gradient's largest value, or of its norm
#define FEATURES "_bn1.relu6"
enum { SIDE = 64, CLASSES = 1000, CLASS = 285 };

// Numbers by a multiplicative hash of the index, as in the script.
static float *made(uint32_t seed, size_t count, float low, float high) {
    float *values = calloc(count, sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < count; i++)
        values[i] = low + (high - low) * (float)(((uint32_t)i * 2654435761u + seed * 40503u) >> 16) / 65536;
    return values;
}

// The gradient of a tensor among the outputs.
static const float *find_gradient(tm_graph *graph, const tm_host_tensor *outputs, const char *name, size_t *count) {
    char label[160];
    snprintf(label, sizeof label, "gradient of %s", name);
    const tm_value_info *infos;
    size_t output_count = tm_graph_outputs(graph, &infos), which = 0;
    while (which < output_count && strcmp(infos[which].name, label) != 0) which++;
    assert_true(which < output_count);
    assert_true(tm_shape_count(&outputs[which].shape, count));
    return outputs[which].data;
}

// One gradient of the fixture against what was computed, by name.
static void compare(FILE *file, const char *seed_wanted, tm_graph *graph, const tm_host_tensor *outputs) {
    char seed_name[16], name[128];
    size_t size = 0, samples = 0, count = 0;
    double norm, most, off = 0, squares = 0, largest = 0;
    assert_int_equal(fscanf(file, "%15s %127s %zu %lf %lf %zu", seed_name, name, &size, &norm, &most, &samples), 6);
    assert_string_equal(seed_name, seed_wanted);
    const float *got = find_gradient(graph, outputs, name, &count);
    assert_int_equal(count, size);
    for (size_t i = 0; i < count; i++) {
        squares += (double)got[i] * (double)got[i];
        largest = fmax(largest, fabs((double)got[i]));
    }
    for (size_t s = 0; s < samples; s++) {
        size_t index = 0;
        double expected;
        assert_int_equal(fscanf(file, "%zu %lf", &index, &expected), 2);
        assert_true(index < count);
        double difference = fabs((double)got[index] - expected);
        off = difference <= off ? off : difference;  // a NaN stays
    }
    if (!(off <= TOLERANCE * most))
        fail_msg("seed %s, %s: a sample is off by %g of the largest value", seed_name, name, off / most);
    if (!(fabs(largest - most) <= TOLERANCE * most && fabs(sqrt(squares) - norm) <= TOLERANCE * norm))
        fail_msg("seed %s, %s: largest value %g, norm %g; expected %g, %g", seed_name, name, largest, sqrt(squares),
                 most, norm);
}

// By which the outputs count: "all", each with a number of its own, or one of them alone.
static float *make_seed(const char *name, size_t count) {
    if (!strcmp(name, "all")) return made(1, count, -1, 1);
    float *seed = calloc(count, sizeof *seed);
    assert_non_null(seed);
    seed[strtoul(name, NULL, 10)] = 1;
    return seed;
}

// Runs the network on the input with each of the seeds, of that shape.
static void compare_network(const char *fixture, const char *const *seeds, tm_graph *graph, tm_host_tensor input,
                            tm_shape shape) {
    char path[512];
    snprintf(path, sizeof path, "%s/gradients/%s.txt", TEST_DATA, fixture);
    FILE *file = fopen(path, "r");
    size_t rounds = 0, names = 0, count = 0;
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%zu %zu", &rounds, &names), 2);
    assert_true(tm_shape_count(&shape, &count));
    for (size_t r = 0; r < rounds; r++) {
        tm_host_tensor outputs[16], inputs[2] = {input, {TM_FLOAT32, shape, make_seed(seeds[r], count)}};
        tm_error err = TAGMASK_ERROR_INIT;
        assert_ok(tm_graph_run(graph, inputs, 2, outputs, &err), &err);
        for (size_t i = 0; i < names; i++) compare(file, seeds[r], graph, outputs);
        const tm_value_info *infos;
        for (size_t i = 0; i < tm_graph_outputs(graph, &infos); i++) free(outputs[i].data);
        free(inputs[1].data);
    }
    fclose(file);
}

static char *model_path(const char *pack) {
    const char *folder = getenv("TAGMASK_MODELS");
    char *path = tm_format("%s/%s/model.onnx", folder && *folder ? folder : TEST_BUILD "/models", pack);
    assert_non_null(path);
    return path;
}

static char *efficientnet_path(void) {
    char *path = model_path("efficientnet-lite0");
    if (!tm_file_exists(path)) fail_msg("%s is missing: run sh third_party/setup.sh test", path);
    return path;
}

static float *efficientnet_input(void) {
    float *x = calloc(3 * SIDE * SIDE, sizeof *x), *noise = made(110, 3 * SIDE * SIDE, -0.25f, 0.25f);
    assert_non_null(x);
    test_draw_picture(SIDE, SIDE, x);
    for (size_t i = 0; i < 3 * SIDE * SIDE; i++) x[i] = (x[i] - 127) / 128 + noise[i];
    free(noise);
    return x;
}

static void efficientnet_agrees(void **state) {
    (void)state;
    static const char *const names[] = {FEATURES, "_blocks.10._bn2", "input", "_blocks.5._depthwise_conv.weight"},
                             *const classes[] = {"285", "736"};
    char *path = efficientnet_path();
    float *x = efficientnet_input();
    tm_error err = TAGMASK_ERROR_INIT;
    tm_graph *graph;
    const tm_gradient request = {NULL, names, TM_ARRAY_LEN(names), TM_FP32};
    assert_ok(tm_graph_load_gradient(test_gpu(), path, &request, NULL, 0, &graph, &err), &err);
    compare_network("efficientnet-lite0", classes, graph, onnx_value(TM_FLOAT32, DIMS(1, 3, SIDE, SIDE), x),
                    shape_of(DIMS(1, CLASSES)));
    tm_graph_free(graph);
    free(x);
    free(path);
}

// ---- A vision transformer with a decoder, at a size other than the one it declares.
static float *transformer_input(size_t height, size_t width) {
    static const float mean[] = {123.675f, 116.28f, 103.53f}, scale[] = {58.395f, 57.12f, 57.375f};
    size_t area = height * width;
    float *x = calloc(3 * area, sizeof *x);
    assert_non_null(x);
    test_draw_picture((int)height, (int)width, x);
    for (size_t i = 0; i < 3 * area; i++) x[i] = (x[i] - mean[i / area]) / scale[i / area];
    return x;
}

static void transformer_agrees(void **state) {
    (void)state;
    enum { HEIGHT = 112, WIDTH = 140 };
    static const char *const names[] = {"input_image",
                                        "/backbone/encoder/layer.0/attention/attention/Softmax_output_0",
                                        "/backbone/encoder/layer.11/attention/attention/Softmax_output_0",
                                        "/backbone/encoder/layer.5/Add_1_output_0",
                                        "backbone.embeddings.cls_token",
                                        "backbone.embeddings.patch_embeddings.projection.weight",
                                        "backbone.encoder.layer.0.norm1.weight",
                                        "onnx::MatMul_1966",
                                        "decoder.upconv2.weight"},
                             *const seeds[] = {"all"};
    char *path = model_path("vit-s-focus");
    if (!tm_file_exists(path)) {
        free(path);
        skip();  // an optional pack
    }
    float *x = transformer_input(HEIGHT, WIDTH);
    tm_error err = TAGMASK_ERROR_INIT;
    tm_graph *graph;
    const tm_gradient request = {NULL, names, TM_ARRAY_LEN(names), TM_FP32};
    assert_ok(tm_graph_load_gradient(test_gpu(), path, &request, NULL, 0, &graph, &err), &err);
    compare_network("vit-s-focus", seeds, graph, onnx_value(TM_FLOAT32, DIMS(1, 3, HEIGHT, WIDTH), x),
                    shape_of(DIMS(1, 1, HEIGHT, WIDTH)));
    tm_graph_free(graph);
    free(x);
    free(path);
}

// Scores, features and gradient come out of one plan: the first two as without a gradient, and the gradient of what is
// pooled and goes through a linear map is that map, over the number of pixels: Grad-CAM is CAM there.
static void one_plan_gives_both(void **state) {
    (void)state;
    static const char *const features[] = {FEATURES};
    char *path = efficientnet_path();
    float *x = efficientnet_input(), seed[CLASSES] = {[CLASS] = 1};
    tm_error err = TAGMASK_ERROR_INIT;
    tm_graph *plain, *graph;
    tm_cam_head head;
    const tm_gradient request = {NULL, features, 1, TM_FP32};
    assert_ok(tm_graph_load(test_gpu(), path, features, 1, &plain, &err), &err);
    assert_ok(tm_graph_load_gradient(test_gpu(), path, &request, features, 1, &graph, &err), &err);
    assert_ok(tm_graph_cam_head(plain, 0, &head, &err), &err);
    tm_host_tensor inputs[2] = {onnx_value(TM_FLOAT32, DIMS(1, 3, SIDE, SIDE), x),
                                onnx_value(TM_FLOAT32, DIMS(1, CLASSES), seed)},
                   expected[2], got[3];
    assert_ok(tm_graph_run(plain, inputs, 1, expected, &err), &err);
    assert_ok(tm_graph_run(graph, inputs, 2, got, &err), &err);
    for (size_t i = 0; i < 2; i++) {
        assert_true(tm_shape_equal(&expected[i].shape, &got[i].shape));
        assert_close((const float *)got[i].data, (const float *)expected[i].data, elements(&got[i].shape), 1e-5);
    }
    size_t area = (size_t)(got[1].shape.dim[2] * got[1].shape.dim[3]), count = elements(&got[1].shape);
    assert_true(tm_shape_equal(&got[1].shape, &got[2].shape));
    float *weights = calloc(count, sizeof *weights);
    assert_non_null(weights);
    for (size_t i = 0; i < count; i++) weights[i] = head.weight[CLASS * (size_t)head.channels + i / area] / (float)area;
    assert_close((const float *)got[2].data, weights, count, 1e-5);
    for (size_t i = 0; i < 2; i++) free(expected[i].data);
    for (size_t i = 0; i < 3; i++) free(got[i].data);
    tm_graph_free(plain);
    tm_graph_free(graph);
    free(weights);
    free(x);
    free(path);
}

static tagmask_status upload(tm_recorder *recorder, tm_plan *plan, size_t input, const void *data, tm_error *err) {
    tm_tensor to = tm_plan_input(plan, input);
    to.slice.size = tm_layout_bytes(&to.shape, TM_LINEAR);
    return tm_upload(recorder, to.slice, data, err);
}

// One run of the network with the gradient of class 5, then twice that of the class alone; got: malloc'ed.
static void run_again(tm_graph *graph, const tm_host_tensor *inputs, size_t class, float *got[3]) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_plan *plan;
    tm_recorder *recorder;
    float seed[CLASSES] = {[5] = 1};
    assert_ok(tm_graph_plan(graph, inputs, 2, &plan, &err), &err);
    for (size_t i = 0; i < 3; i++) assert_ok(tm_plan_output_linear(plan, 1 + i, &err), &err);
    assert_ok(tm_recorder_begin(test_gpu(), &recorder, &err), &err);
    assert_ok(upload(recorder, plan, 0, inputs[0].data, &err), &err);
    assert_ok(upload(recorder, plan, 1, seed, &err), &err);
    assert_ok(tm_plan_record(plan, recorder, &err), &err);
    seed[5] = 0;
    seed[class] = 1;
    for (int again = 0; again < 2; again++) {
        assert_ok(upload(recorder, plan, 1, seed, &err), &err);
        assert_ok(tm_plan_record_gradient(plan, recorder, &err), &err);
    }
    for (size_t i = 0; i < 3; i++) {
        tm_tensor from = tm_plan_output(plan, 1 + i);
        from.slice.size = elements(&from.shape) * sizeof **got;
        got[i] = malloc(from.slice.size);
        assert_non_null(got[i]);
        assert_ok(tm_readback(recorder, from.slice, got[i], &err), &err);
    }
    assert_ok(tm_recorder_finish(recorder, &err), &err);
}

// Several scores on one run of the network: the same bits as with a run for each.
static void gradients_are_repeated(void **state) {
    (void)state;
    static const char *const names[] = {FEATURES, "_blocks.10._bn2", "input"};
    static const size_t classes[] = {285, 736};
    char *path = efficientnet_path();
    float *x = efficientnet_input();
    tm_error err = TAGMASK_ERROR_INIT;
    tm_graph *once, *graph;
    tm_plan *plan;
    tm_gradient request = {NULL, names, TM_ARRAY_LEN(names), TM_FP32, false};
    assert_ok(tm_graph_load_gradient(test_gpu(), path, &request, NULL, 0, &once, &err), &err);
    request.repeats = true;
    assert_ok(tm_graph_load_gradient(test_gpu(), path, &request, NULL, 0, &graph, &err), &err);
    for (size_t k = 0; k < TM_ARRAY_LEN(classes); k++) {
        float seed[CLASSES] = {0}, *got[3];
        tm_host_tensor expected[4], inputs[2] = {onnx_value(TM_FLOAT32, DIMS(1, 3, SIDE, SIDE), x),
                                                 onnx_value(TM_FLOAT32, DIMS(1, CLASSES), seed)};
        seed[classes[k]] = 1;
        assert_ok(tm_graph_run(once, inputs, 2, expected, &err), &err);
        run_again(graph, inputs, classes[k], got);
        for (size_t i = 0; i < 3; i++) {
            assert_memory_equal(got[i], expected[1 + i].data, elements(&expected[1 + i].shape) * sizeof **got);
            free(got[i]);
        }
        for (size_t i = 0; i < 4; i++) free(expected[i].data);
        assert_ok(tm_graph_plan(once, inputs, 2, &plan, &err), &err);
        assert_int_equal(tm_plan_record_gradient(plan, NULL, &err), TAGMASK_ERROR_ARGUMENT);
    }
    tm_graph_free(once);
    tm_graph_free(graph);
    free(x);
    free(path);
}

// ---- A network with residual sums, with weights by a formula.
typedef struct residual {
    onnx_model *model;
    uint32_t seed;
} residual;

static void parameter(residual *r, const char *name, const char *end, tm_shape shape, float low, float high) {
    char full[32];
    snprintf(full, sizeof full, "%s%s", name, end);
    float *values = made(++r->seed, elements(&shape), low, high);
    onnx_constant(r->model, full, TM_FLOAT32, (size_t)shape.rank, shape.dim, values);
    free(values);
}

static void unit(residual *r, const char *x, const char *name, int64_t in, int64_t out, int64_t kernel,
                 int64_t stride) {
    float reach = (float)(sqrt(2.0 / (double)(in * kernel * kernel)) * 2);
    parameter(r, name, ".w", shape_of(DIMS(out, in, kernel, kernel)), -reach, reach);
    parameter(r, name, ".scale", shape_of(DIMS(out)), 0.5f, 1.5f);
    parameter(r, name, ".bias", shape_of(DIMS(out)), -0.2f, 0.2f);
    parameter(r, name, ".mean", shape_of(DIMS(out)), -0.1f, 0.1f);
    parameter(r, name, ".variance", shape_of(DIMS(out)), 0.5f, 1.5f);
    char chain[300];
    snprintf(chain, sizeof chain,
             "Conv %s,%s.w %s.conv strides=%d,%d pads=%d,%d,%d,%d; "
             "BatchNormalization %s.conv,%s.scale,%s.bias,%s.mean,%s.variance %s",
             x, name, name, (int)stride, (int)stride, (int)kernel / 2, (int)kernel / 2, (int)kernel / 2,
             (int)kernel / 2, name, name, name, name, name, name);
    chain_add(r->model, chain);
}

static onnx_model *residual_network(uint32_t *seed) {
    residual r = {onnx_new(13), 0};
    onnx_input(r.model, "x", TM_FLOAT32, DIMS(1, 3, 20, 20));
    unit(&r, "x", "stem", 3, 8, 3, 1);
    chain_add(r.model, "Relu stem stem.relu; MaxPool stem.relu pool kernel_shape=3,3 strides=2,2 pads=1,1,1,1");
    unit(&r, "pool", "a1", 8, 8, 3, 1);
    chain_add(r.model, "Relu a1 a1.relu");
    unit(&r, "a1.relu", "a2", 8, 8, 3, 1);
    chain_add(r.model, "Add a2,pool a.sum; Relu a.sum a");
    unit(&r, "a", "b1", 8, 16, 3, 2);
    chain_add(r.model, "Relu b1 b1.relu");
    unit(&r, "b1.relu", "b2", 16, 16, 3, 1);
    unit(&r, "a", "b3", 8, 16, 1, 2);
    chain_add(r.model, "Add b2,b3 b.sum; Relu b.sum b; GlobalAveragePool b mean; Flatten mean flat");
    parameter(&r, "fc", ".w", shape_of(DIMS(10, 16)), -0.5f, 0.5f);
    parameter(&r, "fc", ".b", shape_of(DIMS(10)), -0.1f, 0.1f);
    chain_add(r.model, "Gemm flat,fc.w,fc.b y transB=1");
    *seed = ++r.seed;
    return r.model;
}

static void residual_network_agrees(void **state) {
    (void)state;
    static const char *const names[] = {"x", "b", "a", "stem.w", "a1.w", "b3.w", "a2.scale", "b1.bias", "fc.w", "fc.b"},
                             *const classes[] = {"3"};
    uint32_t seed;
    onnx_model *m = residual_network(&seed);
    size_t size;
    uint8_t *bytes = onnx_bytes(m, &size);
    tm_error err = TAGMASK_ERROR_INIT;
    tm_graph *graph;
    const tm_gradient request = {"y", names, TM_ARRAY_LEN(names), TM_FP32};
    assert_ok(tm_graph_load_gradient_memory(test_gpu(), bytes, size, "model", &request, NULL, 0, &graph, &err), &err);
    float *x = made(seed, 3 * 20 * 20, -1, 1);
    compare_network("residual", classes, graph, onnx_value(TM_FLOAT32, DIMS(1, 3, 20, 20), x), shape_of(DIMS(1, 10)));
    tm_graph_free(graph);
    onnx_free(m);
    free(bytes);
    free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(residual_network_agrees), cmocka_unit_test(efficientnet_agrees),
        cmocka_unit_test(transformer_agrees),      cmocka_unit_test(one_plan_gives_both),
        cmocka_unit_test(gradients_are_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
