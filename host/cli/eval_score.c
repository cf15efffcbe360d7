// Figures of one map against one ground truth. Boundary F-measure after D. Martin, C. Fowlkes and J. Malik, "Learning
// to detect natural image boundaries", 2004, with matching by distance alone; F-beta of saliency after R. Achanta et
// al., "Frequency-tuned salient region detection", 2009.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/eval.h"

double eval_threshold(size_t index) {
    return 0.02 + (double)index * 0.02;
}

// Number of thresholds that a value reaches.
static size_t reached(float value) {
    double v = value;
    if (!(v >= eval_threshold(0))) return 0;
    size_t k = (size_t)TM_CLAMP(v / 0.02, 1.0, (double)EVAL_THRESHOLDS);
    while (k < EVAL_THRESHOLDS && v >= eval_threshold(k)) k++;
    while (k > 0 && v < eval_threshold(k - 1)) k--;
    return k;
}

// How many valid pixels reach each threshold, inside the truth and outside it.
static void count_pixels(const float *probability, const eval_truth *truth, uint64_t inside[EVAL_THRESHOLDS],
                         uint64_t outside[EVAL_THRESHOLDS], uint64_t *positive, uint64_t *valid) {
    uint64_t bins[2][EVAL_THRESHOLDS + 1] = {{0}};
    size_t count = (size_t)truth->width * truth->height;
    *positive = 0;
    *valid = 0;
    for (size_t i = 0; i < count; i++) {
        if (!truth->valid[i]) continue;
        ++*valid;
        *positive += truth->truth[i];
        bins[truth->truth[i]][reached(probability[i])]++;
    }
    uint64_t in = 0, out = 0;
    for (size_t k = EVAL_THRESHOLDS; k > 0; k--) {
        in += bins[1][k];
        out += bins[0][k];
        inside[k - 1] = in;
        outside[k - 1] = out;
    }
}

void eval_ious(const float *probability, const eval_truth *truth, double ious[EVAL_THRESHOLDS]) {
    uint64_t inside[EVAL_THRESHOLDS], outside[EVAL_THRESHOLDS], positive, valid;
    count_pixels(probability, truth, inside, outside, &positive, &valid);
    for (size_t k = 0; k < EVAL_THRESHOLDS; k++) {
        ious[k] = (double)inside[k] / (double)TM_MAX(positive + outside[k], 1u);
    }
}

double eval_iou_at(const float *probability, double threshold, const eval_truth *truth) {
    uint64_t both = 0, either = 0;
    size_t count = (size_t)truth->width * truth->height;
    for (size_t i = 0; i < count; i++) {
        bool in = probability[i] >= threshold;
        both += truth->valid[i] && in && truth->truth[i];
        either += truth->valid[i] && (in || truth->truth[i]);
    }
    return (double)both / (double)TM_MAX(either, 1u);
}

double eval_iou_label(const uint8_t *labels, uint8_t label, const eval_truth *truth) {
    uint64_t both = 0, either = 0;
    size_t count = (size_t)truth->width * truth->height;
    for (size_t i = 0; i < count; i++) {
        bool in = labels[i] == label;
        both += truth->valid[i] && in && truth->truth[i];
        either += truth->valid[i] && (in || truth->truth[i]);
    }
    return (double)both / (double)TM_MAX(either, 1u);
}

// Marks the pixels of a mask that touch its outside; the photo's border is no outline. Returns their number.
static size_t outline(const uint8_t *mask, uint32_t width, uint32_t height, uint8_t *marked) {
    size_t count = 0;
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            const uint8_t *at = mask + (size_t)y * width + x;
            bool inner = (y == 0 || at[-(ptrdiff_t)width]) && (y + 1 == height || at[width]) && (x == 0 || at[-1]) &&
                         (x + 1 == width || at[1]);
            uint8_t mark = *at && !inner;
            marked[(size_t)y * width + x] = mark;
            count += mark;
        }
    }
    return count;
}

// Marks every pixel within `reach` of a marked one: exactly the pixels whose distance transform is at most `reach`.
static void widen(const uint8_t *marked, uint32_t width, uint32_t height, uint32_t reach, uint8_t *near) {
    memset(near, 0, (size_t)width * height);
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            if (!marked[(size_t)y * width + x]) continue;
            uint32_t top = y > reach ? y - reach : 0, bottom = TM_MIN(height - 1, y + reach);
            for (uint32_t row = top; row <= bottom; row++) {
                uint32_t dy = row > y ? row - y : y - row;
                uint32_t half = (uint32_t)sqrt((double)reach * reach - (double)dy * dy);
                uint32_t left = x > half ? x - half : 0, right = TM_MIN(width - 1, x + half);
                memset(near + (size_t)row * width + left, 1, right - left + 1);
            }
        }
    }
}

static double share_near(const uint8_t *marked, const uint8_t *near, size_t count, size_t total) {
    size_t hits = 0;
    for (size_t i = 0; i < count; i++) hits += marked[i] && near[i];
    return (double)hits / (double)TM_MAX(total, 1u);
}

bool eval_boundary_f(const float *probability, double threshold, const eval_truth *truth, double *f) {
    *f = NAN;
    if (!truth->all_valid) return true;
    size_t count = (size_t)truth->width * truth->height;
    uint8_t *memory = tm_calloc(count, 4);
    if (!memory) return false;
    uint8_t *mask = memory, *a = memory + count, *b = memory + 2 * count, *near = memory + 3 * count;
    for (size_t i = 0; i < count; i++) mask[i] = probability[i] >= threshold;
    size_t a_count = outline(mask, truth->width, truth->height, a);
    size_t b_count = outline(truth->truth, truth->width, truth->height, b);
    uint32_t reach = (uint32_t)TM_MAX(1.0, rint(2.0 * TM_MAX(truth->width, truth->height) / 500.0));
    widen(b, truth->width, truth->height, reach, near);
    double precision = share_near(a, near, count, a_count);
    widen(a, truth->width, truth->height, reach, near);
    double recall = share_near(b, near, count, b_count);
    *f = precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0;
    free(memory);
    return true;
}

void eval_resize(const float *map, uint32_t width, uint32_t height, uint32_t to_width, uint32_t to_height, float *to) {
    double step_x = (double)width / to_width, step_y = (double)height / to_height;
    for (uint32_t y = 0; y < to_height; y++) {
        double at_y = TM_CLAMP((y + 0.5) * step_y - 0.5, 0.0, (double)(height - 1));
        uint32_t top = (uint32_t)at_y, bottom = TM_MIN(top + 1, height - 1);
        for (uint32_t x = 0; x < to_width; x++) {
            double at_x = TM_CLAMP((x + 0.5) * step_x - 0.5, 0.0, (double)(width - 1));
            uint32_t left = (uint32_t)at_x, right = TM_MIN(left + 1, width - 1);
            const float *upper = map + (size_t)top * width, *lower = map + (size_t)bottom * width;
            double above = upper[left] + (at_x - left) * ((double)upper[right] - upper[left]);
            double below = lower[left] + (at_x - left) * ((double)lower[right] - lower[left]);
            to[(size_t)y * to_width + x] = (float)(above + (at_y - top) * (below - above));
        }
    }
}

static void precision_and_recall(const float *probability, double threshold, const eval_truth *truth,
                                 eval_score *score) {
    uint64_t both = 0, proposed = 0, positive = 0;
    size_t count = (size_t)truth->width * truth->height;
    for (size_t i = 0; i < count; i++) {
        if (!truth->valid[i]) continue;
        bool in = probability[i] >= threshold;
        both += in && truth->truth[i];
        proposed += in;
        positive += truth->truth[i];
    }
    score->precision = (double)both / (double)TM_MAX(proposed, 1u);
    score->recall = (double)both / (double)TM_MAX(positive, 1u);
}

bool eval_score_map(const float *probability, double fixed, const eval_truth *truth, eval_score *score) {
    const double at[EVAL_BOUNDARIES] = {fixed, 0.3, 0.4, 0.5};
    eval_ious(probability, truth, score->iou);
    score->fixed = eval_iou_at(probability, fixed, truth);
    precision_and_recall(probability, fixed, truth, score);
    score->known = true;
    for (size_t i = 0; i < EVAL_BOUNDARIES; i++) {
        if (!eval_boundary_f(probability, at[i], truth, &score->boundary[i])) return false;
    }
    return true;
}

void eval_centre_box(uint32_t width, uint32_t height, float *probability) {
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            double dx = fabs((double)x / width - 0.5), dy = fabs((double)y / height - 0.5);
            probability[(size_t)y * width + x] = (float)(1 - 2 * TM_MAX(dx, dy));
        }
    }
}

void eval_saliency_map(const float *probability, const eval_truth *truth, eval_saliency *saliency) {
    uint64_t inside[EVAL_THRESHOLDS], outside[EVAL_THRESHOLDS], positive, valid;
    size_t count = (size_t)truth->width * truth->height;
    double error = 0;
    for (size_t i = 0; i < count; i++) {
        if (truth->valid[i]) error += fabs((double)probability[i] - truth->truth[i]);
    }
    count_pixels(probability, truth, inside, outside, &positive, &valid);
    saliency->mae = error / (double)TM_MAX(valid, 1u);
    for (size_t k = 0; k < EVAL_THRESHOLDS; k++) {
        saliency->precision[k] = (double)inside[k] / (double)TM_MAX(inside[k] + outside[k], 1u);
        saliency->recall[k] = (double)inside[k] / (double)TM_MAX(positive, 1u);
    }
    saliency->iou = eval_iou_at(probability, 0.5, truth);
}
