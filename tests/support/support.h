// Shared by all tests: a device, random data, comparisons, temporary folders.
// Include this instead of cmocka.h (it needs its headers in a fixed order).
#ifndef TEST_SUPPORT_H
#define TEST_SUPPORT_H

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "gpu/gpu.h"

// Fails the test with err's message unless the call succeeded.
#define assert_ok(call, err) test_assert_ok((call), (err), #call, __FILE__, __LINE__)
void test_assert_ok(tagmask_status status, const tm_error *err, const char *call, const char *file, int line);

// The device named by TAGMASK_DEVICE (else the preferred one), opened once a process; closed after the group of tests,
// which fails when validation layers reported something about it.
tm_gpu *test_gpu(void);

// Every group closes the shared device before main returns: validation layers are torn down while the process exits,
// and destroying a device crashes in them then.
#undef cmocka_run_group_tests
#define cmocka_run_group_tests(tests, setup, teardown) \
    test_run_group(#tests, tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)
int test_run_group(const char *name, const struct CMUnitTest *tests, size_t count, CMFixtureFunction setup,
                   CMFixtureFunction teardown);
extern int (*test_close_device)(void);  // set when a device is opened; returns the number of failures

// Deterministic noise: xorshift; uniform in [low, high).
typedef struct test_random {
    uint64_t state;
} test_random;
float test_uniform(test_random *random, float low, float high);
float *test_noise(uint64_t seed, size_t count, float low, float high);  // malloc'ed

// Red, green and blue planes, 0 to 255, of the picture that tests/data/networks/make.py draws, too.
void test_draw_picture(int64_t height, int64_t width, float *rgb);

// Largest |a - b| / max(1e-6, largest |b|), with NaN counted as infinite.
double test_relative_error(const float *a, const float *b, size_t count);
#define assert_close(a, b, count, tolerance)                                                                     \
    do {                                                                                                         \
        double test_error_ = test_relative_error(a, b, count);                                                   \
        if (!(test_error_ <= (tolerance))) fail_msg("relative error %g > %g", test_error_, (double)(tolerance)); \
    } while (0)

double test_correlation(const float *a, const float *b, size_t count);

// A fresh folder, removed at exit; malloc'ed path.
char *test_temporary_dir(void);

#endif
