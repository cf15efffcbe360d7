#include "ref_half.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

double ref_half(double value) {
    int exponent;
    if (value == 0 || !isfinite(value)) return value;
    frexp(value, &exponent);
    double step = ldexp(1, exponent - 11 < -24 ? -24 : exponent - 11), rounded = nearbyint(value / step) * step;
    return fabs(rounded) > 65504 ? copysign(INFINITY, value) : rounded;
}

float *ref_halves(const float *values, size_t count) {
    float *rounded = malloc(count * sizeof *rounded);
    if (!rounded) abort();
    for (size_t i = 0; i < count; i++) rounded[i] = (float)ref_half(values[i]);
    return rounded;
}

// ---- Winograd (Lavin and Gray, 2015): Y = A^T [(G g G^T) * (B^T d B)] A, matrices row by row.
typedef struct winograd {
    int tile, side;  // of the output and of the transformed patch
    const double *A, *B, *G;
} winograd;

static const double A2[] = {1, 1, 1, 0, 0, 1, -1, -1};
static const double B2[] = {1, 0, -1, 0, 0, 1, 1, 0, 0, -1, 1, 0, 0, 1, 0, -1};
static const double G2[] = {1, 0, 0, 0.5, 0.5, 0.5, 0.5, -0.5, 0.5, 0, 0, 1};
static const double A4[] = {1, 1, 1, 1, 1, 0, 0, 1, -1, 2, -2, 0, 0, 1, 1, 4, 4, 0, 0, 1, -1, 8, -8, 1};
static const double B4[] = {4, 0,  -5, 0, 1, 0, 0, -4, -4, 1,  1, 0, 0, 4, -4, -1, 1, 0,
                            0, -2, -1, 2, 1, 0, 0, 2,  -1, -2, 1, 0, 0, 4, 0,  -5, 0, 1};
static const double G4[] = {1 / 4.0,  0,        0,       -1 / 6.0, -1 / 6.0,  -1 / 6.0, -1 / 6.0, 1 / 6.0, -1 / 6.0,
                            1 / 24.0, 1 / 12.0, 1 / 6.0, 1 / 24.0, -1 / 12.0, 1 / 6.0,  0,        0,       1};

// M x M^T: M is rows x size, x size x size.
static void transform(const double *M, int rows, int size, const double *x, double *out) {
    double half[36];
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < size; j++) {
            half[i * size + j] = 0;
            for (int k = 0; k < size; k++) half[i * size + j] += M[i * size + k] * x[k * size + j];
        }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < rows; j++) {
            out[i * rows + j] = 0;
            for (int k = 0; k < size; k++) out[i * rows + j] += half[i * size + k] * M[j * size + k];
        }
}

static void transform_patch(const ref_conv *c, const winograd *w, const float *plane, int top, int left, double *out) {
    double patch[36];
    for (int i = 0; i < w->side * w->side; i++) {
        int y = top + i / w->side, x = left + i % w->side;
        bool inside = y >= 0 && x >= 0 && y < c->in_height && x < c->in_width;
        patch[i] = inside ? plane[y * c->in_width + x] : 0;
    }
    transform(w->B, w->side, w->side, patch, out);
}

// All output channels of one tile: v holds the transformed patches of the input channels, u the rounded weights.
static void make_tile(const ref_conv *c, const winograd *w, const double *u, const double *v, const float *bias,
                      float *image, int top, int left) {
    int height = ref_conv_out_height(c), width = ref_conv_out_width(c), area = w->side * w->side;
    for (int m = 0; m < c->out_channels; m++) {
        double sum[36] = {0}, pixels[16];
        for (int i = 0; i < c->in_channels; i++)
            for (int k = 0; k < area; k++) sum[k] += u[(m * c->in_channels + i) * area + k] * v[i * area + k];
        transform(w->A, w->tile, w->side, sum, pixels);
        for (int k = 0; k < w->tile * w->tile; k++) {
            int y = top + k / w->tile, x = left + k % w->tile;
            if (y < height && x < width)
                image[(m * height + y) * width + x] = (float)(pixels[k] + (bias ? bias[m] : 0));
        }
    }
}

float *ref_half_winograd(const ref_conv *c, int tile, const float *x, const float *weights, const float *bias) {
    const winograd w = tile == 4 ? (winograd){4, 6, A4, B4, G4} : (winograd){2, 4, A2, B2, G2};
    int height = ref_conv_out_height(c), width = ref_conv_out_width(c), area = w.side * w.side;
    int pairs = c->in_channels * c->out_channels, plane = c->in_height * c->in_width;
    float *y = malloc(sizeof *y * (size_t)(c->batch * c->out_channels * height * width));
    double *u = malloc(sizeof *u * (size_t)(pairs * area)), *v = malloc(sizeof *v * (size_t)(c->in_channels * area));
    if (!y || !u || !v) abort();
    for (int p = 0; p < pairs; p++) {
        double kernel[9];
        for (int i = 0; i < 9; i++) kernel[i] = weights[p * 9 + i];
        transform(w.G, w.side, 3, kernel, u + p * area);
        for (int i = 0; i < area; i++) u[p * area + i] = ref_half((float)u[p * area + i]);
    }
    for (int n = 0; n < c->batch; n++)
        for (int top = 0; top < height; top += tile)
            for (int left = 0; left < width; left += tile) {
                for (int i = 0; i < c->in_channels; i++)
                    transform_patch(c, &w, x + (n * c->in_channels + i) * plane, top - c->pad_top, left - c->pad_left,
                                    v + i * area);
                make_tile(c, &w, u, v, bias, y + n * c->out_channels * height * width, top, left);
            }
    free(u);
    free(v);
    return y;
}
