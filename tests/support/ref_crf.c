// Brute force dense CRF after Kraehenbuehl and Koltun (2011), double precision.
#include "ref_crf.h"

#include <math.h>
#include <stdlib.h>

static double kernel(int width, const float *image, int i, int j, double sxy, double srgb) {
    double dx = (i % width - j % width) / sxy, dy = (i / width - j / width) / sxy, sum = dx * dx + dy * dy;
    for (int c = 0; srgb > 0 && c < 3; c++) {
        double d = (image[i * 4 + c] - image[j * 4 + c]) / srgb;
        sum += d * d;
    }
    return exp(-0.5 * sum);
}

// weights[i][j] += compat * k(i, j) / sqrt(norm i * norm j)
static void add_kernel(int width, int count, const float *image, double sxy, double srgb, double compat,
                       double *weights) {
    double *k = malloc(sizeof *k * (size_t)count * (size_t)count), *scale = malloc(sizeof *scale * (size_t)count);
    for (int i = 0; i < count; i++) {
        double sum = 0;
        for (int j = 0; j < count; j++) sum += k[(size_t)i * count + j] = kernel(width, image, i, j, sxy, srgb);
        scale[i] = 1 / sqrt(sum + 1e-20);
    }
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < count; j++) {
            weights[(size_t)i * count + j] += compat * scale[i] * scale[j] * k[(size_t)i * count + j];
        }
    }
    free(k);
    free(scale);
}

static void softmax(int count, int labels, const double *energy, double *q) {
    for (int i = 0; i < count; i++) {
        double lowest = energy[i], sum = 0;
        for (int l = 1; l < labels; l++) lowest = fmin(lowest, energy[l * count + i]);
        for (int l = 0; l < labels; l++) sum += q[l * count + i] = exp(lowest - energy[l * count + i]);
        for (int l = 0; l < labels; l++) q[l * count + i] /= sum;
    }
}

void ref_crf_exact(int width, int height, int labels, const float *image, const float *unary,
                   const tm_crf_params *params, float *q) {
    int count = width * height;
    size_t total = (size_t)count * (size_t)labels;
    double *weights = calloc((size_t)count * (size_t)count, sizeof *weights);
    double *energy = calloc(total, sizeof *energy), *now = calloc(total, sizeof *now);
    add_kernel(width, count, image, params->gaussian_sxy, 0, params->gaussian_compat, weights);
    add_kernel(width, count, image, params->bilateral_sxy, params->bilateral_srgb, params->bilateral_compat, weights);
    for (size_t k = 0; k < total; k++) energy[k] = unary[k];
    softmax(count, labels, energy, now);
    for (int t = 0; t < params->iterations; t++) {
        for (int l = 0; l < labels; l++) {
            for (int i = 0; i < count; i++) {
                const double *row = weights + (size_t)i * count, *p = now + (size_t)l * count;
                double message = 0;
                for (int j = 0; j < count; j++) message += row[j] * p[j];
                energy[l * count + i] = unary[l * count + i] - message;
            }
        }
        softmax(count, labels, energy, now);
    }
    for (size_t k = 0; k < total; k++) q[k] = (float)now[k];
    free(weights);
    free(energy);
    free(now);
}
