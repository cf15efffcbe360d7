// The shaders of the map methods (map_table.h) against plain C.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "map_case.h"
#include "mask/cam.h"
#include "mask/map_blocks.h"
#include "mask/map_fullgrad.h"
#include "mask/map_reruns.h"

enum { W = 7, H = 5, P = W * H, CHANNELS = 11 };

// Features [CHANNELS][P] on the device in a layout.
static tm_tensor features_of(map_case *f, const float *values, tm_layout layout) {
    tm_tensor tensor = {TM_FLOAT32, layout, {4, {1, CHANNELS, H, W}}, {NULL, 0, 0}};
    size_t rows = tm_layout_bytes(&tensor.shape, layout) / (4 * W);
    float *packed = calloc(rows * W, sizeof *packed);
    for (int k = 0; k < CHANNELS; k++) {
        for (int i = 0; i < P; i++)
            packed[layout == TM_C4 ? ((k / 4) * P + i) * 4 + k % 4 : k * P + i] = values[k * P + i];
    }
    tensor.slice = device_map(f, W, (uint32_t)rows, packed).slice;
    free(packed);
    return tensor;
}

// ---- The first principal component, by Jacobi's rotations of the covariance of the channels (1846).

static void rotate(double a[CHANNELS][CHANNELS], double v[CHANNELS][CHANNELS], int p, int q) {
    if (fabs(a[p][q]) < 1e-300) return;
    double theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
    double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1)), c = 1 / sqrt(t * t + 1), s = t * c;
    for (int k = 0; k < CHANNELS; k++) {
        double x = a[k][p], y = a[k][q];
        a[k][p] = c * x - s * y;
        a[k][q] = s * x + c * y;
    }
    for (int k = 0; k < CHANNELS; k++) {
        double x = a[p][k], y = a[q][k];
        a[p][k] = c * x - s * y;
        a[q][k] = s * x + c * y;
        x = v[k][p];
        y = v[k][q];
        v[k][p] = c * x - s * y;
        v[k][q] = s * x + c * y;
    }
}

static void principal_component(double a[CHANNELS][CHANNELS], double *component) {
    double v[CHANNELS][CHANNELS] = {{0}};
    for (int k = 0; k < CHANNELS; k++) v[k][k] = 1;
    for (int sweep = 0; sweep < 30; sweep++) {
        for (int p = 0; p < CHANNELS; p++)
            for (int q = p + 1; q < CHANNELS; q++) rotate(a, v, p, q);
    }
    int best = 0;
    for (int k = 1; k < CHANNELS; k++) best = a[k][k] > a[best][best] ? k : best;
    for (int k = 0; k < CHANNELS; k++) component[k] = v[k][best];
}

// Unit length, turned to where the features are strong, cut off at 0.
static void ref_eigen(const float *x, float *map) {
    double centred[CHANNELS][P], covariance[CHANNELS][CHANNELS] = {{0}}, component[CHANNELS], projection[P];
    double energy[P] = {0}, mean = 0, square = 0, side = 0;
    for (int k = 0; k < CHANNELS; k++) {
        double middle = 0;
        for (int i = 0; i < P; i++) middle += x[k * P + i] / (double)P;
        for (int i = 0; i < P; i++) {
            centred[k][i] = x[k * P + i] - middle;
            energy[i] += (double)x[k * P + i] * x[k * P + i];
        }
    }
    for (int k = 0; k < CHANNELS; k++)
        for (int l = 0; l < CHANNELS; l++)
            for (int i = 0; i < P; i++) covariance[k][l] += centred[k][i] * centred[l][i];
    principal_component(covariance, component);
    for (int i = 0; i < P; i++) {
        projection[i] = 0;
        for (int k = 0; k < CHANNELS; k++) projection[i] += centred[k][i] * component[k];
        square += projection[i] * projection[i];
        mean += energy[i] / P;
    }
    for (int i = 0; i < P; i++) side += projection[i] * (energy[i] - mean);
    for (int i = 0; i < P; i++) map[i] = (float)fmax(projection[i] / sqrt(square) * (side < 0 ? -1 : 1), 0);
}

static void compare_eigen(map_case *f, float *x, tm_layout layout) {
    float wanted[P];
    tm_tensor features = features_of(f, x, layout);
    tm_map map;
    assert_ok(tm_map_principal(&f->work, &features, &map, &f->err), &f->err);
    float *got = fetch(f, &map);
    ref_eigen(x, wanted);
    assert_close(got, wanted, P, 1e-4);
    free(x);
    free(got);
}

static void check_eigen(map_case *f, tm_layout layout, float low, float high) {
    float *x = test_noise(31, CHANNELS * P, low, high);
    // One strong component, as networks have it.
    for (int k = 0; k < CHANNELS; k++)
        for (int i = 0; i < P; i++) x[k * P + i] += high * (float)(k % 3) * sinf((float)i * 0.2f);
    compare_eigen(f, x, layout);
}
static void test_eigen_linear(void **state) {
    check_eigen(*state, TM_LINEAR, -1, 1);
}
static void test_eigen_c4(void **state) {
    check_eigen(*state, TM_C4, 0, 1);
}
static void test_eigen_of_large_numbers(void **state) {
    check_eigen(*state, TM_C4, -3e8f, 3e8f);
}
// The second component has 0.98 of the first one's variance, and more of what the steps start from.
static void test_eigen_of_close_components(void **state) {
    float *x = calloc(CHANNELS * P, sizeof *x);
    assert_non_null(x);
    for (int i = 0; i < P; i++) {
        float angle = 6.2831853f * (float)i / P;
        x[i] = 1 + cosf(angle) + 0.3f * cosf(3 * angle);
        x[3 * P + i] = 2 + sqrtf(0.98f * 1.09f) * sinf(angle);
        x[4 * P + i] = 0.5f * sinf(5 * angle);
    }
    compare_eigen(*state, x, TM_C4);
}
static void test_eigen_of_nothing(void **state) {
    map_case *f = *state;
    float x[CHANNELS * P];
    for (int i = 0; i < CHANNELS * P; i++) x[i] = 2.5f;
    tm_tensor features = features_of(f, x, TM_C4);
    tm_map map;
    assert_ok(tm_map_principal(&f->work, &features, &map, &f->err), &f->err);
    float *got = fetch(f, &map);
    for (int i = 0; i < P; i++) assert_true(got[i] == 0);
    free(got);
}

// ---- Methods of gradients, as pytorch-grad-cam 1.5 writes them

static double relu(double x) {
    return x > 0 ? x : 0;
}

static double ref_weight(const float *a, const float *g, tm_channel_rule rule) {
    double total = 0, sum = 0;
    for (int i = 0; i < P; i++) total += a[i];
    for (int i = 0; i < P; i++) {
        double x = g[i], square = x * x;
        if (rule == TM_CHANNEL_MEAN) sum += x / P;
        if (rule == TM_CHANNEL_PLUS && x != 0) sum += relu(x) * square / (2 * square + total * square * x + 1e-6);
        if (rule == TM_CHANNEL_SHARE) sum += x * a[i] / (total + 1e-7);
    }
    return sum;
}

// Features above 0, as sums that rules divide by; gradients of both signs and some 0.
static void of_both_kinds(float **a, float **g) {
    *a = test_noise(41, CHANNELS * P, 0, 2);
    *g = test_noise(42, CHANNELS * P, -1, 1);
    for (int i = 0; i < CHANNELS * P; i += 5) (*g)[i] = 0;
}

static void check_weights(map_case *f, tm_layout features_layout, tm_layout gradients_layout) {
    float *a, *g, wanted[P];
    of_both_kinds(&a, &g);
    for (tm_channel_rule rule = TM_CHANNEL_MEAN; rule <= TM_CHANNEL_SHARE; rule++) {
        double sums[P] = {0}, weights[CHANNELS];
        for (int k = 0; k < CHANNELS; k++) {
            weights[k] = ref_weight(a + k * P, g + k * P, rule);
            for (int i = 0; i < P; i++) sums[i] += weights[k] * a[k * P + i];
        }
        for (int i = 0; i < P; i++) wanted[i] = (float)relu(sums[i]);
        if (rule) assert_ok(tm_work_begin(&f->work, test_gpu(), &f->scratch, &f->err), &f->err);
        tm_tensor features = features_of(f, a, features_layout), gradients = features_of(f, g, gradients_layout);
        tm_slice found;
        tm_map map;
        assert_ok(tm_map_channel_weights(&f->work, &features, &gradients, rule, &found, &f->err), &f->err);
        assert_ok(tm_map_weighted(&f->work, &features, found, &map, &f->err), &f->err);
        float got_weights[CHANNELS];
        assert_ok(tm_readback(f->work.recorder, found, got_weights, &f->err), &f->err);
        float *got = fetch(f, &map);
        assert_close(got, wanted, P, 1e-4);
        for (int k = 0; k < CHANNELS; k++)
            assert_true(fabs(got_weights[k] - weights[k]) <= 1e-4 * fabs(weights[k]) + 1e-6);
        free(got);
    }
    free(a);
    free(g);
}
static void test_weights_linear(void **state) {
    check_weights(*state, TM_LINEAR, TM_LINEAR);
}
static void test_weights_c4(void **state) {
    check_weights(*state, TM_C4, TM_C4);
}
static void test_weights_of_both_layouts(void **state) {
    check_weights(*state, TM_C4, TM_LINEAR);
}

static void check_products(map_case *f, tm_layout features_layout, tm_layout gradients_layout) {
    float *a = test_noise(43, CHANNELS * P, -1, 2), *g = test_noise(44, CHANNELS * P, -1, 1), wanted[P];
    for (tm_product_rule rule = TM_PRODUCT_PLAIN; rule <= TM_PRODUCT_ELEMENTS; rule++) {
        for (int i = 0; i < P; i++) {
            double sum = 0;
            for (int k = 0; k < CHANNELS; k++) {
                double x = g[k * P + i], y = a[k * P + i];
                sum += rule == TM_PRODUCT_PLAIN ? x * y : rule == TM_PRODUCT_LAYER ? relu(x) * y : relu(x * y);
            }
            wanted[i] = (float)relu(sum);
        }
        if (rule) assert_ok(tm_work_begin(&f->work, test_gpu(), &f->scratch, &f->err), &f->err);
        tm_tensor features = features_of(f, a, features_layout), gradients = features_of(f, g, gradients_layout);
        tm_map map;
        assert_ok(tm_map_products(&f->work, &features, &gradients, rule, &map, &f->err), &f->err);
        float *got = fetch(f, &map);
        assert_close(got, wanted, P, 1e-4);
        free(got);
    }
    assert_ok(tm_work_begin(&f->work, test_gpu(), &f->scratch, &f->err), &f->err);
    tm_tensor features = features_of(f, a, features_layout), gradients = features_of(f, g, gradients_layout), products;
    assert_ok(tm_map_times(&f->work, &features, &gradients, &products, &f->err), &f->err);
    tm_map all = {products.slice, P, CHANNELS};
    float *got = fetch(f, &all);
    for (int i = 0; i < CHANNELS * P; i++) assert_true(got[i] == g[i] * a[i]);
    free(a);
    free(g);
    free(got);
}
static void test_products_linear(void **state) {
    check_products(*state, TM_LINEAR, TM_LINEAR);
}
static void test_products_c4(void **state) {
    check_products(*state, TM_C4, TM_C4);
}
static void test_products_of_both_layouts(void **state) {
    check_products(*state, TM_LINEAR, TM_C4);
}

// Numbers that overflow are not taken for nothing.
static void test_nan_is_kept(void **state) {
    map_case *f = *state;
    float *a = test_noise(45, CHANNELS * P, 0, 1), *g = test_noise(46, CHANNELS * P, -1, 1);
    a[3] = NAN;
    tm_tensor features = features_of(f, a, TM_C4), gradients = features_of(f, g, TM_C4);
    tm_map maps[5];
    tm_slice weights;
    for (tm_product_rule rule = TM_PRODUCT_PLAIN; rule <= TM_PRODUCT_ELEMENTS; rule++)
        assert_ok(tm_map_products(&f->work, &features, &gradients, rule, &maps[rule], &f->err), &f->err);
    assert_ok(tm_map_principal(&f->work, &features, &maps[3], &f->err), &f->err);
    assert_ok(tm_map_channel_weights(&f->work, &features, &gradients, TM_CHANNEL_MEAN, &weights, &f->err), &f->err);
    assert_ok(tm_map_weighted(&f->work, &features, weights, &maps[4], &f->err), &f->err);
    float got[5][P];
    for (int m = 0; m < 5; m++) assert_ok(tm_readback(f->work.recorder, maps[m].slice, got[m], &f->err), &f->err);
    assert_ok(tm_work_finish(&f->work, &f->err), &f->err);
    for (int m = 0; m < 5; m++) assert_true(isnan(got[m][3]));
    free(a);
    free(g);
}

// ---- Attention

// Two of four heads, with and without gradients.
static void test_attention_step(void **state) {
    map_case *f = *state;
    enum { TOKENS = 37, ALL = 4, FIRST = 1, SOME = 2, SIZE = ALL * TOKENS * TOKENS };
    float *a = test_noise(51, SIZE, 0, 1), *g = test_noise(52, SIZE, -1, 1), *from = test_noise(53, TOKENS, 0, 1);
    for (int with = 0; with < 2; with++) {
        float wanted[TOKENS];
        for (int j = 0; j < TOKENS; j++) {
            double sum = 0;
            for (int i = 0; i < TOKENS; i++) {
                for (int h = FIRST; h < FIRST + SOME; h++) {
                    double x = a[(h * TOKENS + i) * TOKENS + j], y = x * g[(h * TOKENS + i) * TOKENS + j];
                    sum += from[i] * (with ? relu(y) : x) / SOME;
                }
            }
            wanted[j] = (float)(0.25 * from[j] + 2 * sum);
        }
        if (with) assert_ok(tm_work_begin(&f->work, test_gpu(), &f->scratch, &f->err), &f->err);
        const tm_block block = {device_map(f, TOKENS, ALL * TOKENS, a).slice,
                                device_map(f, TOKENS, ALL * TOKENS, g).slice, ALL, TOKENS};
        const tm_block_step step = {FIRST, SOME, 0.25f, 2, with};
        tm_map source = device_map(f, TOKENS, 1, from), target = device_map(f, TOKENS, 1, NULL);
        assert_ok(tm_block_record(&f->work, &block, &step, source.slice, target.slice, &f->err), &f->err);
        float *got = fetch(f, &target);
        assert_close(got, wanted, TOKENS, 1e-4);
        free(got);
    }
    free(a);
    free(g);
    free(from);
}

// Three tokens before 5 x 7 places; a place that attends to none of them, and two steps of the walk.
static void test_attention_affinity(void **state) {
    map_case *f = *state;
    enum { WIDE = 7, TALL = 5, N = WIDE * TALL, OTHERS = 3, TOKENS = N + OTHERS, LONELY = 11 };
    float *a = test_noise(54, TOKENS * TOKENS, 0, 1), *map = test_noise(55, N, 0, 1), wanted[N * N], spread[N];
    for (int j = 0; j < N; j++) a[(OTHERS + LONELY) * TOKENS + OTHERS + j] = 0;
    double from[N], to[N];
    for (int i = 0; i < N; i++) {
        double sum = 0;
        from[i] = map[i];
        for (int j = 0; j < N; j++) sum += a[(OTHERS + i) * TOKENS + OTHERS + j];
        for (int j = 0; j < N; j++)
            wanted[j * N + i] = i == LONELY ? 0 : (float)(a[(OTHERS + i) * TOKENS + OTHERS + j] / sum);
    }
    for (int step = 0; step < 2; step++) {
        for (int i = 0; i < N; i++) {
            to[i] = 0;
            for (int j = 0; j < N; j++) to[i] += wanted[j * N + i] * from[j];
        }
        memcpy(from, to, sizeof from);
    }
    for (int i = 0; i < N; i++) spread[i] = (float)to[i];
    min_max(spread, N);
    tm_map source = device_map(f, WIDE, TALL, map), target = device_map(f, WIDE, TALL, NULL),
           matrix = device_map(f, N, N, NULL);
    tm_view view = {.method = &tm_map_affinity, .output_count = 1};
    view.outputs[0] = (tm_tensor){TM_FLOAT32, TM_LINEAR, {4, {1, N, TALL, WIDE}}, matrix.slice};
    tm_slice tokens = device_map(f, TOKENS, TOKENS, a).slice;
    float got[N * N];
    assert_ok(tm_attention_affinity(&f->work, tokens, TOKENS, &view.outputs[0], &f->err), &f->err);
    assert_ok(tm_affinity_record(&f->work, &view, &(tm_affinity){.steps = 2}, &source, &target, &f->err), &f->err);
    assert_ok(tm_readback(f->work.recorder, matrix.slice, got, &f->err), &f->err);
    float *got_spread = fetch(f, &target);
    assert_close(got, wanted, N * N, 1e-4);
    assert_close(got_spread, spread, N, 5e-4);  // min-max enlarges what the walk leaves
    free(a);
    free(map);
    free(got_spread);
}

// ---- Runs again for each channel

static double aligned(const float *plane, double x, double y) {
    int left = (int)x, top = (int)y, right = TM_MIN(left + 1, W - 1), bottom = TM_MIN(top + 1, H - 1);
    double u = x - left, v = y - top;
    return (1 - v) * ((1 - u) * plane[top * W + left] + u * plane[top * W + right]) +
           v * ((1 - u) * plane[bottom * W + left] + u * plane[bottom * W + right]);
}

static void check_reruns(map_case *f, tm_layout layout) {
    enum { WIDE = 24, TALL = 18, PIXELS = WIDE * TALL, CHANNEL = 6 };
    float *x = test_noise(61, CHANNELS * P, -1, 2), *picture = test_noise(62, 3 * PIXELS, -2, 2);
    float mask[PIXELS], wanted[3 * PIXELS], energies[CHANNELS];
    for (int i = 0; i < PIXELS; i++)
        mask[i] = (float)aligned(x + CHANNEL * P, (i % WIDE) * (W - 1) / (double)(WIDE - 1),
                                 (i / WIDE) * (H - 1) / (double)(TALL - 1));
    min_max(mask, PIXELS);
    for (int i = 0; i < 3 * PIXELS; i++) wanted[i] = picture[i] * mask[i % PIXELS];
    tm_tensor features = features_of(f, x, layout);
    tm_rerun run = {.features = &features, .channel = CHANNEL};
    run.picture = (tm_tensor){TM_FLOAT32, TM_LINEAR, {4, {1, 3, TALL, WIDE}}, {NULL, 0, 0}};
    run.picture.slice = device_map(f, WIDE, 3 * TALL, picture).slice;
    tm_map input = device_map(f, WIDE, 3 * TALL, NULL), ablated = device_map(f, W, CHANNELS * H, NULL);
    run.input.slice = input.slice;
    tm_slice found;
    float got_ablated[CHANNELS * P], got_energies[CHANNELS];
    assert_ok(tm_rerun_mask(&f->work, &run, &f->err), &f->err);
    run.input.slice = ablated.slice;
    assert_ok(tm_rerun_ablate(&f->work, &run, &f->err), &f->err);
    assert_ok(tm_channel_energies(&f->work, &features, &found, &f->err), &f->err);
    assert_ok(tm_readback(f->work.recorder, ablated.slice, got_ablated, &f->err), &f->err);
    assert_ok(tm_readback(f->work.recorder, found, got_energies, &f->err), &f->err);
    float *got = fetch(f, &input);
    assert_close(got, wanted, 3 * PIXELS, 1e-4);
    for (int k = 0; k < CHANNELS; k++) {
        energies[k] = 0;
        for (int i = 0; i < P; i++) {
            energies[k] += x[k * P + i] * x[k * P + i];
            assert_true(got_ablated[k * P + i] == (k == CHANNEL ? 0 : x[k * P + i]));
        }
    }
    assert_close(got_energies, energies, CHANNELS, 1e-4);
    free(x);
    free(picture);
    free(got);
}
static void test_reruns_linear(void **state) {
    check_reruns(*state, TM_LINEAR);
}
static void test_reruns_c4(void **state) {
    check_reruns(*state, TM_C4);
}

// ---- Full gradients

// A part as large as the sum, so that nothing is resized: 0.5 plus the channels' min-max of |g f|.
static void check_full(map_case *f, tm_layout layout, bool picture) {
    float *g = test_noise(71, CHANNELS * P, -1, 1), *factors = test_noise(72, CHANNELS * P, -2, 2), wanted[P], start[P];
    for (int i = 0; i < P; i++) wanted[i] = start[i] = 0.5f;
    for (int k = 0; k < CHANNELS; k++) {
        float plane[P];
        for (int i = 0; i < P; i++) plane[i] = fabsf(g[k * P + i] * factors[picture ? k * P + i : k]);
        min_max(plane, P);
        for (int i = 0; i < P; i++) wanted[i] += plane[i];
    }
    const tm_full_part part = {features_of(f, g, layout), device_map(f, W, CHANNELS * H, factors).slice, picture};
    tm_map sum = device_map(f, W, H, start);
    assert_ok(tm_full_record(&f->work, &part, &sum, &f->err), &f->err);
    float *got = fetch(f, &sum);
    assert_close(got, wanted, P, 1e-4);
    free(g);
    free(factors);
    free(got);
}
static void test_full_of_biases(void **state) {
    check_full(*state, TM_C4, false);
}
static void test_full_of_the_picture(void **state) {
    check_full(*state, TM_LINEAR, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_DEVICE(test_eigen_linear),
        WITH_DEVICE(test_eigen_c4),
        WITH_DEVICE(test_eigen_of_large_numbers),
        WITH_DEVICE(test_eigen_of_close_components),
        WITH_DEVICE(test_eigen_of_nothing),
        WITH_DEVICE(test_weights_linear),
        WITH_DEVICE(test_weights_c4),
        WITH_DEVICE(test_weights_of_both_layouts),
        WITH_DEVICE(test_products_linear),
        WITH_DEVICE(test_products_c4),
        WITH_DEVICE(test_products_of_both_layouts),
        WITH_DEVICE(test_nan_is_kept),
        WITH_DEVICE(test_attention_step),
        WITH_DEVICE(test_attention_affinity),
        WITH_DEVICE(test_reruns_linear),
        WITH_DEVICE(test_reruns_c4),
        WITH_DEVICE(test_full_of_biases),
        WITH_DEVICE(test_full_of_the_picture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
