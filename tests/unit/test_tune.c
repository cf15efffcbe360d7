// Choosing kernels by timing them: the file, what is kept, what pins and what never changes.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/platform.h"
#include "gpu/tune.h"
#include "support.h"

static void test_file_format(void **state) {
    (void)state;
    tm_tune_choice choices[3] = {{11, 1}, {22, 0}, {33, 4}}, back[TM_TUNE_MOST];
    size_t size = 0, count = 0;
    uint8_t *file = tm_tune_encode(42, choices, 3, &size);
    assert_non_null(file);
    assert_true(tm_tune_decode(42, file, size, back, &count));
    assert_int_equal(count, 3);
    assert_memory_equal(back, choices, sizeof choices);
    assert_false(tm_tune_decode(43, file, size, back, &count));  // another device
    for (size_t cut = 0; cut < size; cut++) assert_false(tm_tune_decode(42, file, cut, back, &count));
    for (size_t i = 0; i < size; i++) {
        file[i] ^= 0x10;
        assert_false(tm_tune_decode(42, file, size, back, &count));
        file[i] ^= 0x10;
    }
    free(file);
    tm_tune_choice *many = calloc(TM_TUNE_MOST + 1, sizeof *many);
    assert_null(tm_tune_encode(42, many, TM_TUNE_MOST + 1, &size));
    free(many);
}

// An operator whose candidates only sleep.
typedef struct sleeper {
    int milliseconds[3];
    int runs;
    bool fails;
} sleeper;

static tagmask_status run_sleeper(void *user, uint32_t candidate, tm_recorder *recorder, tm_error *err) {
    (void)recorder;
    sleeper *s = user;
    s->runs++;
    if (s->fails) return tm_fail(err, TAGMASK_ERROR_DEVICE_MEMORY, "no memory on purpose");
    usleep((useconds_t)s->milliseconds[candidate] * 1000);
    return TAGMASK_OK;
}

static uint32_t choose(tm_gpu *gpu, int32_t shape, sleeper *s) {
    tm_tune_case what = {"sleep", &shape, 1, 7, 0, run_sleeper, s};
    return tm_tune_choose(gpu, &what);
}

static tm_gpu *open_with(const char *tune) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_gpu *gpu;
    if (tune)
        setenv("TAGMASK_TUNE", tune, 1);
    else
        unsetenv("TAGMASK_TUNE");
    assert_ok(tm_gpu_open(NULL, &gpu, &err), &err);
    unsetenv("TAGMASK_TUNE");
    return gpu;
}

static const sleeper second_is_best = {{80, 0, 80}, 0, false};

// Without being asked nothing is timed, and the rule holds.
static void test_default(void **state) {
    (void)state;
    static const char *const quiet[] = {NULL, "", "off"};
    for (size_t i = 0; i < 3; i++) {
        tm_gpu *gpu = open_with(quiet[i]);
        sleeper s = second_is_best;
        assert_int_equal(choose(gpu, 1, &s), 0);
        assert_int_equal(s.runs, 0);
        assert_false(tm_tune_active(gpu));
        tm_gpu_close(gpu);
    }
}

static void test_timed_kept_and_pinned(void **state) {
    (void)state;
    tm_gpu *gpu = open_with("full");
    sleeper s = second_is_best;
    assert_true(tm_tune_active(gpu));
    assert_int_equal(choose(gpu, 1, &s), 1);
    assert_int_equal(s.runs, 9);
    sleeper other = {{0, 80, 80}, 0, false};
    assert_int_equal(choose(gpu, 1, &other), 1);  // what was chosen stays chosen
    assert_int_equal(other.runs, 0);
    assert_int_equal(choose(gpu, 2, &other), 0);
    char *path = tm_tune_path(gpu);
    tm_gpu_close(gpu);

    uint8_t *file = NULL;
    size_t size = 0, count = 0;
    tm_error err = TAGMASK_ERROR_INIT;
    tm_tune_choice choices[TM_TUNE_MOST];
    assert_ok(tm_read_file(path, 1 << 20, &file, &size, &err), &err);
    gpu = open_with("full");
    assert_true(tm_tune_decode(tm_tune_key(gpu), file, size, choices, &count));
    assert_int_equal(count, 2);
    s.runs = 0;
    assert_int_equal(choose(gpu, 1, &s), 1);  // the same in a device that is opened again
    assert_int_equal(s.runs, 0);
    tm_gpu_close(gpu);

    // A process that began without choices goes on without them.
    gpu = open_with(NULL);
    assert_int_equal(choose(gpu, 1, &s), 0);
    tm_gpu_close(gpu);

    // A file by name pins: nothing is timed, for other cases neither.
    gpu = open_with(path);
    assert_int_equal(choose(gpu, 1, &s), 1);
    assert_int_equal(choose(gpu, 3, &s), 0);
    assert_int_equal(s.runs, 0);
    // A choice that no longer fits the candidates is not taken.
    tm_tune_case fewer = {"sleep", (const int32_t[]){1}, 1, 5, 2, run_sleeper, &s};
    assert_int_equal(tm_tune_choose(gpu, &fewer), 2);
    tm_gpu_close(gpu);
    uint8_t *after = NULL;
    size_t after_size = 0;
    assert_ok(tm_read_file(path, 1 << 20, &after, &after_size, &err), &err);
    assert_int_equal(after_size, size);
    assert_memory_equal(after, file, size);
    free(after);
    free(file);
    free(path);
}

// A file that is damaged, of another device or not there is no error: the rule holds.
static void test_bad_file(void **state) {
    (void)state;
    char *folder = test_temporary_dir(), path[512];
    tm_error err = TAGMASK_ERROR_INIT;
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%d", folder, i);
        size_t size = 0;
        uint8_t *foreign = tm_tune_encode(7, &(tm_tune_choice){1, 1}, 1, &size);
        if (i == 0) assert_ok(tm_write_file(path, "TMTN but not really", 19, &err), &err);
        if (i == 1) assert_ok(tm_write_file(path, foreign, size, &err), &err);
        free(foreign);
        tm_gpu *gpu = open_with(path);
        sleeper s = second_is_best;
        assert_int_equal(choose(gpu, 1, &s), 0);
        assert_false(tm_tune_active(gpu));
        tm_gpu_close(gpu);
    }
    free(folder);
}

// The first candidate takes more than all the time there is: no other is run, nothing is kept.
static void test_budget(void **state) {
    (void)state;
    tm_gpu *gpu = open_with("on");
    sleeper slow = {{(int)TM_TUNE_BUDGET_MS + 100, 0, 0}, 0, false}, quick = {{0, 0, 0}, 0, false};
    assert_int_equal(choose(gpu, 10, &slow), 0);
    assert_int_equal(slow.runs, 1);
    assert_int_equal(choose(gpu, 11, &quick), 0);
    assert_int_equal(quick.runs, 0);
    char *path = tm_tune_path(gpu);
    uint8_t *file = NULL;
    size_t size = 0, count = 0;
    tm_error err = TAGMASK_ERROR_INIT;
    tm_tune_choice choices[TM_TUNE_MOST];
    uint64_t key = tm_tune_key(gpu);
    tm_gpu_close(gpu);
    assert_ok(tm_read_file(path, 1 << 20, &file, &size, &err), &err);  // of the test before
    assert_true(tm_tune_decode(key, file, size, choices, &count));
    assert_int_equal(count, 2);
    free(file);
    free(path);
}

static void test_failure(void **state) {
    (void)state;
    tm_gpu *gpu = open_with("full");
    sleeper failing = {{0, 0, 0}, 0, true};
    assert_int_equal(choose(gpu, 20, &failing), 0);
    assert_int_equal(failing.runs, 1);
    failing.fails = false;
    assert_int_equal(choose(gpu, 20, &failing), 0);  // and so for the rest of the process
    assert_int_equal(failing.runs, 1);
    tm_gpu_close(gpu);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_format),           cmocka_unit_test(test_default), cmocka_unit_test(test_bad_file),
        cmocka_unit_test(test_timed_kept_and_pinned), cmocka_unit_test(test_budget),  cmocka_unit_test(test_failure),
    };
    char *folder = test_temporary_dir();
    setenv("TAGMASK_CACHE", folder, 1);
    free(folder);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
