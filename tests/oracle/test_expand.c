// Edited pictures, erased features and joined maps against plain C.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "map_case.h"
#include "mask/cam.h"

enum { W = 45, H = 33, N = W * H, MW = 7, MH = 5, FILL = 0x7f807e };

static int channel(uint32_t word, int c) {
    return (int)(word >> (8 * c) & 255);
}

// Bilinear with clamped edges at pixel position (x, y), sample centres at whole numbers.
static double sample(const double *plane, int width, int height, double x, double y) {
    double sum = 0, fx = x - floor(x), fy = y - floor(y);
    for (int v = 0; v < 2; v++) {
        for (int u = 0; u < 2; u++) {
            int at_x = (int)floor(x) + u, at_y = (int)floor(y) + v;
            at_x = at_x < 0 ? 0 : at_x >= width ? width - 1 : at_x;
            at_y = at_y < 0 ? 0 : at_y >= height ? height - 1 : at_y;
            sum += plane[at_y * width + at_x] * (u ? fx : 1 - fx) * (v ? fy : 1 - fy);
        }
    }
    return sum;
}

static uint32_t *edit(map_case *f, const tm_edit *how, const uint32_t *image, const float *mask) {
    tm_map from = device_map(f, W, H, image), to = device_map(f, W, H, NULL), on_device;
    if (mask) on_device = device_map(f, MW, MH, mask);
    assert_ok(tm_edit_record(&f->work, how, &from, mask ? &on_device : NULL, FILL, &to, &f->err), &f->err);
    return fetch(f, &to);
}

static void check_turn(map_case *f, tm_edit how) {
    uint32_t *image = random_image(1, W, H);
    double planes[3][N], cosine = cos((double)how.amount[0]), sine = sin((double)how.amount[0]);
    for (int i = 0; i < N; i++)
        for (int c = 0; c < 3; c++) planes[c][i] = channel(image[i], c);
    uint32_t *got = edit(f, &how, image, NULL);
    for (int i = 0; i < N; i++) {
        double qx = i % W + 0.5 - W / 2.0, qy = i / W + 0.5 - H / 2.0;
        double x = cosine * qx - sine * qy + W / 2.0 + (double)how.amount[1] * W - 0.5;
        double y = sine * qx + cosine * qy + H / 2.0 + (double)how.amount[2] * H - 0.5;
        for (int c = 0; c < 3; c++)
            if (fabs(channel(got[i], c) - sample(planes[c], W, H, x, y)) > 0.51) fail_msg("pixel %d, channel %d", i, c);
    }
    free(image);
    free(got);
}

static void test_turn(void **state) {
    check_turn(*state, (tm_edit){.kind = TM_EDIT_TURN, .amount = {0.3f}});
}
static void test_shift(void **state) {
    check_turn(*state, (tm_edit){.kind = TM_EDIT_TURN, .amount = {-0.1f, 0.12f, -0.2f}});
}

// A smooth map drawn from the turned picture comes back to where it was, but at the border.
static void test_turn_is_undone(void **state) {
    map_case *f = *state;
    enum { TW = 60, TH = 30 };  // of another shape than the picture
    const tm_edit how = {.kind = TM_EDIT_TURN, .amount = {0.25f, 0.05f, -0.04f}};
    double cosine = cos(0.25), sine = sin(0.25);
    float *turned = calloc(TW * TH, sizeof *turned), *wanted = calloc(TW * TH, sizeof *wanted);
    double plane[TW * TH];
    for (int i = 0; i < TW * TH; i++)
        turned[i] = (float)(plane[i] = 0.5 + 0.3 * sin(i % TW * 0.2) + 0.2 * cos(i / TW * 0.3));
    for (int i = 0; i < TW * TH; i++) {
        double qx = (i % TW + 0.5) * W / TW - W / 2.0 - 0.05 * W, qy = (i / TW + 0.5) * H / TH - H / 2.0 + 0.04 * H;
        double x = cosine * qx + sine * qy + W / 2.0, y = -sine * qx + cosine * qy + H / 2.0;
        bool inside = x >= 0 && y >= 0 && x < W && y < H;
        wanted[i] = inside ? (float)sample(plane, TW, TH, x * TW / W - 0.5, y * TH / H - 0.5) : 0;
    }
    tm_map map = device_map(f, TW, TH, turned);
    assert_ok(tm_edit_undo(&f->work, &how, W, H, &map, &f->err), &f->err);
    float *got = fetch(f, &map);
    assert_close(got, wanted, TW * TH, 1e-4);
    free(got);
    free(turned);
    free(wanted);
}

static void test_erase(void **state) {
    uint32_t *image = random_image(2, W, H);
    float *mask = test_noise(3, MW * MH, 0, 1);
    double plane[MW * MH];
    for (int i = 0; i < MW * MH; i++) plane[i] = (double)mask[i];
    const tm_edit how = {.kind = TM_EDIT_ERASE, .amount = {0.55f}};
    uint32_t *got = edit(*state, &how, image, mask);
    int erased = 0;
    for (int i = 0; i < N; i++) {
        double value = sample(plane, MW, MH, (i % W + 0.5) * MW / W - 0.5, (i / W + 0.5) * MH / H - 0.5);
        if (fabs(value - 0.55) < 1e-5) continue;
        assert_int_equal(got[i], value > 0.55 ? FILL : image[i]);
        erased += value > 0.55;
    }
    assert_true(erased > N / 10 && erased < N * 9 / 10);
    free(image);
    free(mask);
    free(got);
}

static uint32_t pcg(uint32_t v) {
    uint32_t state = v * 747796405u + 2891336453u, word = ((state >> ((state >> 28) + 4)) ^ state) * 277803737u;
    return (word >> 22) ^ word;
}

static void test_cutout(void **state) {
    uint32_t *image = random_image(4, W, H);
    const tm_edit how = {.kind = TM_EDIT_CUTOUT, .seed = 9, .amount = {0.4f, 5}};
    uint32_t *got = edit(*state, &how, image, NULL);
    int hidden = 0;
    for (int i = 0; i < N; i++) {
        uint32_t x = (uint32_t)(i % W) / 5, y = (uint32_t)(i / W) / 5;
        bool hides = (pcg(x + pcg(y + pcg(9))) & 65535) < (uint32_t)(0.4f * 65536);
        assert_int_equal(got[i], hides ? FILL : image[i]);
        hidden += hides;
    }
    assert_true(hidden > N / 4 && hidden < N / 2);
    free(image);
    free(got);
}

// The blurred copy is the resampling's, which test_maps checks; here it comes from the device, too.
static void test_mixup(void **state) {
    map_case *f = *state;
    uint32_t *image = random_image(5, W, H);
    const uint32_t bw = (W + 15) / 16, bh = (H + 15) / 16;
    tm_map from = device_map(f, W, H, image), to = device_map(f, W, H, NULL), small = device_map(f, bw, bh, NULL);
    const tm_edit how = {.kind = TM_EDIT_MIXUP, .amount = {0.35f}};
    uint32_t *blurred = calloc(bw * bh, sizeof *blurred);
    assert_ok(tm_image_resample(&f->work, &from, NULL, TM_FILTER_BOX, &small, &f->err), &f->err);
    assert_ok(tm_readback(f->work.recorder, small.slice, blurred, &f->err), &f->err);
    assert_ok(tm_edit_record(&f->work, &how, &from, NULL, FILL, &to, &f->err), &f->err);
    uint32_t *got = fetch(f, &to);
    double planes[3][9];
    for (uint32_t i = 0; i < bw * bh; i++)
        for (int c = 0; c < 3; c++) planes[c][i] = channel(blurred[i], c);
    for (int i = 0; i < N; i++) {
        double x = (i % W + 0.5) * bw / W - 0.5, y = (i / W + 0.5) * bh / H - 0.5;
        for (int c = 0; c < 3; c++) {
            double wanted = 0.65 * channel(image[i], c) + 0.35 * sample(planes[c], (int)bw, (int)bh, x, y);
            if (fabs(channel(got[i], c) - wanted) > 0.51) fail_msg("pixel %d, channel %d", i, c);
        }
    }
    free(image);
    free(blurred);
    free(got);
}

// ---- Joined maps: three views of one channel each, whose class map is the channel itself.

typedef struct joined {
    tagmask_engine engine;
    tm_view views[4];
    float *maps[4];
} joined;

enum { VIEWS = 4 };

static void make_maps(map_case *f, joined *m) {
    float one = 1;
    *m = (joined){.engine = {.channels = 1, .class_count = 1}};
    assert_ok(tm_buffer_create(test_gpu(), 4, TM_MEMORY_DEVICE, &m->engine.class_weights, &f->err), &f->err);
    assert_ok(tm_upload(f->work.recorder, tm_slice_all(m->engine.class_weights), &one, &f->err), &f->err);
    for (int v = 0; v < VIEWS; v++) {
        m->maps[v] = test_noise(30 + (uint64_t)v, N, 0, (float)(v + 1));
        tm_map data = device_map(f, W, H, m->maps[v]);
        m->views[v] = (tm_view){.width = W, .height = H, .output_count = 1};
        m->views[v].outputs[0] = (tm_tensor){TM_FLOAT32, TM_LINEAR, {4, {1, 1, H, W}}, data.slice};
    }
}

static void free_maps(joined *m) {
    tm_buffer_destroy(m->engine.class_weights);
    for (int v = 0; v < VIEWS; v++) free(m->maps[v]);
}

static void normalize(double *map) {
    double low = INFINITY, high = -INFINITY;
    for (int i = 0; i < N; i++) {
        low = fmin(low, map[i]);
        high = fmax(high, map[i]);
    }
    for (int i = 0; i < N; i++) map[i] = (map[i] - low) / (high - low + 1e-8);
}

static void over_maximum(const float *map, double *to) {
    double high = 0;
    for (int i = 0; i < N; i++) high = fmax(high, (double)map[i]);
    for (int i = 0; i < N; i++) to[i] = (double)map[i] / high;
}

static void test_joined_maps(void **state) {
    map_case *f = *state;
    joined m;
    make_maps(f, &m);
    const tm_cam_part parts[] = {{&m.views[0], TM_CAM_MEAN, 1},
                                 {&m.views[1], TM_CAM_MEAN, 1},
                                 {&m.views[2], TM_CAM_TIMES, 0.3f},
                                 {&m.views[3], TM_CAM_MAX, 0.7f}};
    const tm_cam_rows rows = {{0}, 0};
    double a[N], b[N], c[N], d[N];
    over_maximum(m.maps[0], a);
    over_maximum(m.maps[1], b);
    over_maximum(m.maps[2], c);
    over_maximum(m.maps[3], d);
    normalize(c);
    normalize(d);
    float wanted[N], wanted_doubt[N];
    for (int i = 0; i < N; i++) {
        double mean = (a[i] + b[i]) / 2;
        wanted_doubt[i] = (float)(2 * sqrt(fmax((a[i] * a[i] + b[i] * b[i]) / 2 - mean * mean, 0)));
        a[i] += b[i];
    }
    normalize(a);
    for (int i = 0; i < N; i++) a[i] = fmax(pow(fmax(a[i], 1e-12), 0.7) * pow(fmax(c[i], 1e-12), 0.3), 0.7 * d[i]);
    normalize(a);
    for (int i = 0; i < N; i++) wanted[i] = (float)a[i];
    tm_map to = device_map(f, W, H, NULL), doubt = device_map(f, W, H, NULL);
    float *got_doubt = calloc(N, sizeof *got_doubt);
    assert_ok(tm_cam_record(&f->work, &m.engine, parts, 4, &rows, 0, &to, &doubt, &f->err), &f->err);
    assert_ok(tm_readback(f->work.recorder, doubt.slice, got_doubt, &f->err), &f->err);
    float *got = fetch(f, &to);
    assert_close(got, wanted, N, 1e-4);
    assert_close(got_doubt, wanted_doubt, N, 1e-3);
    free(got);
    free(got_doubt);
    free_maps(&m);
}

// ---- Ridge regression of a map on features

// x of a x = b, a symmetric and positive: Cholesky, in double.
static void solve(double *a, double *x, int n) {
    for (int i = 0; i < n; i++) {
        for (int j = 0; j <= i; j++) {
            double sum = a[i * n + j];
            for (int k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
            a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
        }
    }
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < i; k++) x[i] -= a[i * n + k] * x[k];
        x[i] /= a[i * n + i];
    }
    for (int i = n; i-- > 0;) {
        for (int k = i + 1; k < n; k++) x[i] -= a[k * n + i] * x[k];
        x[i] /= a[i * n + i];
    }
}

enum { GW = 23, GH = 17, G = GW * GH };

// The prediction for unit features x [channels][G] and a map y.
static void ridge(const float *features, const double *y, int channels, double lambda, double *predicted) {
    double *x = calloc((size_t)(channels * G), sizeof *x), *a = calloc((size_t)(channels * channels), sizeof *a),
           *w = calloc((size_t)channels, sizeof *w), mean_y = 0;
    for (int i = 0; i < G; i++) {
        double norm = 0;
        for (int c = 0; c < channels; c++) norm += (double)features[c * G + i] * (double)features[c * G + i];
        for (int c = 0; c < channels; c++) x[c * G + i] = (double)features[c * G + i] / sqrt(norm);
        mean_y += y[i] / G;
    }
    for (int c = 0; c < channels; c++) {
        double mean = 0;
        for (int i = 0; i < G; i++) mean += x[c * G + i] / G;
        for (int i = 0; i < G; i++) x[c * G + i] -= mean;
    }
    for (int c = 0; c < channels; c++) {
        for (int i = 0; i < G; i++) w[c] += x[c * G + i] * (y[i] - mean_y);
        for (int d = 0; d < channels; d++) {
            for (int i = 0; i < G; i++) a[c * channels + d] += x[c * G + i] * x[d * G + i];
            if (c == d) a[c * channels + d] += lambda;
        }
    }
    solve(a, w, channels);
    for (int i = 0; i < G; i++) {
        predicted[i] = mean_y;
        for (int c = 0; c < channels; c++) predicted[i] += w[c] * x[c * G + i];
        predicted[i] = fmin(fmax(predicted[i], 0), 1);
    }
    free(x);
    free(a);
    free(w);
}

static void check_ridge(map_case *f, int channels, float lambda) {
    float *features = test_noise(40, (size_t)(channels * G), 0, 1), *map = calloc(G, sizeof *map), wanted[G];
    double y[G], predicted[G];
    for (int i = 0; i < G; i++) {  // channels that tell where the map is high
        y[i] = (i % GW - 9) * (i % GW - 9) + (i / GW - 8) * (i / GW - 8) < 30 ? 1 : 0.2;
        map[i] = (float)y[i];
        for (int c = 0; c < channels; c += 3) features[c * G + i] += y[i] > 0.5 ? 0.7f : 0;
    }
    tm_map data = device_map(f, GW, (uint32_t)(GH * channels), features), from = device_map(f, GW, GH, map),
           walked = device_map(f, GW, GH, NULL), to = device_map(f, GW, GH, NULL);
    tm_view view = {.output_count = 2};
    view.outputs[1] = (tm_tensor){TM_FLOAT32, TM_LINEAR, {4, {1, channels, GH, GW}}, data.slice};
    float *spread = calloc(G, sizeof *spread);
    assert_ok(tm_affinity_record(&f->work, &view, &(tm_affinity){0.15f, 1, 0}, &from, &walked, &f->err), &f->err);
    assert_ok(tm_readback(f->work.recorder, walked.slice, spread, &f->err), &f->err);
    assert_ok(tm_affinity_record(&f->work, &view, &(tm_affinity){0.15f, 1, lambda}, &from, &to, &f->err), &f->err);
    float *got = fetch(f, &to);
    for (int i = 0; i < G; i++) y[i] = (double)spread[i];
    ridge(features, y, channels, (double)lambda, predicted);
    for (int i = 0; i < G; i++) wanted[i] = (float)sqrt(fmax(y[i], 1e-12) * fmax(predicted[i], 1e-12));
    min_max(wanted, G);
    assert_close(got, wanted, G, 1e-3);
    free(features);
    free(map);
    free(spread);
    free(got);
}
static void test_ridge(void **state) {
    check_ridge(*state, 112, 3);
}
static void test_ridge_of_few_channels(void **state) {
    check_ridge(*state, 11, 0.5f);
}
static void test_ridge_of_most_channels(void **state) {
    check_ridge(*state, 256, 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_DEVICE(test_turn),
        WITH_DEVICE(test_shift),
        WITH_DEVICE(test_turn_is_undone),
        WITH_DEVICE(test_erase),
        WITH_DEVICE(test_cutout),
        WITH_DEVICE(test_mixup),
        WITH_DEVICE(test_joined_maps),
        WITH_DEVICE(test_ridge),
        WITH_DEVICE(test_ridge_of_few_channels),
        WITH_DEVICE(test_ridge_of_most_channels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
