#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int (*test_close_device)(void);

int test_run_group(const char *name, const struct CMUnitTest *tests, size_t count, CMFixtureFunction setup,
                   CMFixtureFunction teardown) {
    int failed = _cmocka_run_group_tests(name, tests, count, setup, teardown);
    return test_close_device ? failed + test_close_device() : failed;
}

void test_assert_ok(tagmask_status status, const tm_error *err, const char *call, const char *file, int line) {
    if (status == TAGMASK_OK) return;
    print_error("%s: status %d: %s\n", call, (int)status, err ? err->message : "");
    _fail(file, line);
}

float test_uniform(test_random *random, float low, float high) {
    uint64_t x = random->state ? random->state : 0x9e3779b97f4a7c15u;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    random->state = x;
    return low + (high - low) * (float)(x >> 40) / 16777216.0f;
}

float *test_noise(uint64_t seed, size_t count, float low, float high) {
    test_random random = {seed * 0x9e3779b97f4a7c15u + 1};
    float *data = malloc(sizeof *data * (count ? count : 1));
    assert_non_null(data);
    for (size_t i = 0; i < count; i++) data[i] = test_uniform(&random, low, high);
    return data;
}

double test_relative_error(const float *a, const float *b, size_t count) {
    double largest = 1e-6, difference = 0;
    for (size_t i = 0; i < count; i++) {
        double d = fabs((double)a[i] - b[i]);
        if (isnan(d)) return INFINITY;
        if (d > difference) difference = d;
        if (fabs((double)b[i]) > largest) largest = fabs((double)b[i]);
    }
    return difference / largest;
}

double test_correlation(const float *a, const float *b, size_t count) {
    double ma = 0, mb = 0, ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < count; i++) {
        ma += a[i] / (double)count;
        mb += b[i] / (double)count;
    }
    for (size_t i = 0; i < count; i++) {
        ab += (a[i] - ma) * (b[i] - mb);
        aa += (a[i] - ma) * (a[i] - ma);
        bb += (b[i] - mb) * (b[i] - mb);
    }
    return ab / sqrt(aa * bb);
}

static char *temporary_dirs[64];
static size_t temporary_count;
static void remove_dirs(void) {
    for (size_t i = 0; i < temporary_count; i++) {
        char command[4200];
        snprintf(command, sizeof command, "chmod -R u+w '%s' && rm -rf '%s'", temporary_dirs[i], temporary_dirs[i]);
        if (system(command)) print_error("could not remove %s\n", temporary_dirs[i]);
        free(temporary_dirs[i]);
    }
}

char *test_temporary_dir(void) {
    const char *base = getenv("TMPDIR");
    char path[4096];
    snprintf(path, sizeof path, "%s/tagmask-test-XXXXXX", base && *base ? base : "/tmp");
    assert_non_null(mkdtemp(path));
    if (!temporary_count) atexit(remove_dirs);
    assert_true(temporary_count < TM_ARRAY_LEN(temporary_dirs));
    temporary_dirs[temporary_count++] = strdup(path);
    return strdup(path);
}

void test_draw_picture(int64_t height, int64_t width, float *rgb) {
    int64_t least = height < width ? height : width;
    for (int64_t y = 0; y < height; y++) {
        for (int64_t x = 0; x < width; x++) {
            int64_t color[] = {x * 255 / width, y * 255 / height, (x + y) * 255 / (width + height)};
            const int64_t disc[] = {230, 90, 40}, checks[] = {20, 40, 200};
            int64_t dx = x * 3 - width, dy = y * 3 - height;
            if (dx * dx + dy * dy < least * least) memcpy(color, disc, sizeof color);
            bool square = x * 8 > 5 * width && x * 8 < 7 * width && y * 8 > 4 * height && y * 8 < 7 * height;
            if (square && (x / 4 + y / 4) % 2 == 0) memcpy(color, checks, sizeof color);
            for (int64_t c = 0; c < 3; c++) rgb[(c * height + y) * width + x] = (float)color[c];
        }
    }
}
