// The dense CRF against a sum over all pairs in double precision, on crops of photos.
//
// tests/data/crf_crops.rgb: four crops of 48x48 pixels, 8-bit RGB, of photos that scikit-image ships (chelsea and
// coffee CC0, astronaut and motorcycle public domain or CC0).
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mask/crf_internal.h"
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

// bind_at_most: see tm_crf; times: runs after one another, of which the last counts.
static float *run_on(tm_gpu *gpu, uint32_t width, uint32_t height, uint32_t labels, const float *image,
                     const float *unary, const tm_crf_params *params, uint64_t bind_at_most, int times) {
    tm_error err = TAGMASK_ERROR_INIT;
    uint64_t count = (uint64_t)width * height, size = count * labels * 4;
    tm_buffer *photo, *energy, *out;
    tm_recorder *recorder;
    tm_crf *crf;
    float *result = calloc(count * labels, sizeof *result);
    assert_ok(tm_buffer_create(gpu, count * 16, TM_MEMORY_DEVICE, &photo, &err), &err);
    assert_ok(tm_buffer_create(gpu, size, TM_MEMORY_DEVICE, &energy, &err), &err);
    assert_ok(tm_buffer_create(gpu, size, TM_MEMORY_DEVICE, &out, &err), &err);
    assert_ok(tm_crf_create(gpu, width, height, &crf, &err), &err);
    crf->bind_at_most = bind_at_most;
    assert_ok(tm_recorder_begin(gpu, &recorder, &err), &err);
    tm_slice energy_slice = {energy, 0, size}, out_slice = {out, 0, size};
    assert_ok(tm_upload(recorder, (tm_slice){photo, 0, count * 16}, image, &err), &err);
    assert_ok(tm_upload(recorder, energy_slice, unary, &err), &err);
    assert_ok(tm_crf_set_image(crf, recorder, (tm_slice){photo, 0, count * 16}, &err), &err);
    for (int t = 0; t < times; t++) {
        assert_ok(tm_crf_run(crf, recorder, params, labels, energy_slice, out_slice, &err), &err);
    }
    assert_ok(tm_readback(recorder, out_slice, result, &err), &err);
    assert_ok(tm_recorder_finish(recorder, &err), &err);
    tm_crf_destroy(crf);
    tm_buffer_destroy(photo);
    tm_buffer_destroy(energy);
    tm_buffer_destroy(out);
    return result;
}

static float *run_as(uint32_t width, uint32_t height, uint32_t labels, const float *image, const float *unary,
                     const tm_crf_params *params, uint64_t bind_at_most, int times) {
    return run_on(test_gpu(), width, height, labels, image, unary, params, bind_at_most, times);
}

static float *run(uint32_t width, uint32_t height, uint32_t labels, const float *image, const float *unary,
                  const tm_crf_params *params) {
    return run_as(width, height, labels, image, unary, params, 0, 1);
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

// A noisy picture of two areas, energies of noise.
static float *noisy_image(uint32_t width, uint32_t height, float noise) {
    float *image = test_noise(21, (size_t)width * height * 4, -noise, noise);
    for (size_t i = 0; i < (size_t)width * height; i++) {
        bool inside = i % width > width / 3 + i / width / 4;
        for (size_t c = 0; c < 3; c++) image[i * 4 + c] = TM_CLAMP(image[i * 4 + c] + (inside ? 150 : 90), 0, 255);
    }
    return image;
}

// The order of atomics, of what ran before and of the recorder's splits must not show.
static void same_bits(void **state) {
    (void)state;
    const uint32_t width = 131, height = 93, labels = 6;
    const size_t total = (size_t)width * height * labels;
    for (int s = 0; s < 2; s++) {
        for (int stream = 0; stream < 2; stream++) {
            float *image = noisy_image(width, height, s ? 120 : 12), *unary = test_noise(4, total, 0, 4);
            float *first = run_as(width, height, labels, image, unary, &settings[s], (uint64_t)stream, 1);
            float *again = run_as(width, height, labels, image, unary, &settings[s], (uint64_t)stream, 2);
            assert_memory_equal(first, again, total * sizeof *first);
            free(image);
            free(unary);
            free(first);
            free(again);
        }
    }
}

static void streamed_labels_agree(void **state) {
    (void)state;
    const uint32_t width = 61, height = 47;
    for (uint32_t labels = 3; labels <= 11; labels += 8) {
        for (int terms = 1; terms <= 3; terms++) {
            tm_crf_params params = {3, terms & 1 ? 3 : 0, 30, 15, terms & 2 ? 4 : 0, 3, false};
            size_t total = (size_t)width * height * labels;
            float *image = noisy_image(width, height, 12), *unary = test_noise(8, total, 0, 4);
            float *whole = run(width, height, labels, image, unary, &params);
            float *streamed = run_as(width, height, labels, image, unary, &params, 1, 1);
            assert_true(largest_difference(whole, streamed, total) <= 1e-5);
            free(image);
            free(unary);
            free(whole);
            free(streamed);
        }
    }
}

// Whole images against images in bands, which is what memory that cannot be bound at once leads to.
static void bands_agree(void **state) {
    (void)state;
    const uint32_t width = 131, height = 200, labels[] = {2, 3, 5, 11};
    float *image = noisy_image(width, height, 2);
    for (size_t k = 0; k < TM_ARRAY_LEN(labels); k++) {
        for (int terms = 1; terms <= 3; terms++) {
            const tm_crf_params params = {k % 2 ? 1.5f : 3, terms & 1 ? 3 : 0, 30, 15, terms & 2 ? 4 : 0, 3, false};
            const size_t total = (size_t)width * height * labels[k];
            // Bands of 64 rows.
            const uint64_t limit = (uint64_t)width * 64 * TM_MAX(labels[k] * 4, tm_div_up(labels[k] - 1, 4) * 16);
            float *unary = test_noise(8, total, 0, 4);
            uint64_t before = tm_gpu_get_stats(test_gpu()).dispatches;
            float *whole = run(width, height, labels[k], image, unary, &params);
            uint64_t between = tm_gpu_get_stats(test_gpu()).dispatches;
            float *cut = run_as(width, height, labels[k], image, unary, &params, limit, 1);
            uint64_t more = tm_gpu_get_stats(test_gpu()).dispatches - between - (between - before);
            assert_true(more >= 3 * 4);  // three bands more, the first estimate and three iterations
            assert_memory_equal(whole, cut, total * sizeof *cut);
            free(unary);
            free(whole);
            free(cut);
        }
    }
    free(image);
}

// On a device that binds little more than the image itself. It has room for fewer points of the lattice; smooth areas
// under wide kernels need still fewer.
static void small_bindings_agree(void **state) {
    (void)state;
    const uint32_t width = 139, height = 200, labels = 11;
    const tm_crf_params params = {3, 3, 80, 40, 4, 3, false};
    const size_t total = (size_t)width * height * labels;
    tm_gpu *gpu;
    tm_error err = TAGMASK_ERROR_INIT;
    setenv("TAGMASK_STORAGE_RANGE", "524288", 1);
    assert_ok(tm_gpu_open(NULL, &gpu, &err), &err);
    unsetenv("TAGMASK_STORAGE_RANGE");
    float *image = noisy_image(width, height, 4), *unary = test_noise(8, total, 0, 4);
    float *whole = run(width, height, labels, image, unary, &params);
    float *cut = run_on(gpu, width, height, labels, image, unary, &params, 0, 1);
    assert_memory_equal(whole, cut, total * sizeof *cut);
    tm_gpu_close(gpu);
    free(image);
    free(unary);
    free(whole);
    free(cut);
}

// Every size and number of labels: near the sum over all pairs, and marginals that add up to 1.
static void any_shape(void **state) {
    (void)state;
    const uint32_t shapes[][3] = {{1, 1, 2}, {1, 40, 3}, {33, 1, 2}, {2, 2, 1}, {35, 33, 30}, {64, 5, 255}};
    for (size_t k = 0; k < TM_ARRAY_LEN(shapes); k++) {
        uint32_t width = shapes[k][0], height = shapes[k][1], labels = shapes[k][2], count = width * height;
        const tm_crf_params params = {k % 2 ? 1.5f : 3, 2, 20, 20, 2, 3, false};
        float *image = noisy_image(width, height, 8), *unary = test_noise(k, (size_t)count * labels, 0, 4);
        float *expected = calloc((size_t)count * labels, sizeof *expected);
        ref_crf_exact((int)width, (int)height, (int)labels, image, unary, &params, expected);
        float *found = run(width, height, labels, image, unary, &params);
        double error = mean_difference(found, expected, (size_t)count * labels);
        print_message("%u x %u, %u labels: mean error %.2g\n", width, height, labels, error);
        assert_true(error <= 0.02 / labels);
        for (uint32_t i = 0; i < count; i++) {
            double sum = 0;
            for (uint32_t l = 0; l < labels; l++) sum += (double)found[l * count + i];
            assert_true(fabs(sum - 1) <= 1e-4);
        }
        free(image);
        free(unary);
        free(expected);
        free(found);
    }
}

static void refuses_bad_arguments(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tm_gpu *gpu = test_gpu();
    tm_crf *crf;
    tm_recorder *recorder;
    tm_buffer *buffer;
    assert_int_equal(tm_crf_create(gpu, 0, 5, &crf, &err), TAGMASK_ERROR_ARGUMENT);
    assert_int_equal(tm_crf_create(gpu, 65535, 65535, &crf, &err), TAGMASK_ERROR_ARGUMENT);
    assert_ok(tm_crf_create(gpu, 8, 8, &crf, &err), &err);
    assert_ok(tm_buffer_create(gpu, 1024, TM_MEMORY_DEVICE, &buffer, &err), &err);
    assert_ok(tm_recorder_begin(gpu, &recorder, &err), &err);
    tm_slice all = tm_slice_all(buffer);
    tm_crf_params params = settings[0];
    assert_int_equal(tm_crf_run(crf, recorder, &params, 2, all, all, &err), TAGMASK_ERROR_ARGUMENT);  // no image
    assert_ok(tm_crf_set_image(crf, recorder, all, &err), &err);
    assert_int_equal(tm_crf_run(crf, recorder, &params, 0, all, all, &err), TAGMASK_ERROR_ARGUMENT);
    assert_int_equal(tm_crf_run(crf, recorder, &params, 256, all, all, &err), TAGMASK_ERROR_ARGUMENT);
    assert_int_equal(tm_crf_run(crf, recorder, &params, 5, all, all, &err), TAGMASK_ERROR_ARGUMENT);  // too small
    params.bilateral_srgb = NAN;
    assert_int_equal(tm_crf_run(crf, recorder, &params, 2, all, all, &err), TAGMASK_ERROR_ARGUMENT);
    params = settings[0];
    params.iterations = -1;
    assert_int_equal(tm_crf_run(crf, recorder, &params, 2, all, all, &err), TAGMASK_ERROR_ARGUMENT);
    tm_recorder_abandon(recorder);
    tm_crf_destroy(crf);
    tm_buffer_destroy(buffer);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(exact_path),  cmocka_unit_test(fast_path),
                                       cmocka_unit_test(same_bits),   cmocka_unit_test(streamed_labels_agree),
                                       cmocka_unit_test(bands_agree), cmocka_unit_test(small_bindings_agree),
                                       cmocka_unit_test(any_shape),   cmocka_unit_test(refuses_bad_arguments)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
