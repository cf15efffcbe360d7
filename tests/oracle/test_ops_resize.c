// Resize and Upsample against plain C: modes, coordinate transformations, roundings, layouts.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "op_case.h"
#include "ref_ops.h"

static void check_resize(ref_resize_spec spec, tm_shape in, const int64_t *sizes, const float *scales, bool c4) {
    tm_shape out = in;
    for (int32_t d = 0; d < in.rank; d++) {
        out.dim[d] = sizes ? sizes[d] : (int64_t)floor((double)in.dim[d] * scales[d]);
        spec.scale[d] = sizes ? (double)sizes[d] / (double)in.dim[d] : scales[d];
    }
    float *x = test_noise(5, elements(&in), -1, 1);
    op_case c = op_begin(13);
    op_input_any(&c, "x", in, x, c4);
    if (sizes)
        op_ints(&c, "sizes", (size_t)in.rank, sizes);
    else
        onnx_constant(c.model, "scales", TM_FLOAT32, DIMS(in.rank), scales);
    onnx_node *node = onnx_add(c.model, "Resize", sizes ? "x,,,sizes" : "x,,scales", "y");
    onnx_string(c.model, node, "mode", spec.mode);
    onnx_string(c.model, node, "coordinate_transformation_mode", spec.coordinates);
    if (spec.nearest) onnx_string(c.model, node, "nearest_mode", spec.nearest);
    if (spec.exclude_outside) onnx_int(c.model, node, "exclude_outside", 1);
    op_check(&c, &out, ref_resize(x, in, out, &spec), 1e-4);
    free(x);
}

static const int64_t larger[4] = {2, 5, 9, 12}, smaller[4] = {2, 5, 3, 2}, one[4] = {2, 5, 1, 1};
static const char *const coordinates[] = {"half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"};

static void test_linear(void **state) {
    (void)state;
    tm_shape in = shape_of(DIMS(2, 5, 4, 6));
    const int64_t *const sizes[] = {larger, smaller, one};
    for (size_t k = 0; k < TM_ARRAY_LEN(coordinates); k++) {
        for (size_t s = 0; s < 6; s++) {
            ref_resize_spec spec = {.mode = "linear", .coordinates = coordinates[k]};
            check_resize(spec, in, sizes[s / 2], NULL, s % 2);
        }
    }
    check_resize((ref_resize_spec){.mode = "linear", .coordinates = "half_pixel"}, in, NULL,
                 (float[4]){1, 1, 2.5f, 0.6f}, true);
    // A single channel takes another way through the layouts.
    check_resize((ref_resize_spec){.mode = "linear", .coordinates = "half_pixel"}, shape_of(DIMS(1, 1, 3, 4)),
                 (int64_t[4]){1, 1, 7, 8}, NULL, true);
}

static void test_nearest(void **state) {
    (void)state;
    tm_shape in = shape_of(DIMS(2, 5, 4, 6));
    static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
    const int64_t *const sizes[] = {larger, smaller};
    for (size_t k = 0; k < TM_ARRAY_LEN(coordinates); k++) {
        for (size_t r = 0; r < TM_ARRAY_LEN(roundings); r++) {
            for (size_t s = 0; s < 4; s++) {
                ref_resize_spec spec = {"nearest", coordinates[k], roundings[r]};
                check_resize(spec, in, sizes[s / 2], NULL, s % 2);
            }
        }
    }
    ref_resize_spec spec = {"nearest", "asymmetric", "floor"};
    check_resize(spec, in, NULL, (float[4]){1, 1, 3, 2}, true);
    check_resize(spec, in, NULL, (float[4]){1, 1, 0.5f, 1.5f}, true);
    check_resize(spec, in, NULL, (float[4]){1, 1, 1.2345678f, 0.7654321f}, true);  // no small fraction: by a table
}

static void test_cubic(void **state) {
    (void)state;
    tm_shape in = shape_of(DIMS(2, 5, 4, 6));
    for (size_t k = 0; k < TM_ARRAY_LEN(coordinates); k++) {
        for (int exclude = 0; exclude < 2; exclude++) {
            ref_resize_spec spec = {
                .mode = "cubic", .coordinates = coordinates[k], .cubic_a = -0.75, .exclude_outside = exclude};
            check_resize(spec, in, larger, NULL, exclude);
            check_resize(spec, in, smaller, NULL, exclude);
        }
    }
}

static void test_all_axes(void **state) {
    (void)state;
    ref_resize_spec spec = {.mode = "linear", .coordinates = "half_pixel"};
    check_resize(spec, shape_of(DIMS(2, 3, 4)), (int64_t[3]){3, 5, 2}, NULL, false);
    check_resize(spec, shape_of(DIMS(7)), (int64_t[1]){11}, NULL, false);
    check_resize(spec, shape_of(DIMS(1, 2, 3, 4, 5)), (int64_t[5]){1, 2, 5, 3, 9}, NULL, false);
}

static void test_crop(void **state) {
    (void)state;
    tm_shape in = shape_of(DIMS(1, 2, 6, 7)), out = shape_of(DIMS(1, 2, 4, 5));
    static const float roi[8] = {0, 0, 0.25f, -0.2f, 1, 1, 0.75f, 1.1f};
    ref_resize_spec spec = {.mode = "linear", .coordinates = "tf_crop_and_resize", .outside = 7};
    for (int d = 0; d < 4; d++) {
        spec.scale[d] = (double)out.dim[d] / (double)in.dim[d];
        spec.roi[d][0] = roi[d];
        spec.roi[d][1] = roi[d + 4];
    }
    float *x = test_noise(5, elements(&in), -1, 1);
    op_case c = op_begin(13);
    op_input(&c, "x", TM_FLOAT32, in, x);
    onnx_constant(c.model, "roi", TM_FLOAT32, DIMS(8), roi);
    op_ints(&c, "sizes", 4, out.dim);
    onnx_node *node = onnx_add(c.model, "Resize", "x,roi,,sizes", "y");
    onnx_string(c.model, node, "mode", "linear");
    onnx_string(c.model, node, "coordinate_transformation_mode", spec.coordinates);
    onnx_float(c.model, node, "extrapolation_value", 7);
    op_check(&c, &out, ref_resize(x, in, out, &spec), 1e-4);
    free(x);
}

// Mean of 2x2 blocks, which an antialiased triangle at half size is not, but close to on a constant picture: every
// weight must sum to one.
static void test_antialias_keeps_constants(void **state) {
    (void)state;
    tm_shape in = shape_of(DIMS(1, 1, 8, 9)), out = shape_of(DIMS(1, 1, 3, 4));
    for (int cubic = 0; cubic < 2; cubic++) {
        float *x = test_noise(5, 72, 2.5f, 2.5f), *expected = test_noise(5, 12, 2.5f, 2.5f);
        op_case c = op_begin(18);
        op_input(&c, "x", TM_FLOAT32, in, x);
        op_ints(&c, "sizes", 4, out.dim);
        onnx_node *node = onnx_add(c.model, "Resize", "x,,,sizes", "y");
        onnx_string(c.model, node, "mode", cubic ? "cubic" : "linear");
        onnx_int(c.model, node, "antialias", 1);
        op_check(&c, &out, expected, 1e-5);
        free(x);
    }
}

static void test_antialias_half(void **state) {
    (void)state;
    // A triangle of support 2 around the centre between elements 1 and 2: weights 1/8, 3/8, 3/8, 1/8.
    static const float x[4] = {1, 2, 4, 8};
    tm_shape in = shape_of(DIMS(1, 1, 1, 4)), out = shape_of(DIMS(1, 1, 1, 2));
    float *expected = calloc(2, sizeof *expected);
    // Output 0 is centred at 0.5: elements -1 (the edge) .. 2; output 1 at 2.5: elements 1 .. 4 (the edge).
    expected[0] = (1 + 3 * 1 + 3 * 2 + 4) / 8.0f;
    expected[1] = (2 + 3 * 4 + 3 * 8 + 8) / 8.0f;
    op_case c = op_begin(18);
    op_input(&c, "x", TM_FLOAT32, in, x);
    op_ints(&c, "sizes", 4, out.dim);
    onnx_node *node = onnx_add(c.model, "Resize", "x,,,sizes", "y");
    onnx_string(c.model, node, "mode", "linear");
    onnx_int(c.model, node, "antialias", 1);
    op_check(&c, &out, expected, 1e-5);
}

// The filter then reaches over twice the axis: what lies beyond it counts as the edge.
static void test_antialias_to_one(void **state) {
    (void)state;
    enum { N = 7 };
    static const float x[N] = {4, 1, 3, 0, 2, 8, 16};
    tm_shape in = shape_of(DIMS(1, 1, 1, N)), out = shape_of(DIMS(1, 1, 1, 1));
    float *expected = calloc(1, sizeof *expected);
    double sum = 0, weights = 0;
    for (int i = 3 - 2 * N; i <= 3 + 2 * N; i++) {  // centred at element 3; Keys' kernel, a = -3/4
        double t = fabs(i - 3.0) / N;
        double w = t <= 1 ? (1.25 * t - 2.25) * t * t + 1 : t < 2 ? ((-0.75 * t + 3.75) * t - 6) * t + 3 : 0;
        sum += w * x[TM_CLAMP(i, 0, N - 1)];
        weights += w;
    }
    expected[0] = (float)(sum / weights);
    op_case c = op_begin(18);
    op_input(&c, "x", TM_FLOAT32, in, x);
    op_ints(&c, "sizes", 4, out.dim);
    onnx_node *node = onnx_add(c.model, "Resize", "x,,,sizes", "y");
    onnx_string(c.model, node, "mode", "cubic");
    onnx_int(c.model, node, "antialias", 1);
    op_check(&c, &out, expected, 1e-5);
}

static void test_upsample(void **state) {
    (void)state;
    tm_shape in = shape_of(DIMS(1, 5, 3, 4)), out = shape_of(DIMS(1, 5, 6, 12));
    for (int linear = 0; linear < 2; linear++) {
        ref_resize_spec spec = {linear ? "linear" : "nearest", "asymmetric", "floor", {1, 1, 2, 3}};
        float *x = test_noise(5, elements(&in), -1, 1);
        op_case c = op_begin(9);
        op_input_any(&c, "x", in, x, linear);
        onnx_constant(c.model, "scales", TM_FLOAT32, DIMS(4), (float[4]){1, 1, 2, 3});
        onnx_string(c.model, onnx_add(c.model, "Upsample", "x,scales", "y"), "mode", spec.mode);
        op_check(&c, &out, ref_resize(x, in, out, &spec), 1e-5);
        free(x);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),         cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_cubic),          cmocka_unit_test(test_all_axes),
        cmocka_unit_test(test_crop),           cmocka_unit_test(test_antialias_keeps_constants),
        cmocka_unit_test(test_antialias_half), cmocka_unit_test(test_antialias_to_one),
        cmocka_unit_test(test_upsample),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
