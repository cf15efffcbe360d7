// The refinement stages' shaders against plain C.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "map_case.h"
#include "mask/cam.h"
#include "mask/classical.h"
#include "mask/colour.h"
#include "mask/edge.h"
#include "mask/fusion.h"
#include "mask/unary.h"
#include "ref_refine.h"

static tm_settings default_settings(void) {
    tm_settings settings;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_settings_resolve(NULL, &settings, &err), &err);
    return settings;
}

// ---- Fusion modes.

static double ref_fusion(uint32_t mode, double cam, double saliency, double agreement, const tm_settings *s) {
    double gate = (double)s->gate_strength * fmin(fmax((agreement - (double)s->gate_low) / (double)s->gate_span, 0), 1);
    double share = (double)s->eps_share;
    switch (mode) {
        case TM_FUSION_GATE:
            return pow(cam, 1 - gate) * pow(saliency, gate);
        case TM_FUSION_PRODUCT:
            return sqrt(cam * saliency);
        case TM_FUSION_MAX:
            return fmax(cam, saliency);
        case TM_FUSION_AGREEMENT:
            return cam + gate * (saliency - cam);
        default:
            return agreement > (double)s->eps_overlap ? saliency * (cam + share * (1 - cam))
                                                      : cam * (1 - share * saliency);
    }
}

static void check_fusion(map_case *f, uint32_t mode, float bright) {
    enum { W = 33, H = 20, N = W * H };
    tm_settings settings = default_settings();
    settings.fusion = mode;
    settings.eps_share = 0.3f;
    float *cam = test_noise(31, N, 0, 1), *high = test_noise(32, N, 0, 1), *saliency = test_noise(33, N, 0, bright);
    float wanted[N];
    double sum = 0, count = 0;
    for (int i = 0; i < N; i++) {
        if (high[i] <= settings.cam_high) continue;
        sum += (double)saliency[i];
        count++;
    }
    for (int i = 0; i < N; i++)
        wanted[i] = (float)ref_fusion(mode, (double)cam[i], (double)saliency[i], sum / count, &settings);
    min_max(wanted, N);
    tm_map source = device_map(f, W, H, saliency);
    tm_fusion_input input = {device_map(f, W, H, cam), device_map(f, W, H, high), source.slice, N, 1};
    tm_map to = device_map(f, W, H, NULL);
    assert_ok(tm_fusion_record(&f->work, &input, &settings, &to, &f->err), &f->err);
    float *got = fetch(f, &to);
    assert_close(got, wanted, N, 1e-4);
    free(cam);
    free(high);
    free(saliency);
    free(got);
}

// Each where the saliency is elsewhere than the CAM and where they agree.
static void test_fusion_modes(void **state) {
    for (uint32_t mode = 0; mode < TM_FUSION_MODES; mode++) {
        for (int bright = 0; bright < 2; bright++) {
            void *own = NULL;
            map_case_open(&own);
            check_fusion(own, mode, bright ? 1 : 0.4f);
            map_case_close(&own);
        }
    }
    (void)state;
}

// ---- Several steps of the random walk.

enum { AW = 13, AH = 7, AP = AW * AH, AC = 10 };

static void ref_walk(const float *features, double *map) {
    double spread[AP];
    for (int i = 0; i < AP; i++) {
        double sum = 0, norm = 0;
        for (int j = 0; j < AP; j++) {
            double dot = 0, ni = 0, nj = 0;
            for (int c = 0; c < AC; c++) {
                double u = (double)features[c * AP + i], v = (double)features[c * AP + j];
                dot += u * v;
                ni += u * u;
                nj += v * v;
            }
            double weight = exp((dot / sqrt(ni * nj) - 1) / 0.1);
            sum += weight * map[j];
            norm += weight;
        }
        spread[i] = sum / norm;
    }
    memcpy(map, spread, sizeof spread);
}

static void check_walk(map_case *f, uint32_t steps) {
    float *features = test_noise(11, AC * AP, -1, 1), *map = test_noise(12, AP, 0, 1), wanted[AP];
    double walked[AP];
    for (int i = 0; i < AP; i++) walked[i] = (double)map[i];
    for (uint32_t s = 0; s < steps; s++) ref_walk(features, walked);
    for (int i = 0; i < AP; i++) wanted[i] = (float)walked[i];
    min_max(wanted, AP);
    tm_map data = device_map(f, AW, AH * AC, features), from = device_map(f, AW, AH, map),
           to = device_map(f, AW, AH, NULL);
    tm_view view = {.output_count = 2};
    view.outputs[1] = (tm_tensor){TM_FLOAT32, TM_LINEAR, {4, {1, AC, AH, AW}}, data.slice};
    assert_ok(tm_affinity_record(&f->work, &view, &(tm_affinity){0.1f, steps, 0}, &from, &to, &f->err), &f->err);
    float *got = fetch(f, &to);
    assert_close(got, wanted, AP, 5e-4);  // the walk flattens the map, and min-max enlarges what is left of it
    free(features);
    free(map);
    free(got);
}
static void test_two_steps(void **state) {
    check_walk(*state, 2);
}
static void test_three_steps(void **state) {
    check_walk(*state, 3);
}

// ---- Unaries.

enum { UW = 21, UH = 13, UN = UW * UH, UTAGS = 3, USTRIDE = 320 };

static float *run_unary(map_case *f, const float *maps, const tm_settings *settings) {
    tm_map source = device_map(f, USTRIDE, UTAGS, maps), unary = device_map(f, UW, UH * (UTAGS + 1), NULL);
    tm_unary_job job = {source.slice, USTRIDE, UW, UH, UTAGS, unary.slice};
    assert_ok(tm_unary_record(&f->work, &job, settings, &f->err), &f->err);
    return fetch(f, &unary);
}

static void test_unary_logit(void **state) {
    map_case *f = *state;
    tm_settings settings = default_settings();
    float *maps = test_noise(41, UTAGS * USTRIDE, 0, 1), wanted[(UTAGS + 1) * UN] = {0};
    for (int i = 0; i < UTAGS * UN; i++)
        wanted[UN + i] = -settings.unary_gain * (maps[i / UN * USTRIDE + i % UN] - settings.unary_centre);
    float *got = run_unary(f, maps, &settings);
    assert_close(got, wanted, (UTAGS + 1) * UN, 1e-4);
    free(maps);
    free(got);
}

static void test_unary_seeds(void **state) {
    map_case *f = *state;
    tm_settings settings = default_settings();
    settings.unary = TM_UNARY_SEEDS;
    settings.seed_high = 0.8f;
    settings.seed_low = 0.4f;
    settings.gt_prob = 0.6f;
    float *maps = test_noise(42, UTAGS * USTRIDE, 0, 1), wanted[(UTAGS + 1) * UN];
    int seen[UTAGS + 2] = {0};
    maps[2] = maps[USTRIDE + 2] = 0.9f;  // of two alike the first
    maps[2 * USTRIDE + 2] = 0;
    for (int i = 0; i < UN; i++) {
        int label = UTAGS + 1;  // none
        for (int t = UTAGS - 1; t >= 0; t--) {
            bool highest = true;
            for (int o = 0; o < UTAGS; o++) highest &= maps[o * USTRIDE + i] <= maps[t * USTRIDE + i];
            if (highest && maps[t * USTRIDE + i] > 0.8f) label = t + 1;
            if (highest && maps[t * USTRIDE + i] < 0.4f) label = 0;
        }
        seen[label]++;
        for (int l = 0; l <= UTAGS; l++) {
            double p = label > UTAGS ? 1.0 / (UTAGS + 1) : l == label ? 0.6 : 0.4 / UTAGS;
            wanted[l * UN + i] = (float)-log(p);
        }
    }
    for (int l = 0; l < UTAGS + 2; l++) assert_true(seen[l] > 0);
    float *got = run_unary(f, maps, &settings);
    assert_close(got, wanted, (UTAGS + 1) * UN, 1e-6);
    free(maps);
    free(got);
}

// ---- Edges.

enum { EW = 45, EH = 31, EN = EW * EH, ESTRIDE = 1408 };

// A photo of soft colour and of a few flat parts with hard edges.
static uint32_t *edge_photo(void) {
    uint32_t *photo = calloc(EN, sizeof *photo), *noise = random_image(5, EW, EH);
    for (int i = 0; i < EN; i++) {
        int x = i % EW, y = i / EW, part = (x / 11 + y / 9) % 4;
        photo[i] =
            part == 3 ? 0x204060 : (uint32_t)(part * 70 + x) | (uint32_t)(y * 4) << 8 | (uint32_t)(200 - x) << 16;
        if (part == 1) photo[i] = noise[i];
    }
    free(noise);
    return photo;
}

static float *float_pixels(const uint32_t *photo) {
    float *image = calloc(4 * EN, sizeof *image);
    for (int i = 0; i < 4 * EN; i++) image[i] = i % 4 < 3 ? (float)(photo[i / 4] >> (8 * (i % 4)) & 255) : 0;
    return image;
}

static void check_edge(map_case *f, const tm_settings *settings) {
    uint32_t *photo = edge_photo();
    float *image = float_pixels(photo), *maps = test_noise(51, 2 * ESTRIDE, 0, 1), *wanted[2];
    for (int i = 0; i < EN; i++) maps[i] = i % EW > 20;
    tm_map source = device_map(f, 4 * EW, EH, image), planes = device_map(f, ESTRIDE, 2, maps);
    tm_edge_job job = {source.slice, planes.slice, ESTRIDE * 4, EW, EH, 2};
    assert_ok(tm_edge_record(&f->work, &job, settings, &f->err), &f->err);
    float *got = fetch(f, &planes);
    for (int m = 0; m < 2; m++) {
        wanted[m] = maps + m * ESTRIDE;
        int radius = (int)settings->edge_radius;
        if (settings->edge == TM_EDGE_GUIDED) ref_guided(photo, wanted[m], EW, EH, radius, (double)settings->edge_eps);
        if (settings->edge == TM_EDGE_JOINT) ref_joint(photo, wanted[m], EW, EH, radius, (double)settings->edge_srgb);
        if (settings->edge == TM_EDGE_PAMR) ref_pamr(photo, wanted[m], EW, EH, (int)settings->edge_iterations);
        assert_close(got + m * ESTRIDE, wanted[m], EN, 1e-4);
    }
    free(photo);
    free(image);
    free(maps);
    free(got);
}

static void test_guided(void **state) {
    tm_settings settings = default_settings();
    settings.edge = TM_EDGE_GUIDED;
    settings.edge_radius = 6;
    check_edge(*state, &settings);
}
static void test_guided_beyond_the_photo(void **state) {
    tm_settings settings = default_settings();
    settings.edge = TM_EDGE_GUIDED;
    settings.edge_radius = 32;
    settings.edge_eps = 0.05f;
    check_edge(*state, &settings);
}
static void test_joint(void **state) {
    tm_settings settings = default_settings();
    settings.edge = TM_EDGE_JOINT;
    settings.edge_radius = 5;
    check_edge(*state, &settings);
}
static void test_pamr_odd(void **state) {
    tm_settings settings = default_settings();
    settings.edge = TM_EDGE_PAMR;
    settings.edge_iterations = 3;
    check_edge(*state, &settings);
}
static void test_pamr_even(void **state) {
    tm_settings settings = default_settings();
    settings.edge = TM_EDGE_PAMR;
    settings.edge_iterations = 10;
    check_edge(*state, &settings);
}
static void test_no_edge(void **state) {
    tm_settings settings = default_settings();
    check_edge(*state, &settings);
}

// ---- Colour model.

// The first tag is sure of one part, the second has noise for energies, the third is nowhere.
static void check_colour(map_case *f, float weight, uint32_t iterations) {
    tm_settings settings = default_settings();
    settings.colour_weight = weight;
    settings.colour_iterations = iterations;
    uint32_t *photo = edge_photo();
    float *image = float_pixels(photo), *unary = test_noise(61, 4 * EN, -4, 4);
    for (int i = 0; i < EN; i++) {
        unary[i] = 0;
        unary[EN + i] = i % EW / 11 == 2 ? -8 : 8;
        unary[3 * EN + i] = 40;
    }
    tm_map source = device_map(f, 4 * EW, EH, image), energies = device_map(f, EW, 4 * EH, unary);
    tm_colour_job job = {source.slice, energies.slice, EN, 3};
    assert_ok(tm_colour_record(&f->work, &job, &settings, &f->err), &f->err);
    float *got = fetch(f, &energies);
    ref_colour(photo, unary, EN, 3, (double)weight, (int)iterations);
    for (int t = 0; t < 4; t++) assert_close(got + t * EN, unary + t * EN, EN, t ? 1e-4 : 0);
    for (int i = 0; i < EN; i++) assert_true(got[3 * EN + i] == 40);
    free(photo);
    free(image);
    free(unary);
    free(got);
}
static void test_colour(void **state) {
    check_colour(*state, 1, 1);
}
static void test_colour_again(void **state) {
    check_colour(*state, 0.7f, 3);
}

// ---- Classical saliency.

static void check_classical(map_case *f, const uint32_t *photo, uint32_t width, uint32_t height, float *got_map) {
    tm_map source = device_map(f, width, height, photo), target = device_map(f, width, height, NULL);
    assert_ok(tm_classical_saliency_record(&f->work, &source, &target, &f->err), &f->err);
    float *got = fetch(f, &target), *wanted = calloc(width * height, sizeof *wanted);
    ref_classical(photo, wanted, (int)width, (int)height);
    assert_close(got, wanted, width * height, 1e-4);
    memcpy(got_map, got, width * height * sizeof *got);
    free(got);
    free(wanted);
}

static void test_classical(void **state) {
    uint32_t *photo = edge_photo();
    float map[EN];
    check_classical(*state, photo, EW, EH, map);
    free(photo);
}

// A disc on a ground whose brightness changes: the disc is found, and the ground's change is not.
static void test_classical_finds(void **state) {
    enum { W = 128, H = 96 };
    uint32_t *photo = calloc(W * H, sizeof *photo);
    float *map = calloc(W * H, sizeof *map);
    for (int i = 0; i < W * H; i++) {
        int x = i % W, y = i / W, dx = x - 70, dy = y - 50;
        photo[i] = dx * dx + dy * dy < 20 * 20 ? 0x2040d0u : (uint32_t)(x + 40) * 0x010101u;
    }
    check_classical(*state, photo, W, H, map);
    assert_true(map[50 * W + 70] > 0.9f && map[48 * W + 85] > 0.8f);
    for (int x = 0; x < W; x++) assert_true(map[5 * W + x] < 0.2f);
    assert_true(map[50 * W + 25] < 0.2f);
    free(photo);
    free(map);
}

// Larger photos are brought to the grid first, and nothing is salient in a flat one.
static void test_classical_sizes(void **state) {
    map_case *f = *state;
    enum { W = 300, H = 3 };
    uint32_t *photo = calloc(W * H, sizeof *photo);
    tm_map source = device_map(f, W, H, photo), target = device_map(f, W, H, NULL);
    assert_ok(tm_classical_saliency_record(&f->work, &source, &target, &f->err), &f->err);
    float *got = fetch(f, &target);
    for (int i = 0; i < W * H; i++) assert_true(got[i] == 0);
    free(photo);
    free(got);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fusion_modes),
        WITH_DEVICE(test_two_steps),
        WITH_DEVICE(test_three_steps),
        WITH_DEVICE(test_unary_logit),
        WITH_DEVICE(test_unary_seeds),
        WITH_DEVICE(test_guided),
        WITH_DEVICE(test_guided_beyond_the_photo),
        WITH_DEVICE(test_joint),
        WITH_DEVICE(test_pamr_odd),
        WITH_DEVICE(test_pamr_even),
        WITH_DEVICE(test_no_edge),
        WITH_DEVICE(test_colour),
        WITH_DEVICE(test_colour_again),
        WITH_DEVICE(test_classical),
        WITH_DEVICE(test_classical_finds),
        WITH_DEVICE(test_classical_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
