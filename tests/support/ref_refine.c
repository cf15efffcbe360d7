#include "ref_refine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

static double level(uint32_t word, int channel) {
    return word >> (8 * channel) & 255;
}

typedef struct box {
    int left, top, right, bottom;  // inclusive
} box;

static box window(int x, int y, int width, int height, int radius) {
    return (box){TM_MAX(x - radius, 0), TM_MAX(y - radius, 0), TM_MIN(x + radius, width - 1),
                 TM_MIN(y + radius, height - 1)};
}

static double determinant(const double m[3][3]) {
    double sum = 0;
    for (int c = 0; c < 3; c++) {
        int d = (c + 1) % 3, e = (c + 2) % 3;
        sum += m[0][c] * (m[1][d] * m[2][e] - m[1][e] * m[2][d]);
    }
    return sum;
}

// a, b of a window's linear model, by Cramer's rule from deviations of the window's means.
static void fit(const uint32_t *photo, const float *map, int width, box w, double eps, double model[4]) {
    double mean[4] = {0}, matrix[3][3] = {{0}}, right[3] = {0};
    double count = (w.right - w.left + 1) * (w.bottom - w.top + 1);
    for (int pass = 0; pass < 2; pass++) {
        for (int y = w.top; y <= w.bottom; y++) {
            for (int x = w.left; x <= w.right; x++) {
                double d[4];
                for (int c = 0; c < 3; c++) d[c] = level(photo[y * width + x], c) / 255;
                d[3] = (double)map[y * width + x];
                for (int c = 0; c < 4; c++) {
                    if (!pass) mean[c] += d[c] / count;
                    d[c] -= mean[c];
                }
                for (int i = 0; pass && i < 3; i++) {
                    right[i] += d[i] * d[3] / count;
                    for (int j = 0; j < 3; j++) matrix[i][j] += d[i] * d[j] / count;
                }
            }
        }
    }
    for (int i = 0; i < 3; i++) matrix[i][i] += eps;
    model[3] = mean[3];
    for (int c = 0; c < 3; c++) {
        double replaced[3][3];
        memcpy(replaced, matrix, sizeof matrix);
        for (int i = 0; i < 3; i++) replaced[i][c] = right[i];
        model[c] = determinant(replaced) / determinant(matrix);
        model[3] -= model[c] * mean[c];
    }
}

void ref_guided(const uint32_t *photo, float *map, int width, int height, int radius, double eps) {
    double(*models)[4] = calloc((size_t)(width * height), sizeof *models);
    for (int i = 0; i < width * height; i++)
        fit(photo, map, width, window(i % width, i / width, width, height, radius), eps, models[i]);
    for (int i = 0; i < width * height; i++) {
        box w = window(i % width, i / width, width, height, radius);
        double sum[4] = {0}, count = (w.right - w.left + 1) * (w.bottom - w.top + 1);
        for (int y = w.top; y <= w.bottom; y++)
            for (int x = w.left; x <= w.right; x++)
                for (int c = 0; c < 4; c++) sum[c] += models[y * width + x][c] / count;
        for (int c = 0; c < 3; c++) sum[3] += sum[c] * level(photo[i], c) / 255;
        map[i] = (float)fmin(fmax(sum[3], 0), 1);
    }
    free(models);
}

void ref_joint(const uint32_t *photo, float *map, int width, int height, int radius, double srgb) {
    float *made = calloc((size_t)(width * height), sizeof *made);
    for (int i = 0; i < width * height; i++) {
        box w = window(i % width, i / width, width, height, radius);
        double sum = 0, norm = 0, sxy = radius / 2.0;
        for (int y = w.top; y <= w.bottom; y++) {
            for (int x = w.left; x <= w.right; x++) {
                double near = pow(x - i % width, 2) + pow(y - i / width, 2), alike = 0;
                for (int c = 0; c < 3; c++) alike += pow(level(photo[y * width + x], c) - level(photo[i], c), 2);
                double weight = exp(-near / (2 * sxy * sxy) - alike / (2 * srgb * srgb));
                sum += weight * (double)map[y * width + x];
                norm += weight;
            }
        }
        made[i] = (float)(sum / norm);
    }
    memcpy(map, made, (size_t)(width * height) * sizeof *map);
    free(made);
}

// The weights of a pixel's 48 neighbours: softmax of -|difference| / (0.1 deviation), mean over the channels.
static void pamr_weights(const uint32_t *photo, const int *at, uint32_t own, double *weights) {
    double least = INFINITY, norm = 0;
    for (int k = 0; k < 48; k++) weights[k] = 0;
    for (int c = 0; c < 3; c++) {
        double mean = level(own, c) / 49, variance = 0;
        for (int k = 0; k < 48; k++) mean += level(photo[at[k]], c) / 49;
        variance += pow(level(own, c) - mean, 2) / 49;
        for (int k = 0; k < 48; k++) variance += pow(level(photo[at[k]], c) - mean, 2) / 49;
        for (int k = 0; k < 48; k++)
            weights[k] += fabs(level(photo[at[k]], c) - level(own, c)) / (0.1 * sqrt(variance) + 1e-5) / 3;
    }
    for (int k = 0; k < 48; k++) least = fmin(least, weights[k]);
    for (int k = 0; k < 48; k++) norm += weights[k] = exp(least - weights[k]);
    for (int k = 0; k < 48; k++) weights[k] /= norm;
}

void ref_pamr(const uint32_t *photo, float *map, int width, int height, int iterations) {
    static const int distances[] = {1, 2, 4, 8, 12, 24};
    double *now = calloc((size_t)(width * height), sizeof *now), *next = calloc((size_t)(width * height), sizeof *next);
    for (int i = 0; i < width * height; i++) now[i] = (double)map[i];
    for (int step = 0; step < iterations; step++) {
        for (int i = 0; i < width * height; i++) {
            int at[48], count = 0;
            double weights[48];
            for (int d = 0; d < 6; d++) {
                for (int y = -1; y <= 1; y++) {
                    for (int x = -1; x <= 1; x++) {
                        int u = TM_CLAMP(i % width + x * distances[d], 0, width - 1);
                        int v = TM_CLAMP(i / width + y * distances[d], 0, height - 1);
                        if (x || y) at[count++] = v * width + u;
                    }
                }
            }
            pamr_weights(photo, at, photo[i], weights);
            next[i] = 0;
            for (int k = 0; k < 48; k++) next[i] += weights[k] * now[at[k]];
        }
        memcpy(now, next, (size_t)(width * height) * sizeof *now);
    }
    for (int i = 0; i < width * height; i++) map[i] = (float)now[i];
    free(now);
    free(next);
}

// ---- Colour model.

enum { SIDE = 16, BINS = SIDE * SIDE * SIDE };

static double ratio_of(const double *ratios, uint32_t word) {
    double sum = 0, f[3];
    int low[3];
    for (int c = 0; c < 3; c++) {
        double at = fmin(fmax((level(word, c) - 7.5) / 16, 0), SIDE - 1);
        low[c] = (int)fmin(floor(at), SIDE - 2);
        f[c] = at - low[c];
    }
    for (int k = 0; k < 8; k++) {
        int at = 0;
        double share = 1;
        for (int c = 2; c >= 0; c--) {
            int up = k >> c & 1;
            at = at * SIDE + low[c] + up;
            share *= up ? f[c] : 1 - f[c];
        }
        sum += share * ratios[at];
    }
    return sum;
}

// Counts smoothed along one axis after the other.
static void smooth(double *counts) {
    double *made = calloc(BINS, sizeof *made);
    for (int step = 1; step < BINS; step *= SIDE) {
        for (int i = 0; i < BINS; i++) {
            int at = i / step % SIDE, before = at ? i - step : i, after = at < SIDE - 1 ? i + step : i;
            made[i] = (counts[before] + 2 * counts[i] + counts[after]) / 4;
        }
        memcpy(counts, made, BINS * sizeof *made);
    }
    free(made);
}

static void learn(const uint32_t *photo, const float *ground, const float *own, int pixels, double weight,
                  double *ratios) {
    double *counts[2] = {calloc(BINS, sizeof(double)), calloc(BINS, sizeof(double))}, total[2] = {0};
    for (int i = 0; i < pixels; i++) {
        double logit = (double)ground[i] - (double)own[i] + weight * ratio_of(ratios, photo[i]);
        double share = floor(256 / (1 + exp(-logit)) + 0.5);
        int bin = 0;
        for (int c = 2; c >= 0; c--) bin = bin * SIDE + (int)level(photo[i], c) / 16;
        counts[0][bin] += share;
        counts[1][bin] += 256 - share;
        total[0] += share;
        total[1] += 256 - share;
    }
    smooth(counts[0]);
    smooth(counts[1]);
    for (int i = 0; i < BINS; i++)
        ratios[i] = total[0] < 256 || total[1] < 256
                        ? 0
                        : log((counts[0][i] / total[0] + 1e-3) / (counts[1][i] / total[1] + 1e-3));
    free(counts[0]);
    free(counts[1]);
}

void ref_colour(const uint32_t *photo, float *unary, int pixels, int tags, double weight, int iterations) {
    for (int t = 1; t <= tags; t++) {
        double *ratios = calloc(BINS, sizeof *ratios);
        float *own = unary + t * pixels;
        for (int i = 0; i < iterations; i++) learn(photo, unary, own, pixels, weight, ratios);
        for (int i = 0; i < pixels; i++) own[i] = (float)((double)own[i] - weight * ratio_of(ratios, photo[i]));
        free(ratios);
    }
}

// ---- Classical saliency.

// A channel's least barriers: each cell's range of the best path so far, all cells at once.
static void barriers(const uint32_t *grid, int channel, double *sum, int width, int height) {
    int n = width * height, *now = calloc(2 * (size_t)n, sizeof *now), *next = calloc(2 * (size_t)n, sizeof *next);
    for (int i = 0; i < n; i++) {
        int x = i % width, y = i / width;
        bool border = x == 0 || y == 0 || x == width - 1 || y == height - 1;
        now[2 * i] = border ? (int)level(grid[i], channel) : 255;
        now[2 * i + 1] = border ? (int)level(grid[i], channel) : 0;
    }
    for (int sweep = 0; sweep < 128; sweep++) {
        memcpy(next, now, 2 * (size_t)n * sizeof *now);
        for (int i = 0; i < n; i++) {
            static const int steps[4][2] = {{-1, 0}, {1, 0}, {0, -1}, {0, 1}};
            int value = (int)level(grid[i], channel);
            for (int k = 0; k < 4; k++) {
                int x = i % width + steps[k][0], y = i / width + steps[k][1];
                if (x < 0 || y < 0 || x >= width || y >= height) continue;
                int high = TM_MAX(now[2 * (y * width + x)], value), low = TM_MIN(now[2 * (y * width + x) + 1], value);
                if (high - low >= next[2 * i] - next[2 * i + 1]) continue;
                next[2 * i] = high;
                next[2 * i + 1] = low;
            }
        }
        memcpy(now, next, 2 * (size_t)n * sizeof *now);
    }
    for (int i = 0; i < n; i++) sum[i] += now[2 * i] - now[2 * i + 1];
    free(now);
    free(next);
}

// Mahalanobis distance from a side's colours, by Cramer's rule.
static void unlike_side(const uint32_t *grid, box side, double *map, int width, int height) {
    double mean[3] = {0}, matrix[3][3] = {{0}}, count = (side.right - side.left + 1) * (side.bottom - side.top + 1);
    for (int pass = 0; pass < 2; pass++) {
        for (int y = side.top; y <= side.bottom; y++) {
            for (int x = side.left; x <= side.right; x++) {
                for (int i = 0; i < 3; i++) {
                    double d = level(grid[y * width + x], i);
                    if (!pass) mean[i] += d / count;
                    for (int j = 0; pass && j < 3; j++)
                        matrix[i][j] += (d - mean[i]) * (level(grid[y * width + x], j) - mean[j]) / count;
                }
            }
        }
    }
    for (int i = 0; i < 3; i++) matrix[i][i] += 25;
    for (int i = 0; i < width * height; i++) {
        double square = 0;
        for (int c = 0; c < 3; c++) {
            double replaced[3][3];
            memcpy(replaced, matrix, sizeof matrix);
            for (int k = 0; k < 3; k++) replaced[k][c] = level(grid[i], k) - mean[k];
            square += (level(grid[i], c) - mean[c]) * determinant(replaced) / determinant(matrix);
        }
        map[i] = sqrt(square);
    }
}

// Divides by the largest; with `low`, after the smallest is taken off.
static void scale_to_one(double *map, int count, bool low) {
    double least = INFINITY, most = -INFINITY;
    for (int i = 0; i < count; i++) {
        least = fmin(least, map[i]);
        most = fmax(most, map[i]);
    }
    if (!low) least = 0;
    for (int i = 0; i < count; i++) map[i] = (map[i] - least) / (most - least);
}

void ref_classical(const uint32_t *grid, float *map, int width, int height) {
    int n = width * height, depth = TM_MAX(1, TM_MIN(width, height) / 10);
    double *maps = calloc(5 * (size_t)n, sizeof *maps);
    const box sides[] = {{0, 0, depth - 1, height - 1},
                         {width - depth, 0, width - 1, height - 1},
                         {0, 0, width - 1, depth - 1},
                         {0, height - depth, width - 1, height - 1}};
    for (int c = 0; c < 3; c++) barriers(grid, c, maps, width, height);
    for (int s = 0; s < 4; s++) unlike_side(grid, sides[s], maps + (1 + s) * n, width, height);
    for (int m = 0; m < 5; m++) scale_to_one(maps + m * n, n, false);
    for (int i = 0; i < n; i++) {
        double sum = 0, most = 0, x = i % width + 0.5 - width / 2.0, y = i / width + 0.5 - height / 2.0;
        for (int s = 1; s <= 4; s++) {
            sum += maps[s * n + i];
            most = fmax(most, maps[s * n + i]);
        }
        maps[i] = (maps[i] + (sum - most) / 3) * (1 - sqrt((x * x + y * y) / (width * width + height * height)) * 2);
    }
    for (int pass = 0; pass < 2; pass++) {
        scale_to_one(maps, n, true);
        for (int i = 0; i < n && !pass; i++) maps[i] = 1 / (1 + exp(-10 * (maps[i] - 0.5)));
    }
    for (int i = 0; i < n; i++) map[i] = (float)maps[i];
    free(maps);
}
