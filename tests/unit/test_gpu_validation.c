// Validation and synchronization validation: the recorder's work is clean, and the same work with its barriers left out
// is found, so that "clean" means something.
//
// The program runs itself again under each set-up:
// - Debian's VK_LAYER_KHRONOS_validation by TAGMASK_VALIDATION=1 and by the layer's own environment variables. Version
//   1.3.239 misses a hazard between two dispatches that work in place; it finds those between transfers and dispatches.
// - A newer layer, which finds both: TAGMASK_TEST_LAYER_DIR names a folder with libVkLayer_khronos_validation.so, for
//   example usr/lib/chromium of the unpacked Debian package chromium-common.
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_gpu.h"

static const char *self;
#define LAYER "VK_LAYER_KHRONOS_validation"

typedef enum work { DISPATCHES, FILL_DISPATCH, FILL_COPY, DISPATCH_COPY, WORKS } work;

static void record(tm_recorder *recorder, work kind, tm_slice x, tm_slice y) {
    tm_error err = TAGMASK_ERROR_INIT;
    if (kind == FILL_DISPATCH || kind == FILL_COPY) assert_ok(tm_fill(recorder, x, 0, &err), &err);
    if (kind == DISPATCHES || kind == DISPATCH_COPY) record_in_place(recorder, x, 1, 1);
    if (kind == DISPATCHES || kind == FILL_DISPATCH) record_in_place(recorder, x, 1, 1);
    if (kind == FILL_COPY || kind == DISPATCH_COPY) assert_ok(tm_copy(recorder, x, y, &err), &err);
}

// In the child: the number of validation errors that one piece of work gives.
static int child(const char *kind, const char *skip) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_gpu *gpu = NULL;
    if (tm_gpu_open(NULL, &gpu, &err)) return 100;
    tm_gpu_test_skip_barriers(gpu, *skip == '1');
    tm_buffer *x = make_buffer(gpu, 4096), *y = make_buffer(gpu, 4096);
    tm_recorder *recorder = begin_recording(gpu);
    record(recorder, (work)atoi(kind), tm_slice_all(x), tm_slice_all(y));
    finish_recording(recorder);
    uint64_t errors = tm_gpu_validation_errors(gpu);
    tm_buffer_destroy(x);
    tm_buffer_destroy(y);
    tm_gpu_close(gpu);
    return errors > 50 ? 50 : (int)errors;
}

typedef struct setup {
    const char *names[6], *values[6];
} setup;

static int errors_under(const setup *environment, work kind, bool skip) {
    char number[2] = {(char)('0' + kind), 0};
    fflush(NULL);
    pid_t process = fork();
    assert_true(process >= 0);
    if (process == 0) {
        setenv("TAGMASK_LOG", "off", 1);
        setenv("ASAN_OPTIONS", "detect_leaks=0", 1);  // layers keep some memory of their own
        unsetenv("LD_PRELOAD");                       // the sanitizer's run-time library has to come first
        for (int i = 0; i < 6 && environment->names[i]; i++) setenv(environment->names[i], environment->values[i], 1);
        execl(self, self, number, skip ? "1" : "0", (char *)NULL);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(process, &status, 0), process);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 100);
    return WEXITSTATUS(status);
}

static void expect(const setup *environment, bool finds_dispatches) {
    for (work kind = DISPATCHES; kind < WORKS; kind++) {
        assert_int_equal(errors_under(environment, kind, false), 0);
        int planted = errors_under(environment, kind, true);
        if (kind != DISPATCHES || finds_dispatches) assert_int_not_equal(planted, 0);
    }
}

static bool debian_layer(void) {
    void *layer = dlopen("libVkLayer_khronos_validation.so", RTLD_LAZY | RTLD_LOCAL);
    if (!layer) {
        print_message("skipped: the Debian package vulkan-validationlayers is not installed\n");
        return false;
    }
    dlclose(layer);
    return true;
}

static void test_own_switch(void **state) {
    (void)state;
    if (!debian_layer()) skip();
    const setup environment = {{"TAGMASK_VALIDATION"}, {"1"}};
    expect(&environment, false);
}

static void test_environment_switch(void **state) {
    (void)state;
    if (!debian_layer()) skip();
    const setup environment = {{"VK_INSTANCE_LAYERS", "VK_LAYER_ENABLES"},
                               {LAYER, "VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT"}};
    expect(&environment, false);
}

static void test_newer_layer(void **state) {
    (void)state;
    const char *given = getenv("TAGMASK_TEST_LAYER_DIR");
    if (!given || !*given) {
        print_message("skipped: TAGMASK_TEST_LAYER_DIR does not name a folder with a newer validation layer\n");
        skip();
    }
    char *folder = test_temporary_dir(), full[PATH_MAX];
    assert_non_null(realpath(given, full));
    char *json = tm_format(
        "{\"file_format_version\": \"1.1.0\", \"layer\": {\"name\": \"" LAYER
        "\", \"type\": \"GLOBAL\", \"library_path\": \"%s/libVkLayer_khronos_validation.so\", \"api_version\": "
        "\"1.4.300\", \"implementation_version\": \"1\", \"description\": \"Khronos validation layer\", "
        "\"instance_extensions\": [{\"name\": \"VK_EXT_debug_utils\", \"spec_version\": \"2\"}]}}",
        full);
    char *path = tm_path_join(folder, "VkLayer_khronos_validation.json");
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_write_file(path, json, strlen(json), &err), &err);
    const setup environment = {
        {"VK_LAYER_PATH", "VK_INSTANCE_LAYERS", "VK_LAYER_VALIDATE_SYNC", "VK_LAYER_SYNCVAL_SHADER_ACCESSES_HEURISTIC"},
        {folder, LAYER, "1", "1"}};
    expect(&environment, true);
    free(path);
    free(json);
    free(folder);
}

int main(int argument_count, char **arguments) {
    self = arguments[0];
    if (argument_count == 3) return child(arguments[1], arguments[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_switch),
        cmocka_unit_test(test_environment_switch),
        cmocka_unit_test(test_newer_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
