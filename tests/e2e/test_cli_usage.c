// The command without model packs: usage, help, no driver, raw inference on a small network.
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "io/npy.h"
#include "onnx_build.h"

static const command_result *run(const char *const *words) {
    return run_tagmask(NULL, NULL, words);
}

static void test_usage(void **state) {
    (void)state;
    expect_command(run(WORDS("--help")), 0, "propose", NULL);
    expect_command(run(WORDS("--version")), 0, tagmask_version(), NULL);
    expect_command(run((const char *const[]){NULL}), 2, NULL, "Usage: tagmask");
    expect_command(run(WORDS("propsoe")), 2, NULL, "did you mean propose?");
    expect_command(run(WORDS("xyzzy")), 2, NULL, "'tagmask --help' lists the verbs");
    expect_command(run(WORDS("help", "bench")), 0, "peak_device_bytes", NULL);
    expect_command(run(WORDS("bench", "--help")), 0, "--runs N", NULL);
    expect_command(run(WORDS("bench", "x.onnx")), 2, NULL, "--size");
    expect_command(run(WORDS("bench", "x.onnx", "--sise", "3")), 2, NULL, "did you mean --size?");
    expect_command(run(WORDS("propose", "x.png")), 2, NULL, "--tag");
    expect_command(run(WORDS("propose", "--tag", "cat")), 2, NULL, "IMAGE|DIR");
    expect_command(run(WORDS("propose", "x.png", "--tag", "cat", "--format", "labelme-mask,coco,labelme")), 2, NULL,
                   "labelme-mask and labelme write the same files");
    expect_command(run(WORDS("propose", "x.png", "--tag", "cat", "--format", "overlai")), 2, NULL,
                   "did you mean overlay?");
    expect_command(run(WORDS("propose", "x.png", "--tags-from", "xml")), 2, NULL, "csv:FILE");
    expect_command(run(WORDS("propose", "x.png", "--tag", "cat", "--preset", "/nonexistent/p.json")), 1, NULL,
                   "/nonexistent/p.json");
    expect_command(run(WORDS("run", "x.onnx")), 2, NULL, "--output");
    expect_command(run(WORDS("eval")), 2, NULL, "--data");
    expect_command(run(WORDS("eval", "--data", "/nonexistent")), 1, NULL, "/nonexistent/index.csv");
    expect_command(run(WORDS("preset", "fast")), 0, "\"scales\":\t[448]", NULL);
    expect_command(run(WORDS("preset", "huge")), 2, NULL, "\"huge\" is unknown; expected fast, balanced or best");
    static const char *const verbs[] = {"devices", "tags", "layers", "preset", "propose", "run", "bench", "eval"};
    for (size_t i = 0; i < TM_ARRAY_LEN(verbs); i++) {
        expect_command(run(WORDS(verbs[i], "--help")), 0, "Exit status:", NULL);
    }
}

static void test_no_driver(void **state) {
    (void)state;
    const char *const none[] = {"VK_ICD_FILENAMES=/nonexistent", "VK_DRIVER_FILES=/nonexistent", NULL};
    char *folder = test_temporary_dir();
    tm_error err = TAGMASK_ERROR_INIT;
    char *photo = tm_path_join(folder, "x.png");
    assert_ok(tm_write_file(photo, "x", 1, &err), &err);
    const char *const *lines[] = {WORDS("devices"), WORDS("layers", "x.onnx"), WORDS("bench", "x.onnx", "--size", "32"),
                                  WORDS("propose", "x.png", "--tag", "cat"), WORDS("run", "x.onnx", "--output", "out")};
    for (size_t i = 0; i < TM_ARRAY_LEN(lines); i++) {
        const command_result *result = run_tagmask(folder, none, lines[i]);
        expect_command(result, 3, "", "ulkan");
        assert_int_equal(strlen(result->out), 0);
        assert_ptr_equal(strchr(result->err, '\n'), result->err + strlen(result->err) - 1);  // one sentence
    }
    expect_command(run(WORDS("devices")), 0, "0: ", NULL);
    expect_command(run(WORDS("bench", "x.onnx", "--size", "8", "--device", "no such device")), 3, NULL,
                   "no such device");
    free(photo);
    free(folder);
}

static char *write_model(const char *folder) {
    static const float weights[8] = {1, -1, 0.5f, 2, 3, 1, -2, 0.25f};
    float kernels[4 * 3 * 3 * 3];
    for (size_t i = 0; i < TM_ARRAY_LEN(kernels); i++) kernels[i] = (float)((int)(i * 7 % 11) - 5) / 16;
    onnx_model *model = onnx_new(13);
    onnx_input(model, "pixels=1", TM_FLOAT32, DIMS(1, 3, -1, -1));
    onnx_constant(model, "k", TM_FLOAT32, DIMS(4, 3, 3, 3), kernels);
    onnx_constant(model, "w", TM_FLOAT32, DIMS(2, 4), weights);
    onnx_node *conv = onnx_add(model, "Conv", "pixels=1,k", "features");
    onnx_ints(model, conv, "pads", DIMS(1, 1, 1, 1));
    onnx_add(model, "GlobalAveragePool", "features", "pooled");
    onnx_add(model, "Flatten", "pooled", "flat");
    onnx_node *gemm = onnx_add(model, "Gemm", "flat,w", "scores/0:x");
    onnx_int(model, gemm, "transB", 1);
    onnx_output(model, "scores/0:x");
    size_t size;
    uint8_t *bytes = onnx_bytes(model, &size);
    tm_error err = TAGMASK_ERROR_INIT;
    char *path = tm_path_join(folder, "small.onnx");
    assert_ok(tm_write_file(path, bytes, size, &err), &err);
    free(bytes);
    onnx_free(model);
    return path;
}

static double weight_bytes(const char *model, const char *precision) {
    const command_result *result =
        run(WORDS("bench", model, "--size", "16", "--runs", "1", "--json", "--precision", precision));
    expect_command(result, 0, "weight_bytes", NULL);
    cJSON *json = cJSON_Parse(result->out);
    double bytes = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(json, "weight_bytes"));
    cJSON_Delete(json);
    return bytes;
}

static void test_precision(void **state) {
    (void)state;
    char *folder = test_temporary_dir(), *model = write_model(folder);
    double full = weight_bytes(model, "fp32"), half = weight_bytes(model, "fp16");
    if (!(half > 0 && half < full)) fail_msg("%g bytes, and %g of 32 bits", half, full);
    static const char *const message = "precision \"half\" is unknown; expected fp32 or fp16";
    expect_command(run(WORDS("bench", model, "--size", "16", "--precision", "half")), 2, NULL, message);
    expect_command(run(WORDS("run", model, "--output", folder, "--precision", "half")), 2, NULL, message);
    expect_command(run(WORDS("propose", "x.png", "--tag", "cat", "--precision", "half")), 2, NULL, NULL);
    free(model);
    free(folder);
}

static void test_networks(void **state) {
    (void)state;
    char *folder = test_temporary_dir(), *model = write_model(folder);
    const command_result *result = run(WORDS("bench", model, "--size", "16", "--runs", "2", "--json"));
    expect_command(result, 0, "load_ms", NULL);
    cJSON *json = cJSON_Parse(result->out);
    static const char *const keys[] = {"load_ms",           "first_ms",         "min_ms",        "median_ms",
                                       "peak_device_bytes", "activation_bytes", "liveness_bytes"};
    for (size_t i = 0; i < TM_ARRAY_LEN(keys); i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, keys[i]);
        if (!cJSON_IsNumber(item) || !(item->valuedouble > 0)) fail_msg("%s: %s", keys[i], result->out);
    }
    assert_true(cJSON_IsString(cJSON_GetObjectItemCaseSensitive(json, "device")));
    cJSON_Delete(json);
    expect_command(run(WORDS("bench", model, "--size", "16")), 0, "GFLOP/s", NULL);
    expect_command(run(WORDS("layers", model, "--size", "24")), 0, "1x4x24x24", NULL);
    expect_command(run(WORDS("layers", model)), 0, "features  <- CAM", NULL);
    expect_command(run(WORDS("layers", "/nonexistent.onnx")), 1, NULL, "/nonexistent.onnx");
    free(model);
    free(folder);
}

static void test_run(void **state) {
    (void)state;
    char *folder = test_temporary_dir(), *model = write_model(folder), *input = tm_path_join(folder, "x.npy");
    tm_error err = TAGMASK_ERROR_INIT;
    float *noise = test_noise(1, 3 * 8 * 8, -1, 1);
    tagmask_tensor x = {sizeof x, NULL, TAGMASK_FLOAT32, 4, {1, 3, 8, 8}, noise}, y = {.struct_size = sizeof y};
    assert_ok(tm_npy_write(input, &x, &err), &err);
    char *named = tm_format("pixels=1=%s", input), *wrong = tm_format("pixel=%s", input);
    const command_result *result =
        run_tagmask(folder, NULL, WORDS("run", "small.onnx", "--input", named, "--output", "a/b"));
    expect_command(result, 0, "a/b/scores_0_x.npy\n", NULL);
    char *output = tm_path_join(folder, "a/b/scores_0_x.npy");
    assert_ok(tm_npy_read(output, &y, &err), &err);
    assert_int_equal(y.rank, 2);
    assert_int_equal(y.dims[1], 2);
    free(y.data);
    expect_command(run(WORDS("run", model, "--input", wrong, "--output", folder)), 2, NULL,
                   "the network's inputs are: pixels=1");
    expect_command(run(WORDS("run", model, "--output", folder)), 2, NULL, "\"pixels=1\" is missing");
    expect_command(run(WORDS("run", model, "--input", "pixels=1=/nonexistent.npy", "--output", folder)), 1, NULL,
                   "/nonexistent.npy");
    expect_command(run(WORDS("run", model, "--input", named, "--input", named, "--output", folder)), 2, NULL, "twice");
    expect_command(run(WORDS("run", model, "--input", named, "--output", input)), 1, NULL, "x.npy");
    free(output);
    free(named);
    free(wrong);
    free(noise);
    free(input);
    free(model);
    free(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage),     cmocka_unit_test(test_no_driver), cmocka_unit_test(test_networks),
        cmocka_unit_test(test_precision), cmocka_unit_test(test_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
