// The dense CRF against a sum over all pairs in double precision, on crops of photos.
//
// tests/data/crf_crops.rgb: four crops of 48x48 pixels, 8-bit RGB, of photos that scikit-image ships (chelsea and
// coffee CC0, astronaut and motorcycle public domain or CC0).
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mask/crf.h"
#include "ref_crf.h"
#include "support.h"

#define SIDE 48
#define COUNT (SIDE * SIDE)
#define CROPS 4

static float *crop(int index) {
    static uint8_t bytes[CROPS * COUNT * 3];
    FILE *file = fopen(TEST_DATA "/crf_crops.rgb", "rb");
    assert_non_null(file);
    assert_int_equal(fread(bytes, 1, sizeof bytes, file), sizeof bytes);
    fclose(file);
    float *image = calloc(COUNT * 4, sizeof *image);
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t c = 0; c < 3; c++) image[i * 4 + c] = bytes[((size_t)index * COUNT + i) * 3 + c];
    }
    return image;
}

// Smooth noise per label; energies of its softmax, or of labels believed with 0.7 (pydensecrf's unary_from_labels).
static float *energies(int labels, uint64_t seed, bool hard) {
    float *unary = calloc((size_t)labels * COUNT, sizeof *unary), *wave = test_noise(seed, (size_t)labels * 18, -1, 1);
    for (int i = 0; i < COUNT; i++) {
        float z[8], sum = 0;
        int best = 0;
        for (int l = 0; l < labels; l++) {
            z[l] = 0;
            for (int k = 0; k < 6; k++) {
                const float *w = wave + (l * 6 + k) * 3;
                z[l] += cosf(0.25f * (w[0] * (float)(i % SIDE) + w[1] * (float)(i / SIDE)) + 6 * w[2]);
            }
            sum += expf(z[l]);
            if (z[l] > z[best]) best = l;
        }
        for (int l = 0; l < labels; l++) {
            float p = hard ? (l == best ? 0.7f : 0.3f / (float)(labels - 1)) : expf(z[l]) / sum;
            unary[l * COUNT + i] = -logf(p);
        }
    }
    free(wave);
    return unary;
}

static const tm_crf_params settings[] = {{3, 3, 80, 13, 10, 5, false}, {3, 3, 50, 5, 5, 5, false}};

static float *run(uint32_t width, uint32_t height, uint32_t labels, const float *image, const float *unary,
                  const tm_crf_params *params) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_gpu *gpu = test_gpu();
    uint64_t count = (uint64_t)width * height, size = count * labels * 4;
    tm_buffer *photo, *energy, *out;
    tm_recorder *recorder;
    tm_crf *crf;
    float *result = calloc(count * labels, sizeof *result);
    assert_ok(tm_buffer_create(gpu, count * 16, TM_MEMORY_DEVICE, &photo, &err), &err);
    assert_ok(tm_buffer_create(gpu, size, TM_MEMORY_DEVICE, &energy, &err), &err);
    assert_ok(tm_buffer_create(gpu, size, TM_MEMORY_DEVICE, &out, &err), &err);
    assert_ok(tm_crf_create(gpu, width, height, &crf, &err), &err);
    assert_ok(tm_recorder_begin(gpu, &recorder, &err), &err);
    tm_slice energy_slice = {energy, 0, size}, out_slice = {out, 0, size};
    assert_ok(tm_upload(recorder, (tm_slice){photo, 0, count * 16}, image, &err), &err);
    assert_ok(tm_upload(recorder, energy_slice, unary, &err), &err);
    assert_ok(tm_crf_set_image(crf, recorder, (tm_slice){photo, 0, count * 16}, &err), &err);
    assert_ok(tm_crf_run(crf, recorder, params, labels, energy_slice, out_slice, &err), &err);
    assert_ok(tm_readback(recorder, out_slice, result, &err), &err);
    assert_ok(tm_recorder_finish(recorder, &err), &err);
    tm_crf_destroy(crf);
    tm_buffer_destroy(photo);
    tm_buffer_destroy(energy);
    tm_buffer_destroy(out);
    return result;
}

static double largest_difference(const float *a, const float *b, size_t count) {
    double largest = 0;
    for (size_t i = 0; i < count; i++) largest = fmax(largest, isnan(a[i]) ? INFINITY : fabs((double)a[i] - b[i]));
    return largest;
}

static double mean_difference(const float *a, const float *b, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += fabs((double)a[i] - b[i]);
    return sum / (double)count;
}

static int best_label(const float *q, int labels, int pixel) {
    int best = 0;
    for (int l = 1; l < labels; l++) best = q[l * COUNT + pixel] > q[best * COUNT + pixel] ? l : best;
    return best;
}

static double agreement(const float *a, const float *b, int labels) {
    int same = 0;
    for (int i = 0; i < COUNT; i++) same += best_label(a, labels, i) == best_label(b, labels, i);
    return same / (double)COUNT;
}

static void exact_path(void **state) {
    (void)state;
    for (int labels = 2; labels <= 5; labels += 3) {
        for (int s = 0; s < 2; s++) {
            tm_crf_params params = settings[s];
            params.exact = true;
            int index = s + labels % 2 * 2;
            float *image = crop(index), *unary = energies(labels, 7 + (uint64_t)index, s == 1);
            float *expected = calloc((size_t)labels * COUNT, sizeof *expected);
            ref_crf_exact(SIDE, SIDE, labels, image, unary, &params, expected);
            float *found = run(SIDE, SIDE, (uint32_t)labels, image, unary, &params);
            double difference = largest_difference(found, expected, (size_t)labels * COUNT);
            print_message("exact path, %d labels, bilateral %g/%g: largest difference %.2g\n", labels,
                          (double)params.bilateral_sxy, (double)params.bilateral_srgb, difference);
            assert_true(difference <= 1e-4);
            free(image);
            free(unary);
            free(expected);
            free(found);
        }
    }
}

// What pydensecrf 2 1.1 reaches on these crops and energies against the same sum over all pairs: by setting, then for 2
// and 5 labels.
static const struct {
    double mean, agree;
} peer[2][2] = {{{0.00513, 0.99474}, {0.01234, 0.96897}}, {{0.00680, 0.99338}, {0.00480, 0.98817}}};

static void fast_path(void **state) {
    (void)state;
    for (int s = 0; s < 2; s++) {
        for (int labels = 2; labels <= 5; labels += 3) {
            double error = 0, agree = 0;
            for (int k = 0; k < CROPS * 2; k++) {
                float *image = crop(k / 2), *unary = energies(labels, 7 + (uint64_t)k, k % 2 == 1);
                float *expected = calloc((size_t)labels * COUNT, sizeof *expected);
                ref_crf_exact(SIDE, SIDE, labels, image, unary, &settings[s], expected);
                float *found = run(SIDE, SIDE, (uint32_t)labels, image, unary, &settings[s]);
                error += mean_difference(found, expected, (size_t)labels * COUNT) / (CROPS * 2);
                agree += agreement(found, expected, labels) / (CROPS * 2);
                free(image);
                free(unary);
                free(expected);
                free(found);
            }
            print_message("fast path, %d labels, bilateral %g/%g: mean error %.4f, labels agree on %.2f %%\n", labels,
                          (double)settings[s].bilateral_sxy, (double)settings[s].bilateral_srgb, error, 100 * agree);
            assert_true(error <= peer[s][labels == 5].mean && agree >= peer[s][labels == 5].agree);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(exact_path), cmocka_unit_test(fast_path)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
