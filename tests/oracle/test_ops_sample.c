// GridSample against plain C.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "op_case.h"
#include "ref_ops.h"

static double reflect(double v, double low, double high) {
    while (v < low || v > high) v = v < low ? 2 * low - v : 2 * high - v;
    return v;
}

static double cubic(double t) {
    const double a = -0.75;
    t = fabs(t);
    if (t <= 1) return (a + 2) * t * t * t - (a + 3) * t * t + 1;
    return t < 2 ? a * t * t * t - 5 * a * t * t + 8 * a * t - 4 * a : 0;
}

typedef struct sample_case {
    const char *mode, *padding;
    bool align;
} sample_case;

// Where a normalized coordinate lies on an axis of n elements.
static double locate(const sample_case *s, double g, int64_t n) {
    double low = s->align ? 0 : -0.5, high = (double)n - 1 - low;
    double v = s->align ? (g + 1) / 2 * ((double)n - 1) : ((g + 1) * (double)n - 1) / 2;
    if (!strcmp(s->mode, "nearest")) v = nearbyint(v);
    if (!strcmp(s->padding, "border") && strcmp(s->mode, "cubic")) v = fmin(fmax(v, 0), (double)n - 1);
    if (!strcmp(s->padding, "reflection")) v = reflect(v, low, high);
    return v;
}

static double weight(const sample_case *s, double t) {
    if (!strcmp(s->mode, "nearest")) return fabs(t) < 0.25;
    return strcmp(s->mode, "cubic") ? fmax(0, 1 - fabs(t)) : cubic(t);
}

// Element i of an axis of n, which may lie outside; -1: it is zero.
static int64_t element_of(const sample_case *s, int64_t i, int64_t n) {
    if (i >= 0 && i < n) return i;
    if (!strcmp(s->padding, "zeros")) return -1;
    if (!strcmp(s->padding, "border")) return i < 0 ? 0 : n - 1;
    return (int64_t)reflect((double)i, s->align ? 0 : -0.5, (double)n - (s->align ? 1 : 0.5));
}

static float sample(const sample_case *s, const float *plane, int64_t h, int64_t w, const float *g) {
    double y = locate(s, g[1], h), x = locate(s, g[0], w), sum = 0;
    for (int64_t i = (int64_t)floor(y) - 1; i <= (int64_t)floor(y) + 2; i++) {
        for (int64_t j = (int64_t)floor(x) - 1; j <= (int64_t)floor(x) + 2; j++) {
            int64_t r = element_of(s, i, h), c = element_of(s, j, w);
            if (r >= 0 && c >= 0) sum += weight(s, y - (double)i) * weight(s, x - (double)j) * plane[r * w + c];
        }
    }
    return (float)sum;
}

static void test_images(void **state) {
    (void)state;
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    tm_shape in = shape_of(DIMS(2, 3, 5, 7)), grid = shape_of(DIMS(2, 4, 6, 2)), out = shape_of(DIMS(2, 3, 4, 6));
    for (int k = 0; k < 18; k++) {
        sample_case s = {modes[k % 3], paddings[k / 3 % 3], k / 9};
        float *x = test_noise(1, elements(&in), -1, 1), *g = test_noise(2, elements(&grid), -1.6f, 1.6f);
        float *expected = malloc(sizeof *expected * elements(&out));
        for (size_t i = 0; i < elements(&out); i++)
            expected[i] = sample(&s, x + i / 24 * 35, 5, 7, g + (i / 72 * 24 + i % 24) * 2);
        op_case c = op_begin(20);
        op_input_any(&c, "x", in, x, k % 2);
        op_input(&c, "g", TM_FLOAT32, grid, g);
        onnx_node *node = onnx_add(c.model, "GridSample", "x,g", "y");
        onnx_string(c.model, node, "mode", s.mode);
        onnx_string(c.model, node, "padding_mode", s.padding);
        onnx_int(c.model, node, "align_corners", s.align);
        op_check(&c, &out, expected, 1e-4);
        free(x);
        free(g);
    }
}

// At the grid points of a volume the sample is the element there.
static void test_volume(void **state) {
    (void)state;
    tm_shape in = shape_of(DIMS(1, 2, 3, 4, 5)), grid = shape_of(DIMS(1, 3, 4, 5, 3));
    float *x = test_noise(1, 120, -1, 1), *g = malloc(sizeof *g * 180), *expected = malloc(sizeof *expected * 120);
    for (size_t i = 0; i < 60; i++) {
        g[i * 3] = (float)(i % 5) / 2 - 1;
        g[i * 3 + 1] = (float)(i / 5 % 4) / 1.5f - 1;
        g[i * 3 + 2] = (float)(i / 20) - 1;
    }
    memcpy(expected, x, sizeof *x * 120);
    op_case c = op_begin(20);
    op_input(&c, "x", TM_FLOAT32, in, x);
    op_input(&c, "g", TM_FLOAT32, grid, g);
    onnx_int(c.model, onnx_add(c.model, "GridSample", "x,g", "y"), "align_corners", 1);
    op_check(&c, &in, expected, 1e-5);
    free(x);
    free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_images), cmocka_unit_test(test_volume)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
