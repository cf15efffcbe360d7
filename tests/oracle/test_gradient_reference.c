// Gradients against plain C with doubles, element by element, at sizes that reach the fast kernels and with the ties
// that finite differences cannot see.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gradient_case.h"
#include "ref_conv.h"
#include "ref_ops.h"

// ---- Convolutions: data by scattering, weights by the sum over all outputs.
static float *conv_data(float *const *data, const float *g, const void *user) {
    const ref_conv *c = user;
    ref_conv turned = *c;
    turned.in_channels = c->out_channels;
    turned.out_channels = c->in_channels;
    turned.in_height = ref_conv_out_height(c);
    turned.in_width = ref_conv_out_width(c);
    return ref_conv_transpose(&turned, c->in_height, c->in_width, g, data[1], NULL);
}

static double weight_sum(const ref_conv *c, const float *x, const float *g, int o, int i, int ky, int kx) {
    int height = ref_conv_out_height(c), width = ref_conv_out_width(c), in = c->in_channels / c->groups;
    int channel = o / (c->out_channels / c->groups) * in + i;
    double sum = 0;
    for (int n = 0; n < c->batch; n++)
        for (int p = 0; p < height * width; p++) {
            int iy = p / width * c->stride_y - c->pad_top + ky * c->dilation_y;
            int ix = p % width * c->stride_x - c->pad_left + kx * c->dilation_x;
            if (iy < 0 || iy >= c->in_height || ix < 0 || ix >= c->in_width) continue;
            sum += (double)g[(n * c->out_channels + o) * height * width + p] *
                   (double)x[((n * c->in_channels + channel) * c->in_height + iy) * c->in_width + ix];
        }
    return sum;
}

static float *conv_weights(float *const *data, const float *g, const void *user) {
    const ref_conv *c = user;
    int in = c->in_channels / c->groups, taps = c->kernel_height * c->kernel_width;
    float *dw = malloc(sizeof *dw * (size_t)(c->out_channels * in * taps));
    assert_non_null(dw);
    for (int w = 0; w < c->out_channels * in * taps; w++)
        dw[w] = (float)weight_sum(c, data[0], g, w / taps / in, w / taps % in, w % taps / c->kernel_width,
                                  w % c->kernel_width);
    return dw;
}

static void check_conv(ref_conv c) {
    char chain[200];
    snprintf(chain, sizeof chain, "Conv x,w y strides=%d,%d dilations=%d,%d pads=%d,%d,%d,%d group=%d", c.stride_y,
             c.stride_x, c.dilation_y, c.dilation_x, c.pad_top, c.pad_left, c.pad_bottom, c.pad_right, c.groups);
    gradient_case wanted = {chain,
                            {{"x", 4, {c.batch, c.in_channels, c.in_height, c.in_width}},
                             {"w", 4, {c.out_channels, c.in_channels / c.groups, c.kernel_height, c.kernel_width}}}};
    tm_shape y = shape_of(DIMS(c.batch, c.out_channels, ref_conv_out_height(&c), ref_conv_out_width(&c)));
    gradient_compare(&wanted, y, 0, conv_data, &c);
    gradient_compare(&wanted, y, 1, conv_weights, &c);
}

static void convolutions(void **state) {
    (void)state;
    // batch, channels, height, width; channels, kernel, groups; strides, dilations, pads
    check_conv((ref_conv){2, 16, 14, 13, 24, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0});
    check_conv((ref_conv){1, 16, 20, 17, 24, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1});
    check_conv((ref_conv){1, 16, 20, 17, 12, 3, 3, 1, 1, 1, 1, 1, 0, 2, 2, 0});
    check_conv((ref_conv){1, 8, 20, 18, 12, 3, 3, 1, 2, 2, 1, 1, 0, 0, 1, 1});
    check_conv((ref_conv){1, 3, 20, 18, 16, 7, 7, 1, 2, 2, 1, 1, 3, 3, 3, 3});
    check_conv((ref_conv){1, 9, 14, 14, 10, 1, 1, 1, 2, 2, 1, 1, 0, 0, 0, 0});
    check_conv((ref_conv){2, 12, 15, 14, 12, 3, 3, 12, 1, 1, 1, 1, 1, 1, 1, 1});
    check_conv((ref_conv){2, 12, 15, 14, 12, 5, 5, 12, 2, 2, 1, 1, 1, 1, 2, 2});
    check_conv((ref_conv){1, 10, 15, 14, 10, 3, 5, 10, 2, 3, 3, 2, 3, 2, 1, 4});
    check_conv((ref_conv){1, 12, 11, 14, 18, 3, 3, 3, 1, 1, 2, 2, 2, 2, 2, 2});
    check_conv((ref_conv){1, 12, 11, 14, 18, 3, 3, 3, 3, 2, 1, 1, 1, 0, 2, 1});
    check_conv((ref_conv){1, 4, 5, 6, 8, 3, 3, 1, 1, 1, 1, 1, 4, 5, 3, 3});
    check_conv((ref_conv){1, 3, 28, 42, 384, 14, 14, 1, 14, 14, 1, 1, 0, 0, 0, 0});  // patches
    check_conv((ref_conv){1, 4, 90, 260, 2, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1});
}

// ---- MaxPool: all of it to the first maximum of each window.
static float *max_pool(float *const *data, const float *g, const void *user) {
    const int64_t *s = user;  // planes, height, width, kernel, stride, pad, out height, out width
    float *dx = calloc((size_t)(s[0] * s[1] * s[2]), sizeof *dx);
    assert_non_null(dx);
    for (int64_t at = 0; at < s[0] * s[6] * s[7]; at++) {
        int64_t plane = at / s[6] / s[7], top = at / s[7] % s[6] * s[4] - s[5], left = at % s[7] * s[4] - s[5],
                best = -1;
        for (int64_t k = 0; k < s[3] * s[3]; k++) {
            int64_t r = top + k / s[3], c = left + k % s[3], i = (plane * s[1] + r) * s[2] + c;
            if (r < 0 || c < 0 || r >= s[1] || c >= s[2]) continue;
            if (best < 0 || data[0][i] > data[0][best]) best = i;
        }
        dx[best] += g[at];
    }
    return dx;
}

static void max_pools(void **state) {
    (void)state;
    static const gradient_case cases[] = {
        {"MaxPool x y kernel_shape=3,3 strides=2,2 pads=1,1,1,1", {{"x", 4, {2, 6, 9, 11}}}},
        {"MaxPool x y kernel_shape=2,2 strides=2,2", {{"x", 4, {2, 6, 9, 11}}}},
        // Rounded and without gradient there: half of each window is equal.
        {"MaxPool x y kernel_shape=3,3 pads=1,1,1,1", {{"x", 4, {1, 5, 7, 8}, 3, 3}}},
    };
    static const int64_t sizes[][8] = {
        {12, 9, 11, 3, 2, 1, 5, 6}, {12, 9, 11, 2, 2, 0, 4, 5}, {5, 7, 8, 3, 1, 1, 7, 8}};
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++)
        gradient_compare(
            &cases[i],
            shape_of(DIMS(cases[i].tensors[0].dims[0], cases[i].tensors[0].dims[1], sizes[i][6], sizes[i][7])), 0,
            max_pool, sizes[i]);
}

// ---- Softmax and LayerNormalization over the last axis of `rows` rows.
static float *softmax(float *const *data, const float *g, const void *user) {
    const int64_t *s = user;  // rows, length, logarithm
    float *y = ref_softmax(data[0], shape_of(DIMS(s[0], s[1])), 1, s[2] != 0),
          *dx = malloc(sizeof *dx * (size_t)(s[0] * s[1]));
    assert_non_null(dx);
    for (int64_t r = 0; r < s[0]; r++) {
        const float *row = y + r * s[1], *gr = g + r * s[1];
        double sum = 0;
        for (int64_t i = 0; i < s[1]; i++) sum += s[2] ? (double)gr[i] : (double)gr[i] * (double)row[i];
        for (int64_t i = 0; i < s[1]; i++)
            dx[r * s[1] + i] = (float)(s[2] ? gr[i] - exp((double)row[i]) * sum : row[i] * (gr[i] - sum));
    }
    free(y);
    return dx;
}

static void softmaxes(void **state) {
    (void)state;
    static const gradient_case cases[] = {{"Softmax x y", {{"x", 2, {5, 700}, -3, 3}}},
                                          {"LogSoftmax x y", {{"x", 2, {5, 700}, -3, 3}}}};
    for (int64_t i = 0; i < 2; i++)
        gradient_compare(&cases[i], shape_of(DIMS(5, 700)), 0, softmax, (const int64_t[]){5, 700, i});
}

static float *layer_norm(float *const *data, const float *g, const void *user) {
    const int64_t *s = user;  // rows, length
    float *dx = malloc(sizeof *dx * (size_t)(s[0] * s[1]));
    assert_non_null(dx);
    for (int64_t r = 0; r < s[0]; r++) {
        const float *x = data[0] + r * s[1], *gr = g + r * s[1], *scale = data[1];
        double mean = 0, square = 0, shift = 0, slope = 0, n = (double)s[1];
        for (int64_t i = 0; i < s[1]; i++) mean += (double)x[i] / n;
        for (int64_t i = 0; i < s[1]; i++) square += (x[i] - mean) * (x[i] - mean) / n;
        double inverse = 1 / sqrt(square + 1e-5);
        for (int64_t i = 0; i < s[1]; i++) {
            shift += (double)gr[i] * (double)scale[i] / n;
            slope += (double)gr[i] * (double)scale[i] * (x[i] - mean) * inverse / n;
        }
        for (int64_t i = 0; i < s[1]; i++)
            dx[r * s[1] + i] =
                (float)(inverse * ((double)gr[i] * (double)scale[i] - shift - (x[i] - mean) * inverse * slope));
    }
    return dx;
}

static void layer_norms(void **state) {
    (void)state;
    static const gradient_case c = {"LayerNormalization x,s,b y",
                                    {{"x", 3, {2, 7, 600}, 1, 3}, {"s", 1, {600}}, {"b", 1, {600}}}};
    gradient_compare(&c, shape_of(DIMS(2, 7, 600)), 0, layer_norm, (const int64_t[]){14, 600});
}

// ---- Resize is linear: the gradient of an element is what it alone becomes, times the gradient of that.
typedef struct resized {
    tm_shape in, out;
    ref_resize_spec spec;
} resized;

static float *resize(float *const *data, const float *g, const void *user) {
    const resized *r = user;
    size_t n = elements(&r->in), m = elements(&r->out);
    float *one = calloc(n, sizeof *one), *dx = calloc(n, sizeof *dx);
    assert_true(one && dx);
    (void)data;
    for (size_t i = 0; i < n; i++) {
        one[i] = 1;
        float *y = ref_resize(one, r->in, r->out, &r->spec);
        double sum = 0;
        for (size_t k = 0; k < m; k++) sum += (double)y[k] * (double)g[k];
        dx[i] = (float)sum;
        one[i] = 0;
        free(y);
    }
    free(one);
    return dx;
}

static void resizes(void **state) {
    (void)state;
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const coordinates[] = {"half_pixel", "align_corners", "asymmetric"};
    for (size_t m = 0; m < 3; m++)
        for (size_t k = 0; k < 3; k++) {
            char chain[200];
            snprintf(chain, sizeof chain, "Resize x,,,[1:3:9:7] y mode='%s' coordinate_transformation_mode='%s'",
                     modes[m], coordinates[k]);
            gradient_case c = {chain, {{"x", 4, {1, 3, 5, 6}}}};
            resized r = {shape_of(DIMS(1, 3, 5, 6)),
                         shape_of(DIMS(1, 3, 9, 7)),
                         {modes[m], coordinates[k], "round_prefer_floor", {1, 1, 9.0 / 5, 7.0 / 6}, -0.75}};
            gradient_compare(&c, r.out, 0, resize, &r);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions), cmocka_unit_test(max_pools), cmocka_unit_test(softmaxes),
        cmocka_unit_test(layer_norms),  cmocka_unit_test(resizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
