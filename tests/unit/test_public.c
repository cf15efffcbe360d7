// The public functions that need no model: devices, the log, parameters, and networks from a file.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "onnx_build.h"
#include "support.h"

static tagmask_device *device;

static int open_device(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tagmask_device_open(NULL, &device, &err), &err);
    return 0;
}

static int close_device(void **state) {
    (void)state;
    tagmask_device_stats stats = {.struct_size = sizeof stats};
    assert_int_equal(tagmask_device_get_stats(device, &stats), TAGMASK_OK);
    assert_int_equal(stats.validation_errors, 0);
    tagmask_device_close(device);
    return 0;
}

// ---- Devices

static void devices_are_listed_and_opened_by_index(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_device_info infos[16], opened = {.struct_size = sizeof opened};
    size_t count = 0, again = 0;
    assert_ok(tagmask_devices(NULL, 0, &count, &err), &err);
    assert_in_range(count, 1, TM_ARRAY_LEN(infos));
    for (size_t i = 0; i < count; i++) infos[i] = (tagmask_device_info){.struct_size = sizeof infos[i]};
    assert_ok(tagmask_devices(infos, count, &again, &err), &err);
    assert_int_equal(again, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(*infos[i].name && *infos[i].driver && *infos[i].type && *infos[i].kernels);
        assert_int_equal(infos[i].index, i);
        assert_true(infos[i].api_major == 1 && infos[i].api_minor >= 1);
        assert_true(infos[i].memory_bytes > 0);
    }
    assert_int_equal(tagmask_device_get_info(device, &opened), TAGMASK_OK);
    assert_string_equal(opened.name, infos[opened.index].name);
    char index[16];
    snprintf(index, sizeof index, "%u", opened.index);
    tagmask_device *second = NULL;
    assert_ok(tagmask_device_open(index, &second, &err), &err);
    tagmask_device_close(second);
}

// An older program's struct is shorter: nothing beyond it is written.
static void an_older_struct_is_filled_as_far_as_it_goes(void **state) {
    (void)state;
    tagmask_device_info info, full = {.struct_size = sizeof full};
    memset(&info, 0x5a, sizeof info);
    info.struct_size = offsetof(tagmask_device_info, index);
    assert_int_equal(tagmask_device_get_info(device, &info), TAGMASK_OK);
    assert_int_equal(tagmask_device_get_info(device, &full), TAGMASK_OK);
    assert_string_equal(info.name, full.name);
    assert_int_equal(info.index, 0x5a5a5a5a);
    info.struct_size = 0;
    assert_int_equal(tagmask_device_get_info(device, &info), TAGMASK_ERROR_ARGUMENT);
    assert_int_equal(tagmask_device_get_info(NULL, &full), TAGMASK_ERROR_ARGUMENT);
}

static void device_mistakes_are_named(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_device_info unset = {0};
    tagmask_device *none = NULL;
    size_t count = 77;
    assert_int_equal(tagmask_devices(&unset, 1, &count, &err), TAGMASK_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "struct_size"));
    assert_int_equal(tagmask_devices(NULL, 1, &count, &err), TAGMASK_ERROR_ARGUMENT);
    assert_int_equal(tagmask_device_open("no such device", &none, &err), TAGMASK_ERROR_NO_DEVICE);
    assert_non_null(strstr(err.message, "no such device"));
    assert_int_equal(count, 77);
    assert_null(none);
}

static void getters_answer_null(void **state) {
    (void)state;
    tagmask_region region = {.struct_size = sizeof region};
    assert_int_equal(tagmask_result_width(NULL), 0);
    assert_int_equal(tagmask_result_height(NULL), 0);
    assert_int_equal(tagmask_result_tag_count(NULL), 0);
    assert_null(tagmask_result_tag(NULL, 0));
    assert_null(tagmask_result_probability(NULL, 0));
    assert_null(tagmask_result_labels(NULL));
    assert_null(tagmask_result_note(NULL, 0));
    assert_int_equal(tagmask_result_region_count(NULL), 0);
    assert_int_equal(tagmask_result_region(NULL, 0, &region), TAGMASK_ERROR_ARGUMENT);
    assert_int_equal(tagmask_engine_class_count(NULL), 0);
    assert_null(tagmask_engine_class_name(NULL, 0));
    assert_null(tagmask_engine_vocabulary(NULL, 0));
    assert_int_equal(tagmask_engine_check_params(NULL, NULL, NULL), TAGMASK_ERROR_ARGUMENT);
    assert_int_equal(tagmask_device_get_stats(NULL, NULL), TAGMASK_ERROR_ARGUMENT);
}

// ---- The log

static struct {
    size_t lines;
    tagmask_log_level level;
    char text[256];
} logged;

static void keep_line(void *user, tagmask_log_level level, const char *message) {
    assert_ptr_equal(user, &logged);
    logged.lines++;
    logged.level = level;
    snprintf(logged.text, sizeof logged.text, "%s", message);
}

static void log_lines_reach_the_callback(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    size_t count;
    tagmask_set_log(keep_line, &logged);
    setenv("TAGMASK_GPU_CLASS", "abacus", 1);
    assert_ok(tagmask_devices(NULL, 0, &count, &err), &err);
    unsetenv("TAGMASK_GPU_CLASS");
    tagmask_set_log(NULL, NULL);
    assert_true(logged.lines > 0);
    assert_int_equal(logged.level, TAGMASK_LOG_WARNING);
    assert_non_null(strstr(logged.text, "TAGMASK_GPU_CLASS=abacus"));
}

// ---- Parameters

static void presets_tell_their_numbers(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_params params = {.struct_size = sizeof params}, fast = {.struct_size = sizeof fast};
    assert_ok(tagmask_params_default(NULL, &params, &err), &err);
    assert_ok(tagmask_params_default("fast", &fast, &err), &err);
    assert_int_equal(params.working_size, 640);
    assert_true(params.threshold > 0 && params.threshold < 1);
    assert_int_equal(params.crf_iterations, 5);
    assert_true(fabsf(params.crf_gaussian_sxy - 3) < 1e-6f && fabsf(params.crf_bilateral_sxy - 50) < 1e-6f);
    assert_true(fabsf(params.min_part - 0.05f) < 1e-6f && fabsf(params.polygon_tolerance - 1) < 1e-6f);
    assert_null(params.preset);
    assert_null(params.cache_dir);
    assert_int_equal(fast.struct_size, sizeof fast);
    assert_int_equal(tagmask_params_default("slow", &params, &err), TAGMASK_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "slow"));
    assert_int_equal(tagmask_params_default(NULL, NULL, &err), TAGMASK_ERROR_ARGUMENT);
    assert_int_equal(tagmask_params_default(NULL, &(tagmask_params){0}, &err), TAGMASK_ERROR_ARGUMENT);
}

// ---- Networks

// y = relu(x) * 2 + 1, for any number of rows of four.
static char *write_model(void) {
    onnx_model *model = onnx_new(13);
    onnx_input(model, "x", TM_FLOAT32, DIMS(-1, 4));
    onnx_constant(model, "two", TM_FLOAT32, SCALAR, &(float){2});
    onnx_constant(model, "one", TM_FLOAT32, SCALAR, &(float){1});
    onnx_add(model, "Relu", "x", "positive");
    onnx_add(model, "Mul", "positive,two", "doubled");
    onnx_add(model, "Add", "doubled,one", "y");
    onnx_output(model, "y");
    size_t size = 0;
    uint8_t *bytes = onnx_bytes(model, &size);
    onnx_free(model);
    char *folder = test_temporary_dir(), *path = tm_path_join(folder, "small.onnx");
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_write_file(path, bytes, size, &err), &err);
    free(bytes);
    free(folder);
    return path;
}

static tagmask_tensor rows(const float *values, int64_t count) {
    return (tagmask_tensor){.struct_size = sizeof(tagmask_tensor),
                            .dtype = TAGMASK_FLOAT32,
                            .rank = 2,
                            .dims = {count, 4},
                            .data = (void *)(uintptr_t)values};
}

static void a_network_runs(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    char *path = write_model();
    const char *inner[] = {"positive"};
    tagmask_network *network = NULL;
    const tagmask_tensor *inputs = NULL, *outputs = NULL;
    assert_ok(tagmask_network_load(device, path, inner, 1, &network, &err), &err);
    assert_int_equal(tagmask_network_inputs(network, &inputs), 1);
    assert_int_equal(tagmask_network_outputs(network, &outputs), 2);
    assert_string_equal(inputs[0].name, "x");
    assert_int_equal(inputs[0].dtype, TAGMASK_FLOAT32);
    assert_int_equal(inputs[0].rank, 2);
    assert_int_equal(inputs[0].dims[0], -1);
    assert_int_equal(inputs[0].dims[1], 4);
    assert_null(inputs[0].data);
    assert_string_equal(outputs[0].name, "y");
    assert_string_equal(outputs[1].name, "positive");
    const float x[12] = {-1, 0, 1, 2, 3, -4, 5, -6, 7, 8, -9, 10};
    for (int64_t count = 1; count <= 3; count += 2) {
        tagmask_tensor in = rows(x, count), out[2] = {{.struct_size = sizeof *out}, {.struct_size = sizeof *out}};
        assert_ok(tagmask_network_run(network, &in, 1, out, &err), &err);
        assert_int_equal(out[0].rank, 2);
        assert_int_equal(out[0].dims[0], count);
        for (int64_t i = 0; i < 4 * count; i++) {
            float positive = x[i] > 0 ? x[i] : 0;
            assert_true(fabsf(((const float *)out[0].data)[i] - (2 * positive + 1)) < 1e-5f);
            assert_true(fabsf(((const float *)out[1].data)[i] - positive) < 1e-5f);
        }
        for (size_t i = 0; i < 2; i++) {
            tagmask_tensor_release(&out[i]);
            assert_null(out[i].data);
        }
    }
    tagmask_network_stats stats = {.struct_size = sizeof stats};
    assert_int_equal(tagmask_network_get_stats(network, &stats), TAGMASK_OK);
    assert_true(stats.dispatches > 0 && stats.activation_bytes > 0);
    const tagmask_layer *layers = NULL;
    size_t count = tagmask_network_layers(network, &layers), found = 0;
    for (size_t i = 0; i < count; i++) {
        assert_true(layers[i].name && *layers[i].op);
        if (strcmp(layers[i].name, "positive")) continue;
        found++;
        assert_string_equal(layers[i].op, "Relu");
        assert_int_equal(layers[i].dims[0], 3);  // of the run that came last
    }
    assert_int_equal(found, 1);
    tagmask_network_free(network);
    tagmask_network_free(NULL);
    free(path);
}

static void network_mistakes_are_named(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    char *path = write_model();
    tagmask_network *network = NULL;
    assert_int_equal(tagmask_network_load(device, "no-such.onnx", NULL, 0, &network, &err), TAGMASK_ERROR_FILE);
    assert_non_null(strstr(err.message, "no-such.onnx"));
    assert_int_equal(tagmask_network_load(NULL, path, NULL, 0, &network, &err), TAGMASK_ERROR_ARGUMENT);
    assert_true(tagmask_network_load(device, path, (const char *[]){"nowhere"}, 1, &network, &err) != TAGMASK_OK);
    assert_non_null(strstr(err.message, "nowhere"));
    assert_null(network);
    assert_ok(tagmask_network_load(device, path, NULL, 0, &network, &err), &err);
    const float x[8] = {0};
    tagmask_tensor in = rows(x, 2), out = {.struct_size = sizeof out};
    in.struct_size = 0;
    assert_int_equal(tagmask_network_run(network, &in, 1, &out, &err), TAGMASK_ERROR_ARGUMENT);
    in = rows(x, 2);
    in.rank = 1;
    assert_int_equal(tagmask_network_run(network, &in, 1, &out, &err), TAGMASK_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "'x'"));
    in = rows(x, 2);
    in.dtype = TAGMASK_INT64;
    assert_int_equal(tagmask_network_run(network, &in, 1, &out, &err), TAGMASK_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "'x'"));
    assert_int_equal(tagmask_network_run(network, NULL, 0, &out, &err), TAGMASK_ERROR_ARGUMENT);
    assert_null(out.data);
    tagmask_network_free(network);
    free(path);
}

static void networks_load_with_options(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    char *path = write_model();
    const float x[4] = {-1, 0, 1, 2};
    static const char *const precisions[] = {NULL, "", "fp32", "fp16"};
    for (size_t i = 0; i < TM_ARRAY_LEN(precisions); i++) {
        tagmask_load_options options = {.struct_size = sizeof options, .precision = precisions[i]};
        tagmask_tensor in = rows(x, 1), out = {.struct_size = sizeof out};
        tagmask_network *network = NULL;
        assert_ok(tagmask_network_load_with(device, path, NULL, 0, &options, &network, &err), &err);
        assert_ok(tagmask_network_run(network, &in, 1, &out, &err), &err);
        assert_true(fabsf(((const float *)out.data)[3] - 5) < 1e-5f);
        tagmask_tensor_release(&out);
        tagmask_network_free(network);
    }
    tagmask_network *network = NULL;
    tagmask_load_options wrong = {.struct_size = sizeof wrong, .precision = "fp8"};
    assert_int_equal(tagmask_network_load_with(device, path, NULL, 0, &wrong, &network, &err), TAGMASK_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "\"fp8\" is unknown; expected fp32 or fp16"));
    wrong.struct_size = 0;
    assert_int_equal(tagmask_network_load_with(device, path, NULL, 0, &wrong, &network, &err), TAGMASK_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "struct_size"));
    assert_null(network);
    free(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_are_listed_and_opened_by_index),
        cmocka_unit_test(an_older_struct_is_filled_as_far_as_it_goes),
        cmocka_unit_test(device_mistakes_are_named),
        cmocka_unit_test(getters_answer_null),
        cmocka_unit_test(log_lines_reach_the_callback),
        cmocka_unit_test(presets_tell_their_numbers),
        cmocka_unit_test(a_network_runs),
        cmocka_unit_test(network_mistakes_are_named),
        cmocka_unit_test(networks_load_with_options),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
