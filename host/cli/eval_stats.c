// Means over rows, and their 95 % intervals by the bootstrap (B. Efron, 1979) with photos resampled: rows of one photo
// are not independent.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/eval.h"

#define RESAMPLES 4000

int eval_compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

typedef struct photo_sum {
    double sum;
    size_t rows;
} photo_sum;

// The generator always starts the same, so the same results give the same interval.
static eval_interval bootstrap(const photo_sum *photos, size_t count) {
    eval_interval interval = {.photos = count};
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += photos[i].sum;
        interval.rows += photos[i].rows;
    }
    double *means = tm_calloc(RESAMPLES, sizeof *means);
    interval.mean = interval.low = interval.high = interval.rows ? sum / (double)interval.rows : NAN;
    if (!means || !interval.rows) {
        free(means);
        return interval;
    }
    uint64_t state = 0x9e3779b97f4a7c15u;
    for (size_t b = 0; b < RESAMPLES; b++) {
        double total = 0;
        size_t rows = 0;
        for (size_t i = 0; i < count; i++) {
            state ^= state << 13;  // xorshift64 (G. Marsaglia, 2003)
            state ^= state >> 7;
            state ^= state << 17;
            const photo_sum *photo = &photos[(state >> 20) % count];
            total += photo->sum;
            rows += photo->rows;
        }
        means[b] = total / (double)rows;
    }
    qsort(means, RESAMPLES, sizeof *means, eval_compare_doubles);
    interval.low = means[RESAMPLES / 40];
    interval.high = means[RESAMPLES - 1 - RESAMPLES / 40];
    free(means);
    return interval;
}

// The method's figures of a row; NULL: it has none, or the row is not one of those chosen.
static const eval_score *chosen_score(const eval_record *record, size_t r, size_t method, eval_choose choose,
                                      const void *what) {
    if (choose && !choose(record, &record->rows[r], what)) return NULL;
    return eval_row_score(&record->rows[r], method);
}

// Means of the IoU at every threshold, of precision and of recall.
static void mean_curves(const eval_run *run, size_t method, eval_choose choose, const void *what, double *curve,
                        eval_summary *summary) {
    size_t rows = 0, known = 0;
    memset(curve, 0, EVAL_THRESHOLDS * sizeof *curve);
    for (size_t i = 0; i < run->count; i++) {
        const eval_record *record = &run->records[i];
        for (size_t r = 0; r < record->row_count; r++) {
            const eval_score *score = chosen_score(record, r, method, choose, what);
            if (!score) continue;
            rows++;
            for (size_t k = 0; k < EVAL_THRESHOLDS; k++) curve[k] += score->iou[k];
            if (isnan(score->precision) || isnan(score->recall)) continue;
            known++;
            summary->precision += score->precision;
            summary->recall += score->recall;
        }
    }
    for (size_t k = 0; k < EVAL_THRESHOLDS; k++) curve[k] /= (double)TM_MAX(rows, 1u);
    summary->precision = known ? summary->precision / (double)known : NAN;
    summary->recall = known ? summary->recall / (double)known : NAN;
}

static void mean_boundaries(const eval_run *run, size_t method, eval_choose choose, const void *what,
                            eval_summary *summary) {
    double sums[EVAL_BOUNDARIES] = {0};
    summary->boundary_rows = 0;
    for (size_t i = 0; i < run->count; i++) {
        const eval_record *record = &run->records[i];
        for (size_t r = 0; r < record->row_count; r++) {
            const eval_score *score = chosen_score(record, r, method, choose, what);
            if (!score || isnan(score->boundary[0])) continue;
            summary->boundary_rows++;
            for (size_t k = 0; k < EVAL_BOUNDARIES; k++) sums[k] += score->boundary[k];
        }
    }
    double rows = summary->boundary_rows ? (double)summary->boundary_rows : NAN;
    summary->boundary_fixed = sums[0] / rows;
    summary->boundary_best = TM_MAX(sums[1], TM_MAX(sums[2], sums[3])) / rows;
}

eval_summary eval_summarize(const eval_run *run, size_t method, eval_choose choose, const void *what) {
    eval_summary summary = {0};
    double curve[EVAL_THRESHOLDS];
    photo_sum *photos = tm_calloc(run->count, sizeof *photos);
    size_t count = 0;
    for (size_t i = 0; photos && i < run->count; i++) {
        const eval_record *record = &run->records[i];
        photo_sum photo = {0};
        for (size_t r = 0; r < record->row_count; r++) {
            const eval_score *score = chosen_score(record, r, method, choose, what);
            if (!score) continue;
            photo.sum += score->fixed;
            photo.rows++;
        }
        if (photo.rows) photos[count++] = photo;
    }
    summary.fixed = bootstrap(photos, count);
    free(photos);
    mean_curves(run, method, choose, what, curve, &summary);
    for (size_t k = 0; k < EVAL_THRESHOLDS; k++) {
        if (curve[k] <= summary.best) continue;
        summary.best = curve[k];
        summary.best_threshold = eval_threshold(k);
    }
    mean_boundaries(run, method, choose, what, &summary);
    return summary;
}

double eval_mean_label_iou(const eval_run *run) {
    double sum = 0;
    size_t rows = 0;
    for (size_t i = 0; i < run->count; i++) {
        for (size_t r = 0; r < run->records[i].row_count; r++) {
            sum += run->records[i].rows[r].label_iou;
            rows++;
        }
    }
    return rows ? sum / (double)rows : NAN;
}

static const eval_row_record *find_row(const eval_record *record, const eval_row_record *wanted) {
    for (size_t i = 0; record && i < record->row_count; i++) {
        const eval_row_record *row = &record->rows[i];
        if (row->mask_value == wanted->mask_value && !strcmp(row->object, wanted->object)) return row;
    }
    return NULL;
}

eval_interval eval_compare(const eval_run *run, const eval_run *other, size_t method) {
    photo_sum *photos = tm_calloc(run->count, sizeof *photos);
    size_t count = 0;
    for (size_t i = 0; photos && i < run->count; i++) {
        const eval_record *record = &run->records[i], *theirs = eval_run_find(other, record->file);
        photo_sum photo = {0};
        for (size_t r = 0; r < record->row_count; r++) {
            const eval_row_record *row = find_row(theirs, &record->rows[r]);
            const eval_score *score = eval_row_score(&record->rows[r], method);
            const eval_score *their_score = row ? eval_row_score(row, method) : NULL;
            if (!score || !their_score) continue;
            photo.sum += score->fixed - their_score->fixed;
            photo.rows++;
        }
        if (photo.rows) photos[count++] = photo;
    }
    eval_interval interval = bootstrap(photos, count);
    free(photos);
    return interval;
}

eval_saliency_summary eval_summarize_saliency(const eval_run *run) {
    eval_saliency_summary summary = {0};
    double precision[EVAL_THRESHOLDS] = {0}, recall[EVAL_THRESHOLDS] = {0};
    for (size_t i = 0; i < run->count; i++) {
        const eval_record *record = &run->records[i];
        if (!record->has_saliency) continue;
        summary.photos++;
        summary.mae += record->saliency.mae;
        summary.iou += record->saliency.iou;
        for (size_t k = 0; k < EVAL_THRESHOLDS; k++) {
            precision[k] += record->saliency.precision[k];
            recall[k] += record->saliency.recall[k];
        }
    }
    double photos = (double)TM_MAX(summary.photos, 1u);
    summary.mae /= photos;
    summary.iou /= photos;
    for (size_t k = 0; k < EVAL_THRESHOLDS; k++) {
        double p = precision[k] / photos, r = recall[k] / photos;
        summary.max_f = TM_MAX(summary.max_f, 1.3 * p * r / (0.3 * p + r + 1e-9));
    }
    return summary;
}
