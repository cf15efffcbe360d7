// What a view sees of each class (mask/presence.h) against plain C.
#include <math.h>
#include <stdlib.h>

#include "map_case.h"
#include "mask/presence.h"

typedef struct sizes {
    uint32_t width, height, channels, classes;
    tm_layout layout;
} sizes;

// Features [channels][places] on the device in a layout.
static tm_tensor features_of(map_case *f, const sizes *s, const float *values) {
    uint32_t places = s->width * s->height;
    tm_tensor tensor = {TM_FLOAT32, s->layout, {4, {1, s->channels, s->height, s->width}}, {NULL, 0, 0}};
    size_t count = tm_layout_bytes(&tensor.shape, s->layout) / 4;
    float *packed = calloc(count, sizeof *packed);
    for (uint32_t k = 0; k < s->channels; k++) {
        for (uint32_t i = 0; i < places; i++)
            packed[s->layout == TM_C4 ? (k / 4 * places + i) * 4 + k % 4 : k * places + i] = values[k * places + i];
    }
    tensor.slice = device_map(f, (uint32_t)count, 1, packed).slice;
    free(packed);
    return tensor;
}

// Logits of every place, [classes][places], whose means are the scores.
static double *ref_shares(const sizes *s, const float *x, const float *weights, const float *scores) {
    uint32_t places = s->width * s->height;
    double *shares = calloc((size_t)s->classes * places, sizeof *shares);
    for (uint32_t c = 0; c < s->classes; c++) {
        double mean = 0;
        for (uint32_t i = 0; i < places; i++) {
            for (uint32_t k = 0; k < s->channels; k++)
                shares[c * places + i] += (double)weights[c * s->channels + k] * x[k * places + i];
            mean += shares[c * places + i] / places;
        }
        for (uint32_t i = 0; i < places; i++) shares[c * places + i] += scores[c] - mean;
    }
    for (uint32_t i = 0; i < places; i++) {
        double largest = -INFINITY, sum = 0;
        for (uint32_t c = 0; c < s->classes; c++) largest = fmax(largest, shares[c * places + i]);
        for (uint32_t c = 0; c < s->classes; c++) sum += exp(shares[c * places + i] - largest);
        for (uint32_t c = 0; c < s->classes; c++) shares[c * places + i] = exp(shares[c * places + i] - largest) / sum;
    }
    return shares;
}

static double ref_neighbours(const sizes *s, const double *shares, uint32_t x, uint32_t y) {
    double sum = 0;
    for (int v = (int)y - 1; v <= (int)y + 1; v++) {
        for (int u = (int)x - 1; u <= (int)x + 1; u++)
            sum += shares[TM_CLAMP(v, 0, (int)s->height - 1) * (int)s->width + TM_CLAMP(u, 0, (int)s->width - 1)];
    }
    return sum / 9;
}

static float *ref_peaks(const sizes *s, const float *x, const float *weights, const float *scores) {
    double *shares = ref_shares(s, x, weights, scores);
    float *peaks = calloc(s->classes, sizeof *peaks);
    for (uint32_t c = 0; c < s->classes; c++) {
        double best = 0;
        for (uint32_t i = 0; i < s->width * s->height; i++)
            best = fmax(best, ref_neighbours(s, shares + c * s->width * s->height, i % s->width, i / s->width));
        peaks[c] = (float)best;
    }
    free(shares);
    return peaks;
}

static float *device_peaks(map_case *f, const sizes *s, const float *x, const float *weights, const float *scores) {
    tm_tensor features = features_of(f, s, x);
    tm_map on_device = device_map(f, s->channels, s->classes, weights);
    tm_map peaks = {{NULL, 0, 0}, s->classes, 1};
    assert_true(tm_presence_fits(tm_gpu_get_info(f->work.gpu), &features, s->classes));
    assert_ok(tm_presence_record(&f->work, &features, on_device.slice, scores, s->classes, &peaks.slice, &f->err),
              &f->err);
    return fetch(f, &peaks);
}

static void check(map_case *f, const sizes *s, float spread) {
    size_t places = (size_t)s->width * s->height;
    float *x = test_noise(41, (size_t)s->channels * places, 0, spread);
    float *weights = test_noise(42, (size_t)s->channels * s->classes, -1, 1);
    float *scores = test_noise(43, s->classes, -4, 4);
    float *wanted = ref_peaks(s, x, weights, scores), *got = device_peaks(f, s, x, weights, scores);
    assert_close(got, wanted, s->classes, 1e-4);
    free(x);
    free(weights);
    free(scores);
    free(wanted);
    free(got);
}
static void test_vectors(void **state) {
    check(*state, &(sizes){7, 5, 12, 37, TM_C4}, 2);
}
static void test_odd_channels(void **state) {
    check(*state, &(sizes){7, 5, 11, 9, TM_C4}, 2);
}
static void test_linear(void **state) {
    check(*state, &(sizes){9, 3, 11, 10, TM_LINEAR}, 2);
}
static void test_whole_rows(void **state) {
    check(*state, &(sizes){6, 4, 8, 300, TM_LINEAR}, 1);
}
static void test_one_place(void **state) {
    check(*state, &(sizes){1, 1, 5, 6, TM_C4}, 1);
}

// A photo of one colour: every place is alike, and the shares are the softmax of the scores.
static void test_even_features(void **state) {
    const sizes s = {6, 5, 8, 5, TM_C4};
    const float scores[] = {-90, 0, 1, 2, 88};
    float x[8 * 30], weights[40];
    double sum = 0;
    for (int i = 0; i < 8 * 30; i++) x[i] = i / 30 % 2 ? 0.5f : 0;
    for (int i = 0; i < 40; i++) weights[i] = (float)(i % 7) - 3;
    for (int c = 0; c < 5; c++) sum += exp((double)scores[c] - 88);
    float *got = device_peaks(*state, &s, x, weights, scores);
    for (int c = 0; c < 5; c++) {
        assert_true(isfinite(got[c]));
        assert_float_equal(got[c], exp((double)scores[c] - 88) / sum, 1e-5);
    }
    free(got);
}

static void test_what_does_not_fit(void **state) {
    (void)state;
    const tm_gpu_info info = {.max_storage_range = 128 << 20};
    tm_tensor features = {TM_FLOAT32, TM_C4, {4, {1, 1280, 26, 26}}, {NULL, 0, 0}};
    assert_true(tm_presence_fits(&info, &features, 21841));
    assert_false(tm_presence_fits(&info, &features, 60000));
    features.shape.dim[2] = features.shape.dim[3] = 64;
    assert_true(tm_presence_fits(&info, &features, 1000));
    assert_false(tm_presence_fits(&info, &features, 21841));
    features.shape.dim[1] = 8;
    features.shape.dim[2] = features.shape.dim[3] = 256;
    assert_false(tm_presence_fits(&info, &features, 2));
    features.shape.dim[2] = features.shape.dim[3] = 1;
    assert_false(tm_presence_fits(&info, &features, 70000));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_DEVICE(test_vectors),
        WITH_DEVICE(test_odd_channels),
        WITH_DEVICE(test_linear),
        WITH_DEVICE(test_whole_rows),
        WITH_DEVICE(test_one_place),
        WITH_DEVICE(test_even_features),
        cmocka_unit_test(test_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
