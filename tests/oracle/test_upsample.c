// Joint bilateral upsampling against a plain C reference, and what it has to do at edges.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mask/upsample.h"
#include "support.h"

typedef struct scene {
    int width, height, map_width, map_height, labels;
    uint32_t *photo;
    float *guide, *maps;
} scene;

static int level(uint32_t word, int channel) {
    return (int)(word >> (8 * channel) & 255);
}

// Mean colours of the photo's pixels whose centre falls into each sample.
static void make_guide(scene *s) {
    s->guide = calloc((size_t)s->map_width * (size_t)s->map_height * 4, sizeof *s->guide);
    for (int y = 0; y < s->height; y++) {
        for (int x = 0; x < s->width; x++) {
            int at = y * s->map_height / s->height * s->map_width + x * s->map_width / s->width;
            for (int c = 0; c < 3; c++) s->guide[at * 4 + c] += (float)level(s->photo[y * s->width + x], c);
            s->guide[at * 4 + 3] += 1;
        }
    }
    for (int i = 0; i < s->map_width * s->map_height; i++) {
        for (int c = 0; c < 3; c++) s->guide[i * 4 + c] /= s->guide[i * 4 + 3];
    }
}

static scene make_scene(int width, int height, int map_width, int map_height, int labels) {
    scene s = {.width = width, .height = height, .map_width = map_width, .map_height = map_height, .labels = labels};
    s.photo = calloc((size_t)width * (size_t)height, sizeof *s.photo);
    s.maps = test_noise(5, (size_t)(map_width * map_height * labels), 0, 1);
    return s;
}

static void free_scene(scene *s) {
    free(s->photo);
    free(s->guide);
    free(s->maps);
}

static double near(double distance, double most) {
    double t = fmax(0, 1 - distance * distance / (most * most));
    return t * t;
}

static float reference(const scene *s, int label, int px, int py) {
    double sx = (double)s->map_width / s->width, sy = (double)s->map_height / s->height;
    double ux = (px + 0.5) * sx - 0.5, uy = (py + 0.5) * sy - 0.5, sum = 0, total = 0;
    double reach_x = fmin(1 / sx, 2), reach_y = fmin(1 / sy, 2);
    for (int y = (int)floor(uy) - 2; y <= uy + 3; y++) {
        for (int x = (int)floor(ux) - 2; x <= ux + 3; x++) {
            int at = TM_CLAMP(y, 0, s->map_height - 1) * s->map_width + TM_CLAMP(x, 0, s->map_width - 1);
            double far = 0;
            for (int c = 0; c < 3; c++) {
                double d = level(s->photo[py * s->width + px], c) - (double)s->guide[at * 4 + c];
                far += d * d;
            }
            double weight = near(x - ux, reach_x) * near(y - uy, reach_y) * (exp(-far / (2 * 16 * 16)) + 1e-3);
            total += weight;
            sum += weight * (double)s->maps[(size_t)label * (size_t)(s->map_width * s->map_height) + (size_t)at];
        }
    }
    return (float)(sum / total);
}

// Upsamples in bands of band_rows rows.
static float *upsample(const scene *s, uint32_t band_rows) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_gpu *gpu = test_gpu();
    size_t pixels = (size_t)s->width * (size_t)s->height, samples = (size_t)s->map_width * (size_t)s->map_height;
    size_t labels = (size_t)s->labels, width = (size_t)s->width;
    float *result = calloc(pixels * labels, sizeof *result), *band = calloc(band_rows * width * labels, sizeof *band);
    tm_buffer *photo, *guide, *maps, *out;
    assert_ok(tm_buffer_create(gpu, pixels * 4, TM_MEMORY_DEVICE, &photo, &err), &err);
    assert_ok(tm_buffer_create(gpu, samples * 16, TM_MEMORY_DEVICE, &guide, &err), &err);
    assert_ok(tm_buffer_create(gpu, samples * labels * 4, TM_MEMORY_DEVICE, &maps, &err), &err);
    assert_ok(tm_buffer_create(gpu, band_rows * width * labels * 4, TM_MEMORY_DEVICE, &out, &err), &err);
    for (uint32_t row = 0; row < (uint32_t)s->height; row += band_rows) {
        uint32_t rows = TM_MIN(band_rows, (uint32_t)s->height - row);
        tm_recorder *recorder;
        assert_ok(tm_recorder_begin(gpu, &recorder, &err), &err);
        tm_slice band_photo = {photo, 0, rows * width * 4};
        assert_ok(tm_upload(recorder, band_photo, s->photo + row * width, &err), &err);
        if (!row) {
            assert_ok(tm_upload(recorder, (tm_slice){guide, 0, samples * 16}, s->guide, &err), &err);
            assert_ok(tm_upload(recorder, (tm_slice){maps, 0, samples * labels * 4}, s->maps, &err), &err);
        }
        tm_upsample job = {.photo = band_photo,
                           .width = (uint32_t)s->width,
                           .height = (uint32_t)s->height,
                           .guide = {guide, 0, samples * 16},
                           .maps = {maps, 0, samples * labels * 4},
                           .map_width = (uint32_t)s->map_width,
                           .map_height = (uint32_t)s->map_height,
                           .labels = (uint32_t)s->labels,
                           .first_row = row,
                           .rows = rows,
                           .out = {out, 0, rows * width * labels * 4}};
        assert_ok(tm_upsample_run(recorder, &job, &err), &err);
        assert_ok(tm_readback(recorder, job.out, band, &err), &err);
        assert_ok(tm_recorder_finish(recorder, &err), &err);
        for (size_t l = 0; l < labels; l++) {
            memcpy(result + l * pixels + row * width, band + l * rows * width, rows * width * sizeof *band);
        }
    }
    tm_buffer_destroy(photo);
    tm_buffer_destroy(guide);
    tm_buffer_destroy(maps);
    tm_buffer_destroy(out);
    free(band);
    return result;
}

static void random_colors(scene *s, uint64_t seed) {
    test_random random = {seed};
    for (int i = 0; i < s->width * s->height; i++) {
        uint32_t base = (uint32_t)test_uniform(&random, 0, 90);
        s->photo[i] = base | (base + (uint32_t)test_uniform(&random, 0, 40)) << 8 | (base * 2) << 16;
    }
    make_guide(s);
}

static void reference_agrees(void **state) {
    (void)state;
    const int sizes[][5] = {
        {61, 47, 13, 9, 1}, {50, 33, 40, 31, 3}, {37, 29, 37, 29, 2}, {90, 7, 8, 7, 6}, {5, 5, 1, 1, 1}};
    for (size_t k = 0; k < TM_ARRAY_LEN(sizes); k++) {
        scene s = make_scene(sizes[k][0], sizes[k][1], sizes[k][2], sizes[k][3], sizes[k][4]);
        random_colors(&s, 11 + k);
        float *found = upsample(&s, 1000);
        size_t pixels = (size_t)(s.width * s.height);
        float *expected = calloc(pixels * (size_t)s.labels, sizeof *expected);
        for (int l = 0; l < s.labels; l++) {
            for (int i = 0; i < s.width * s.height; i++) {
                expected[(size_t)l * pixels + (size_t)i] = reference(&s, l, i % s.width, i / s.width);
            }
        }
        assert_close(found, expected, pixels * (size_t)s.labels, 1e-4);
        float *banded = upsample(&s, 3);
        // Bands start at other rows, so tiles hold other pixels: the same sums, in nearly the same order.
        assert_close(banded, found, pixels * (size_t)s.labels, 1e-5);
        free(banded);
        free(found);
        free(expected);
        free_scene(&s);
    }
}

static void same_size_changes_nothing(void **state) {
    (void)state;
    scene s = make_scene(40, 30, 40, 30, 2);
    random_colors(&s, 3);
    float *found = upsample(&s, 30);
    assert_close(found, s.maps, 2400, 1e-6);
    free(found);
    free_scene(&s);
}

// A slanted edge between two noisy colours, a map of one sample per 6 pixels: the outline follows the photo's pixels,
// without halo (nothing outside 0..1, flat areas stay flat) and without leaks.
static void outlines_follow_edges(void **state) {
    (void)state;
    scene s = make_scene(180, 120, 30, 20, 1);
    test_random random = {99};
    for (int i = 0; i < s.width * s.height; i++) {
        bool inside = i % s.width > 60 + i / s.width / 3;
        uint32_t noise = (uint32_t)test_uniform(&random, 0, 16);
        s.photo[i] =
            inside ? (150 + noise) | (90 + noise) << 8 | 60u << 16 : (70 + noise) | (90 + noise) << 8 | 140u << 16;
    }
    make_guide(&s);
    for (int i = 0; i < 600; i++) {
        float share = 0;
        for (int k = 0; k < 36; k++) {
            int x = i % 30 * 6 + k % 6, y = i / 30 * 6 + k / 6;
            share += x > 60 + y / 3 ? 1.0f / 36 : 0;
        }
        s.maps[i] = share >= 0.5f ? 0.98f : 0.02f;
    }
    float *found = upsample(&s, 64);
    int wrong = 0, soft = 0;
    for (int i = 0; i < s.width * s.height; i++) {
        int x = i % s.width, edge = 60 + i / s.width / 3;
        wrong += (found[i] >= 0.5f) != (x > edge);
        soft += abs(x - edge) > 24 && fabsf(found[i] - (x > edge ? 0.98f : 0.02f)) > 1e-3f;
        assert_true(found[i] >= 0.0199f && found[i] <= 0.9801f);
    }
    assert_int_equal(soft, 0);
    print_message("edge: %d of %d pixels on the wrong side\n", wrong, s.width * s.height);
    assert_true(wrong <= 24);  // of 120 rows; bilinear interpolation puts some 200 pixels on the wrong side
    free(found);
    free_scene(&s);
}

static void refuses_what_does_not_fit(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tm_gpu *gpu = test_gpu();
    tm_buffer *buffer;
    tm_recorder *recorder;
    assert_ok(tm_buffer_create(gpu, 4096, TM_MEMORY_DEVICE, &buffer, &err), &err);
    assert_ok(tm_recorder_begin(gpu, &recorder, &err), &err);
    tm_slice all = tm_slice_all(buffer);
    tm_upsample job = {all, 16, 16, all, all, 8, 8, 1, 0, 16, all};
    job.rows = 17;
    assert_int_equal(tm_upsample_run(recorder, &job, &err), TAGMASK_ERROR_ARGUMENT);
    job.rows = 16;
    job.map_width = 17;
    assert_int_equal(tm_upsample_run(recorder, &job, &err), TAGMASK_ERROR_ARGUMENT);
    job.map_width = 8;
    job.labels = 200;
    assert_int_equal(tm_upsample_run(recorder, &job, &err), TAGMASK_ERROR_ARGUMENT);
    tm_recorder_abandon(recorder);
    tm_buffer_destroy(buffer);
    uint32_t rows = tm_upsample_band(tm_gpu_get_info(gpu), 4000, 3000, 3, 32u << 20);
    assert_true(rows >= 1 && (uint64_t)rows * 4000 * 3 * 4 <= 32u << 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_agrees),
        cmocka_unit_test(same_size_changes_nothing),
        cmocka_unit_test(outlines_follow_edges),
        cmocka_unit_test(refuses_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
