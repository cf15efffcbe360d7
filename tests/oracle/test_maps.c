// The small image and map shaders against plain C.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "map_case.h"
#include "mask/cam.h"
#include "mask/fusion.h"
#include "mask/maps.h"

// ---- Resampling: the textbook form, every output pixel from all source pixels with a stretched filter.

static double lanczos(double x) {
    const double pi = 3.14159265358979323846;
    x = fabs(x);
    if (x >= 3) return 0;
    return x < 1e-8 ? 1 : sin(pi * x) / (pi * x) * sin(pi * x / 3) / (pi * x / 3);
}

static double bicubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? a * (((x - 5) * x + 8) * x - 4) : 0;
}

typedef struct axis {
    double (*filter)(double);
    double low, scale;
    uint32_t length, step;  // source elements along the axis, and their distance
} axis;

static uint32_t ref_pixel(const uint32_t *line, const axis *a, uint32_t target) {
    double stretch = fmax(a->scale, 1), centre = a->low + (target + 0.5) * a->scale, sum[3] = {0}, norm = 0;
    for (uint32_t s = 0; s < a->length; s++) {
        double weight = a->filter((s + 0.5 - centre) / stretch);
        for (int c = 0; c < 3; c++) sum[c] += weight * (line[(size_t)s * a->step] >> (8 * c) & 255);
        norm += weight;
    }
    uint32_t word = 0;
    for (int c = 0; c < 3; c++) word |= (uint32_t)fmin(fmax(floor(sum[c] / norm + 0.5), 0), 255) << (8 * c);
    return word;
}

static void check_resample(map_case *f, tm_filter filter, uint32_t width, uint32_t height, tm_box box,
                           uint32_t to_width, uint32_t to_height) {
    double (*function)(double) = filter == TM_FILTER_LANCZOS ? lanczos : bicubic;
    uint32_t *image = random_image(width * 31 + height, width, height);
    tm_map source = device_map(f, width, height, image), target = device_map(f, to_width, to_height, NULL);
    assert_ok(tm_image_resample(&f->work, &source, &box, filter, &target, &f->err), &f->err);
    uint32_t *got = fetch(f, &target);
    uint32_t *middle = calloc((size_t)to_width * height, sizeof *middle);
    axis x = {function, box.left, (box.right - box.left) / (double)to_width, width, 1};
    axis y = {function, box.top, (box.bottom - box.top) / (double)to_height, height, to_width};
    for (uint32_t i = 0; i < to_width * height; i++)
        middle[i] = ref_pixel(image + i / to_width * width, &x, i % to_width);
    for (uint32_t i = 0; i < to_width * to_height; i++) {
        uint32_t wanted = ref_pixel(middle + i % to_width, &y, i / to_width);
        // A value on .5 may round either way in float, in either pass.
        for (int c = 0; c < 24; c += 8) assert_in_range(abs((int)(got[i] >> c & 255) - (int)(wanted >> c & 255)), 0, 1);
    }
    free(image);
    free(got);
    free(middle);
}

static void test_resample_reduces(void **state) {
    check_resample(*state, TM_FILTER_LANCZOS, 71, 53, (tm_box){0, 0, 71, 53}, 32, 20);
}
static void test_resample_enlarges_a_box(void **state) {
    check_resample(*state, TM_FILTER_BICUBIC, 40, 30, (tm_box){5.5f, 3, 29, 21.25f}, 64, 33);
}

static void test_network_input(void **state) {
    map_case *f = *state;
    enum { W = 19, H = 7, N = W * H };
    uint32_t *image = random_image(1, W, H);
    for (int i = 0; i < N; i++) image[i] &= 0x3f3f3f;
    image[5] = 0x00c81000;
    tm_map source = device_map(f, W, H, image), to = device_map(f, W, 3 * H, NULL),
           vec4 = device_map(f, W, 4 * H, NULL);
    struct {
        float mean[4], scale[4];
        uint32_t width, height, mirror, divide_by_max, slot;
    } push = {{10, 20, 30, 0}, {0.5f, 0.25f, 2, 0}, W, H, 1, 1, 7};
    assert_ok(tm_map_reduce(&f->work, TM_REDUCE_MAX_RGB, &source, NULL, 0, 7, &f->err), &f->err);
    tm_map_call call = {.shader = "image/to_input",
                        .bindings = {source.slice, f->work.scalars, to.slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = N};
    assert_ok(tm_map_dispatch(&f->work, &call, &f->err), &f->err);
    uint32_t count = N;
    tm_map_call vec4_call = {.shader = "image/to_vec4",
                             .bindings = {source.slice, vec4.slice},
                             .push = &count,
                             .push_size = 4,
                             .elements = N};
    assert_ok(tm_map_dispatch(&f->work, &vec4_call, &f->err), &f->err);
    float *pixels = malloc(vec4.slice.size);
    assert_ok(tm_readback(f->work.recorder, vec4.slice, pixels, &f->err), &f->err);
    float *got = fetch(f, &to), wanted[3 * N], wanted_pixels[4 * N];
    for (int i = 0; i < N; i++) {
        uint32_t word = image[i / W * W + W - 1 - i % W];
        for (int c = 0; c < 3; c++) {
            wanted[c * N + i] = ((float)(word >> (8 * c) & 255) * 255 / 200 - push.mean[c]) * push.scale[c];
            wanted_pixels[4 * i + c] = (float)(image[i] >> (8 * c) & 255);
        }
        wanted_pixels[4 * i + 3] = 0;
    }
    assert_close(got, wanted, 3 * N, 1e-4);
    assert_memory_equal(pixels, wanted_pixels, sizeof wanted_pixels);
    free(image);
    free(got);
    free(pixels);
}

// ---- Maps.

static void test_resize_mirrors_and_pastes(void **state) {
    map_case *f = *state;
    enum { W = 9, H = 7, TW = 31, TH = 22 };
    float *source = test_noise(3, W * H, -1, 1), wanted[TW * TH];
    tm_box box = {4.5f, 2, 28, 19.5f};
    double bw = box.right - box.left, bh = box.bottom - box.top;
    for (int i = 0; i < TW * TH; i++) {
        double cx = i % TW + 0.5 - box.left, cy = i / TW + 0.5 - box.top, sum = 0;
        wanted[i] = 0;
        if (cx < 0 || cy < 0 || cx >= bw || cy >= bh) continue;
        double px = cx * W / bw - 0.5, py = cy * H / bh - 0.5, fx = px - floor(px), fy = py - floor(py);
        for (int n = 0; n < 4; n++) {
            int sx = TM_CLAMP((int)floor(px) + n % 2, 0, W - 1), sy = TM_CLAMP((int)floor(py) + n / 2, 0, H - 1);
            sum += (n % 2 ? fx : 1 - fx) * (n / 2 ? fy : 1 - fy) * source[sy * W + (W - 1 - sx)];
        }
        wanted[i] = (float)sum;
    }
    tm_map from = device_map(f, W, H, source), to = device_map(f, TW, TH, NULL);
    assert_ok(tm_map_resize(&f->work, &from, &to, &box, true, &f->err), &f->err);
    float *got = fetch(f, &to);
    assert_close(got, wanted, TW * TH, 1e-4);
    free(source);
    free(got);
}

static void test_normalize_and_accumulate(void **state) {
    map_case *f = *state;
    enum { W = 130, H = 77, N = W * H };  // more elements than partial results
    float *a = test_noise(5, N, 0, 3), *b = test_noise(6, N, 0, 7), *wanted = calloc(N, sizeof *wanted);
    float max_a = 0, max_b = 0;
    for (int i = 0; i < N; i++) {
        max_a = fmaxf(max_a, a[i]);
        max_b = fmaxf(max_b, b[i]);
    }
    float *wanted_squares = calloc(N, sizeof *wanted_squares);
    for (int i = 0; i < N; i++) {
        float u = a[i] / max_a, v = b[i] / max_b;
        wanted[i] = u + v;
        wanted_squares[i] = u * u + v * v;
    }
    min_max(wanted, N);
    tm_map da = device_map(f, W, H, a), db = device_map(f, W, H, b), sum = device_map(f, W, H, NULL),
           squares = device_map(f, W, H, NULL);
    assert_ok(tm_map_accumulate(&f->work, &da, &sum, &squares, true, &f->err), &f->err);
    assert_ok(tm_map_accumulate(&f->work, &db, &sum, &squares, false, &f->err), &f->err);
    assert_ok(tm_map_normalize(&f->work, &sum, &sum, &f->err), &f->err);
    float *got_squares = calloc(N, sizeof *got_squares);
    assert_ok(tm_readback(f->work.recorder, squares.slice, got_squares, &f->err), &f->err);
    float *got = fetch(f, &sum);
    assert_close(got, wanted, N, 1e-4);
    assert_close(got_squares, wanted_squares, N, 1e-4);
    free(wanted_squares);
    free(got_squares);
    free(a);
    free(b);
    free(wanted);
    free(got);
}

static void test_reduce_where(void **state) {
    map_case *f = *state;
    enum { W = 97, H = 41, N = W * H };
    float *a = test_noise(7, N, 0, 1), *b = test_noise(8, N, 0, 1);
    double sum = 0, count = 0;
    for (int i = 0; i < N; i++) {
        sum += b[i] > 0.7f ? a[i] : 0;
        count += b[i] > 0.7f;
    }
    tm_map da = device_map(f, W, H, a), db = device_map(f, W, H, b);
    assert_ok(tm_map_reduce(&f->work, TM_REDUCE_WHERE, &da, &db, 0.7f, 3, &f->err), &f->err);
    tm_map scalars = {{f->work.scalars.buffer, f->work.scalars.offset, 4 * 8}, 8, 1};
    float *got = fetch(f, &scalars), wanted[2] = {(float)sum, (float)count};
    assert_close(got + 6, wanted, 2, 1e-4);
    free(a);
    free(b);
    free(got);
}

// ---- CAM.

// Of features [C][P], less the means of their channels if `centred`.
static void affinity_reference(const float *features, int C, int P, bool centred, const float *map, float *wanted) {
    double *f = malloc((size_t)C * (size_t)P * sizeof *f);
    for (int c = 0; c < C; c++) {
        double mean = 0;
        for (int i = 0; i < P; i++) mean += features[c * P + i] / (double)P;
        for (int i = 0; i < P; i++) f[c * P + i] = features[c * P + i] - (centred ? mean : 0);
    }
    for (int i = 0; i < P; i++) {
        double sum = 0, norm = 0;
        for (int j = 0; j < P; j++) {
            double dot = 0, ni = 0, nj = 0;
            for (int c = 0; c < C; c++) {
                double u = f[c * P + i], v = f[c * P + j];
                dot += u * v;
                ni += u * u;
                nj += v * v;
            }
            double weight = exp((dot / sqrt(ni * nj) - 1) / 0.1);
            sum += weight * map[j];
            norm += weight;
        }
        wanted[i] = (float)(sum / norm);
    }
    free(f);
    min_max(wanted, P);
}

static void check_affinity(map_case *f, bool centred) {
    enum { W = 13, H = 7, P = W * H, C = 10 };
    float *features = test_noise(11, C * P, -1, 2), *map = test_noise(12, P, 0, 1), wanted[P];
    tm_map data = device_map(f, W, H * C, features), from = device_map(f, W, H, map), to = device_map(f, W, H, NULL);
    tm_view view = {.output_count = 2};
    view.outputs[1] = (tm_tensor){TM_FLOAT32, TM_LINEAR, {4, {1, C, H, W}}, data.slice};
    affinity_reference(features, C, P, centred, map, wanted);
    assert_ok(tm_affinity_record(&f->work, &view, &(tm_affinity){0.1f, 1, 0, centred}, &from, &to, &f->err), &f->err);
    float *got = fetch(f, &to);
    assert_close(got, wanted, P, 1e-4);
    free(features);
    free(map);
    free(got);
}

static void test_affinity(void **state) {
    check_affinity(*state, false);
}

static void test_affinity_centred(void **state) {
    check_affinity(*state, true);
}

static void test_reduce_finite(void **state) {
    map_case *f = *state;
    enum { N = 700 };
    float *a = test_noise(17, N, -3, 2), got[2], peak = 0;
    a[3] = INFINITY;
    a[500] = -INFINITY;
    a[699] = NAN;
    for (int i = 0; i < N; i++) peak = isfinite(a[i]) ? fmaxf(peak, fabsf(a[i])) : peak;
    tm_map map = device_map(f, N, 1, a);
    assert_ok(tm_map_reduce(&f->work, TM_REDUCE_FINITE, &map, NULL, 0, 2, &f->err), &f->err);
    tm_slice pair = {f->work.scalars.buffer, f->work.scalars.offset + 16, 8};
    assert_ok(tm_readback(f->work.recorder, pair, got, &f->err), &f->err);
    free(fetch(f, &map));
    assert_true(got[0] == peak && got[1] == 3);
    free(a);
}

// Class map of features in both layouts, two views of which one is mirrored, merged.
static void check_cam(map_case *f, tm_layout layout, int C) {
    enum { W = 6, H = 5, P = W * H, CLASSES = 4 };
    float *features = test_noise(21, (size_t)(C * P), -1, 1), *weights = test_noise(22, (size_t)(C * CLASSES), -1, 1),
          plain[P], wanted[P];
    float *packed = calloc(12 * P, sizeof *packed);
    tm_cam_rows rows = {{2, 0, 3}, 2};
    for (int i = 0; i < P; i++) {
        double score[CLASSES] = {0};
        for (int k = 0; k < CLASSES; k++)
            for (int c = 0; c < C; c++) score[k] += (double)weights[k * C + c] * features[c * P + i];
        plain[i] = (float)fmax(score[2] - 0.5 * fmax(0, fmax(score[0], score[3])), 0);
        for (int c = 0; c < C; c++) packed[((c / 4) * P + i) * 4 + c % 4] = features[c * P + i];
    }
    for (int i = 0; i < P; i++) wanted[i] = plain[i] + plain[i / W * W + W - 1 - i % W];
    min_max(wanted, P);
    tm_map data = device_map(f, W, H * (uint32_t)(layout == TM_C4 ? 12 : C), layout == TM_C4 ? packed : features);
    tagmask_engine engine = {.channels = C, .class_count = CLASSES};
    assert_ok(tm_buffer_create(test_gpu(), (uint64_t)C * CLASSES * 4, TM_MEMORY_DEVICE, &engine.class_weights, &f->err),
              &f->err);
    assert_ok(tm_upload(f->work.recorder, tm_slice_all(engine.class_weights), weights, &f->err), &f->err);
    tm_view views[2] = {{.output_count = 1}, {.output_count = 1, .mirror = true}};
    views[0].outputs[0] = views[1].outputs[0] = (tm_tensor){TM_FLOAT32, layout, {4, {1, C, H, W}}, data.slice};
    tm_map to = device_map(f, W, H, NULL);
    const tm_cam_part parts[] = {{&views[0], TM_CAM_MEAN, 1}, {&views[1], TM_CAM_MEAN, 1}};
    assert_ok(tm_cam_record(&f->work, &engine, parts, 2, &rows, 0.5f, &to, NULL, &f->err), &f->err);
    float *got = fetch(f, &to);
    assert_close(got, wanted, P, 1e-4);
    tm_buffer_destroy(engine.class_weights);
    free(features);
    free(weights);
    free(packed);
    free(got);
}
static void test_cam_linear(void **state) {
    check_cam(*state, TM_LINEAR, 11);
}
static void test_cam_c4(void **state) {
    check_cam(*state, TM_C4, 11);
}
static void test_cam_whole_blocks(void **state) {
    check_cam(*state, TM_C4, 12);
}

static void test_cam_choose(void **state) {
    (void)state;
    const float scores[] = {1, 9, 3, 9, 8, 2, 7};
    const int32_t classes[] = {2, 4};
    tm_cam_rows rows;
    tm_cam_choose(scores, 7, classes, 2, 3, &rows);
    const uint32_t wanted[] = {4, 1, 3, 6};
    assert_int_equal(rows.rivals, 3);
    assert_memory_equal(rows.rows, wanted, sizeof wanted);
    tm_cam_choose(scores, 7, classes, 2, 0, &rows);
    assert_int_equal(rows.rivals, 0);
}

// ---- Saliency and fusion.

static void check_saliency(map_case *f, tm_layout layout) {
    enum { W = 8, H = 6, N = W * H };
    float *map = test_noise(25, N, 0, 1), *packed = calloc(4 * N, sizeof *packed), wanted[N], largest = 0;
    for (int i = 0; i < N; i++) {
        packed[4 * i] = map[i];
        largest = fmaxf(largest, map[i]);
    }
    for (int i = 0; i < N; i++) wanted[i] = (map[i] + map[i / W * W + W - 1 - i % W]) / largest;
    min_max(wanted, N);
    tm_map data = device_map(f, W, layout == TM_C4 ? 4 * H : H, layout == TM_C4 ? packed : map);
    tm_view straight = {.role = TM_ROLE_SALIENCY, .output_count = 1},
            mirrored = {.role = TM_ROLE_SALIENCY, .output_count = 1, .mirror = true};
    straight.outputs[0] = mirrored.outputs[0] = (tm_tensor){TM_FLOAT32, layout, {4, {1, 1, H, W}}, data.slice};
    tm_view *views[2] = {&straight, &mirrored};
    tm_map to = device_map(f, W, H, NULL);
    assert_ok(tm_saliency_record(&f->work, views, 2, &to, &f->err), &f->err);
    float *got = fetch(f, &to);
    assert_close(got, wanted, N, 1e-4);
    free(map);
    free(packed);
    free(got);
}
static void test_saliency_linear(void **state) {
    check_saliency(*state, TM_LINEAR);
}
static void test_saliency_c4(void **state) {
    check_saliency(*state, TM_C4);
}

static double agreement(const float *map, const float *high, int count) {
    double sum = 0, n = 0;
    for (int i = 0; i < count; i++) {
        if (high[i] <= 0.7f) continue;
        sum += map[i];
        n++;
    }
    return sum / fmax(n, 1);
}

static void test_fusion(void **state) {
    map_case *f = *state;
    enum { W = 33, H = 20, N = W * H, STRIDE = 704 };
    tm_settings settings;
    assert_ok(tm_settings_resolve(NULL, &settings, &f->err), &f->err);
    float *cam = test_noise(31, N, 0, 1), *high = test_noise(32, N, 0, 1), *planes = test_noise(33, 2 * STRIDE, 0, 1);
    float wanted[N], mixed[N];
    for (int i = 0; i < N; i++) planes[i] *= 0.5f;  // sources that agree differently
    double g0 = agreement(planes, high, N) + 0.001, g1 = agreement(planes + STRIDE, high, N) + 0.001;
    double w0 = g0 * g0 * g0, w1 = g1 * g1 * g1;
    for (int i = 0; i < N; i++) mixed[i] = (float)((w0 * planes[i] + w1 * planes[STRIDE + i]) / (w0 + w1));
    double a = fmin(fmax((agreement(mixed, high, N) - settings.gate_low) / settings.gate_span, 0), 1);
    double b = settings.gate_strength * a;
    assert_true(b > 0.1 && b < settings.gate_strength);
    for (int i = 0; i < N; i++) wanted[i] = (float)(pow(cam[i], 1 - b) * pow(mixed[i], b));
    min_max(wanted, N);
    tm_map sources = device_map(f, STRIDE, 2, planes);
    tm_fusion_input input = {device_map(f, W, H, cam), device_map(f, W, H, high), sources.slice, STRIDE, 2};
    tm_map to = device_map(f, W, H, NULL);
    assert_ok(tm_fusion_record(&f->work, &input, &settings, &to, &f->err), &f->err);
    float *got = fetch(f, &to);
    assert_close(got, wanted, N, 1e-4);
    free(cam);
    free(high);
    free(planes);
    free(got);
}

static void test_fusion_without(void **state) {
    map_case *f = *state;
    enum { W = 37, H = 21, N = W * H };
    float *claim = test_noise(34, N, 0, 1), *map = test_noise(35, N, 0, 1), wanted[N];
    for (int i = 0; i < N; i++) wanted[i] = map[i] * (1 - claim[i]);
    tm_map on_device = device_map(f, W, H, claim), to = device_map(f, W, H, map);
    assert_ok(tm_fusion_without(&f->work, &on_device, &to, &f->err), &f->err);
    float *got = fetch(f, &to);
    assert_close(got, wanted, N, 1e-6);
    free(claim);
    free(map);
    free(got);
}

static void fill_box(float *cam, int left, int top, int side, float value) {
    for (int y = top; y < top + side; y++)
        for (int x = left; x < left + side; x++) cam[y * 80 + x] = value;
}

static tm_box crop_box(const float *cam, uint32_t width, uint32_t height, float grow) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_box box;
    assert_ok(tm_crop_box(cam, width, height, 0.4f, grow, &box, &err), &err);
    return box;
}

static void test_crop_box(void **state) {
    (void)state;
    enum { W = 80, H = 60 };
    float *cam = calloc(W * H, sizeof *cam);
    fill_box(cam, 30, 20, 10, 1);
    tm_box box = crop_box(cam, W, H, 2);
    // 10 x 10 pixels twice as large: already a quarter of each side, around the middle of the part.
    assert_true(box.left == 25 && box.right == 45 && box.top == 15 && box.bottom == 35);
    cam[5 * W + 79] = 0.9f;  // a lone far pixel has too little mass to widen the box
    tm_box same = crop_box(cam, W, H, 2);
    assert_memory_equal(&same, &box, sizeof box);
    fill_box(cam, 70, 50, 10, 0.9f);
    tm_box both = crop_box(cam, W, H, 1);
    assert_true(both.left == 30 && both.right == 80 && both.top == 20 && both.bottom == 60);
    memset(cam, 0, W * H * sizeof *cam);
    tm_box all = crop_box(cam, W, H, 2);
    assert_true(all.left == 0 && all.right == W && all.top == 0 && all.bottom == H);
    free(cam);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_DEVICE(test_resample_reduces),
        WITH_DEVICE(test_resample_enlarges_a_box),
        WITH_DEVICE(test_network_input),
        WITH_DEVICE(test_resize_mirrors_and_pastes),
        WITH_DEVICE(test_normalize_and_accumulate),
        WITH_DEVICE(test_reduce_where),
        WITH_DEVICE(test_reduce_finite),
        WITH_DEVICE(test_affinity),
        WITH_DEVICE(test_affinity_centred),
        WITH_DEVICE(test_cam_linear),
        WITH_DEVICE(test_cam_c4),
        WITH_DEVICE(test_cam_whole_blocks),
        cmocka_unit_test(test_cam_choose),
        WITH_DEVICE(test_saliency_linear),
        WITH_DEVICE(test_saliency_c4),
        WITH_DEVICE(test_fusion),
        WITH_DEVICE(test_fusion_without),
        cmocka_unit_test(test_crop_box),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
