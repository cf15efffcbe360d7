// The list of devices, selection, environment variables, and machines without a driver or a loader.
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gpu/internal.h"
#include "test_gpu.h"

static const char *self;

// Runs this program again with one argument and, where set, one more environment variable; returns its exit status.
static int run_self(const char *argument, const char *variable, const char *value) {
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (variable) setenv(variable, value, 1);
        execl(self, self, argument, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

// In the child: both entry points report that there is no device. 0: as expected.
static int expect_no_device(void) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_gpu *gpu = NULL;
    tm_gpu_info *list = NULL;
    size_t count = 0;
    if (tm_gpu_open(NULL, &gpu, &err) != TAGMASK_ERROR_NO_DEVICE || gpu || strlen(err.message) < 20) return 1;
    err.message[0] = 0;
    if (tm_gpu_list(&list, &count, &err) != TAGMASK_ERROR_NO_DEVICE || list || strlen(err.message) < 20) return 2;
    return strstr(err.message, "mesa-vulkan-drivers") ? 0 : 3;
}

static void test_no_driver(void **state) {
    (void)state;
    assert_int_equal(run_self("no-device", "VK_ICD_FILENAMES", "/nonexistent"), 0);
}

static void test_list(void **state) {
    (void)state;
    static const char *const order[] = {"discrete", "integrated", "virtual", "cpu", "other"};
    tm_error err = TAGMASK_ERROR_INIT;
    tm_gpu_info *list = NULL;
    size_t count = 0, rank = 0;
    assert_ok(tm_gpu_list(&list, &count, &err), &err);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(list[i].index, i);
        while (rank < TM_ARRAY_LEN(order) && strcmp(list[i].type, order[rank]) != 0) rank++;
        assert_true(rank < TM_ARRAY_LEN(order));
        assert_true(list[i].name[0] && list[i].driver[0]);
        // The floor every kernel relies on.
        assert_true(list[i].max_invocations >= 128 && list[i].shared_memory >= 16384);
        assert_true(list[i].max_storage_range >= (uint64_t)128 << 20);
        assert_true(list[i].max_texel_elements >= 65536);
        assert_true(list[i].buffer_alignment >= 16 && list[i].buffer_alignment <= 256);
        assert_true(list[i].device_memory > 0);
        if (strstr(list[i].name, "llvmpipe")) assert_int_equal(list[i].gpu_class, TM_GPU_CLASS_LAVAPIPE);
        if (strstr(list[i].name, "SwiftShader")) assert_int_equal(list[i].gpu_class, TM_GPU_CLASS_SWIFTSHADER);
    }
    free(list);
}

static tagmask_status open_and_close(const char *selector, tm_error *err) {
    tm_gpu *gpu = NULL;
    tagmask_status status = tm_gpu_open(selector, &gpu, err);
    assert_true((status == TAGMASK_OK) == (gpu != NULL));
    tm_gpu_close(gpu);
    return status;
}

static void test_open(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tm_gpu_info *list = NULL;
    size_t count = 0;
    assert_ok(tm_gpu_list(&list, &count, &err), &err);
    char part[8] = "";
    for (size_t i = 0; i < 5 && list[0].name[i]; i++)
        part[i] = (char)(list[0].name[i] ^ (list[0].name[i] >= 'A' ? 0x20 : 0));  // the other case
    assert_ok(open_and_close("0", &err), &err);
    assert_ok(open_and_close("", &err), &err);
    assert_ok(open_and_close(part, &err), &err);
    const char *const wrong[] = {"99", "no such device", "-1", "0x0"};
    for (size_t i = 0; i < TM_ARRAY_LEN(wrong); i++) {
        assert_int_equal(open_and_close(wrong[i], &err), TAGMASK_ERROR_NO_DEVICE);
        assert_non_null(strstr(err.message, wrong[i]));
        assert_non_null(strstr(err.message, list[0].name));
    }
    char *before = getenv("TAGMASK_DEVICE");
    before = before ? strdup(before) : NULL;
    setenv("TAGMASK_DEVICE", "no such device", 1);
    assert_int_equal(open_and_close(NULL, &err), TAGMASK_ERROR_NO_DEVICE);
    assert_ok(open_and_close("0", &err), &err);
    unsetenv("TAGMASK_DEVICE");
    if (before) setenv("TAGMASK_DEVICE", before, 1);
    free(before);
    free(list);
    tm_gpu_close(NULL);
}

static tm_physical named(const char *name) {
    tm_physical physical = {0};
    snprintf(physical.info.name, sizeof physical.info.name, "%s", name);
    return physical;
}

// Selection among devices that this machine need not have.
static void test_select(void **state) {
    (void)state;
    const tm_physical list[] = {named("GeForce RTX 4090"), named("Radeon 780M"), named("llvmpipe (LLVM 15)")};
    const struct {
        const char *selector;
        size_t chosen;
    } cases[] = {{"0", 0}, {"2", 2}, {"radeon", 1}, {"LLVM", 2}, {"4090", 0}, {"1", 1}};
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        tm_error err = TAGMASK_ERROR_INIT;
        size_t chosen = 99;
        assert_ok(tm_physical_select(list, 3, cases[i].selector, &chosen, &err), &err);
        assert_int_equal(chosen, cases[i].chosen);
    }
    tm_error err = TAGMASK_ERROR_INIT;
    size_t chosen = 99;
    assert_int_equal(tm_physical_select(list, 3, "Arc", &chosen, &err), TAGMASK_ERROR_NO_DEVICE);
    for (size_t i = 0; i < 3; i++) assert_non_null(strstr(err.message, list[i].info.name));
    assert_int_equal(chosen, 99);
}

static void test_environment(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tm_gpu *gpu = NULL;
    setenv("TAGMASK_GPU_CLASS", "gpu", 1);
    setenv("TAGMASK_DISABLE", "fp16,int8, timestamps", 1);
    assert_ok(tm_gpu_open(NULL, &gpu, &err), &err);
    const tm_gpu_info *info = tm_gpu_get_info(gpu);
    assert_int_equal(info->gpu_class, TM_GPU_CLASS_GPU);
    assert_false(info->fp16_storage || info->fp16_arithmetic || info->int8_storage || info->timestamps);
    tm_gpu_close(gpu);
    setenv("TAGMASK_GPU_CLASS", "SwiftShader", 1);
    assert_ok(tm_gpu_open(NULL, &gpu, &err), &err);
    assert_int_equal(tm_gpu_get_info(gpu)->gpu_class, TM_GPU_CLASS_SWIFTSHADER);
    tm_gpu_close(gpu);
    unsetenv("TAGMASK_GPU_CLASS");
    unsetenv("TAGMASK_DISABLE");
}

// Several devices at once: each has its own functions, memory and pipelines.
static void test_two_devices(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tm_gpu *gpus[2];
    tm_buffer *buffers[2];
    float out[64];
    for (int i = 0; i < 2; i++) {
        assert_ok(tm_gpu_open(NULL, &gpus[i], &err), &err);
        buffers[i] = make_buffer(gpus[i], 256);
    }
    for (int i = 0; i < 2; i++) {
        tm_recorder *recorder = begin_recording(gpus[i]);
        assert_ok(tm_fill(recorder, tm_slice_all(buffers[i]), 0, &err), &err);
        record_in_place(recorder, tm_slice_all(buffers[i]), 1, (float)i + 1);
        assert_ok(tm_readback(recorder, tm_slice_all(buffers[i]), out, &err), &err);
        finish_recording(recorder);
        for (int k = 0; k < 64; k++) assert_true(out[k] == (float)i + 1);
        tm_buffer_destroy(buffers[i]);
        tm_gpu_close(gpus[i]);
    }
}

int main(int argument_count, char **arguments) {
    self = arguments[0];
    if (argument_count > 1 && strcmp(arguments[1], "no-device") == 0) return expect_no_device();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_driver), cmocka_unit_test(test_list),        cmocka_unit_test(test_open),
        cmocka_unit_test(test_select),    cmocka_unit_test(test_environment), cmocka_unit_test(test_two_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
