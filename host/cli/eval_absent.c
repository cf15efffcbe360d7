// Tags of things that are not in a photo: which ones are tried, and how well scores tell them from those that are.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/eval.h"

#define MOST_CLASSES 65536

// Calls for the class indices of a tag such as "#444,671": marks them, or asks whether one is marked.
static bool visit_classes(const char *tag, uint8_t *marked, bool mark) {
    for (const char *at = tag + 1; *at;) {
        char *end;
        unsigned long index = strtoul(at, &end, 10);
        if (end == at) break;
        if (index < MOST_CLASSES) {
            uint8_t bit = (uint8_t)(1u << (index & 7));
            if (mark) marked[index >> 3] |= bit;
            if (!mark && (marked[index >> 3] & bit)) return true;
        }
        at = *end ? end + 1 : end;
    }
    return false;
}

typedef struct candidate {
    uint64_t order;
    const char *tag;
} candidate;

static int compare_candidates(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    return x->order != y->order ? (x->order < y->order ? -1 : 1) : strcmp(x->tag, y->tag);
}

// Every row's tag that shares no class with the photo, in the photo's own order. Returns their number.
static size_t list_candidates(const eval_data *data, const eval_photo *photo, const uint8_t *marked, candidate *list) {
    size_t count = 0;
    uint64_t seed = tm_hash64(photo->file, strlen(photo->file) + 1, 0);
    for (size_t i = 0; i < data->photo_count; i++) {
        for (size_t r = 0; r < data->photos[i].row_count; r++) {
            const char *tag = data->photos[i].rows[r].index_tag;
            if (!tag || visit_classes(tag, (uint8_t *)marked, false)) continue;
            list[count++] = (candidate){tm_hash64(tag, strlen(tag), seed), tag};
        }
    }
    qsort(list, count, sizeof *list, compare_candidates);
    return count;
}

size_t eval_data_absent(const eval_data *data, const eval_photo *photo, size_t wanted, const char **tags) {
    size_t count = 0;
    uint8_t *marked = tm_calloc(MOST_CLASSES / 8, 1);
    candidate *list = tm_calloc(data->row_count, sizeof *list);
    if (!marked || !list) count = SIZE_MAX;
    for (size_t r = 0; r < photo->row_count && !count; r++) {
        if (photo->rows[r].index_tag) visit_classes(photo->rows[r].index_tag, marked, true);
    }
    size_t found = count ? 0 : list_candidates(data, photo, marked, list);
    for (size_t i = 0; i < found && count < wanted; i++) {
        if (i && !strcmp(list[i].tag, list[i - 1].tag)) continue;
        tags[count++] = list[i].tag;
    }
    free(marked);
    free(list);
    return count;
}

// ---- Summary

// Figures of present and absent tags.
typedef struct figures {
    double *values[2];
    size_t counts[2];
} figures;

static void add_figure(figures *f, size_t group, double value) {
    if (!isnan(value)) f->values[group][f->counts[group]++] = value;
}

// Mann and Whitney's U over the number of pairs.
static double area_under_curve(const figures *f) {
    const double *absent = f->values[0];
    double wins = 0;
    if (!f->counts[0] || !f->counts[1]) return NAN;
    qsort(f->values[0], f->counts[0], sizeof(double), eval_compare_doubles);
    qsort(f->values[1], f->counts[1], sizeof(double), eval_compare_doubles);
    size_t below = 0, not_above = 0;
    for (size_t i = 0; i < f->counts[1]; i++) {
        double value = f->values[1][i];
        while (below < f->counts[0] && absent[below] < value) below++;
        while (not_above < f->counts[0] && absent[not_above] <= value) not_above++;
        wins += (double)below + 0.5 * (double)(not_above - below);
    }
    return wins / ((double)f->counts[0] * (double)f->counts[1]);
}

static void count_tag(const eval_tag_score *tag, size_t *number, double *proposed, size_t bins[EVAL_BINS]) {
    ++*number;
    *proposed += tag->proposed;
    if (!isnan(tag->score)) bins[(size_t)TM_CLAMP(tag->score * EVAL_BINS, 0.0, (double)(EVAL_BINS - 1))]++;
}

static void collect(const eval_run *run, eval_absent_summary *summary, figures *scores, figures *probabilities) {
    for (size_t i = 0; i < run->count; i++) {
        const eval_record *record = &run->records[i];
        if (!record->absent_count) continue;
        summary->absent_photos++;
        for (size_t k = 0; k < record->absent_count; k++) {
            const eval_tag_score *tag = &record->absent[k].score;
            count_tag(tag, &summary->absent, &summary->absent_share, summary->absent_bins);
            add_figure(scores, 0, tag->score);
            add_figure(probabilities, 0, tag->class_probability);
        }
        for (size_t r = 0; r < record->row_count; r++) {
            const eval_tag_score *tag = &record->rows[r].tag;
            count_tag(tag, &summary->present, &summary->present_share, summary->present_bins);
            add_figure(scores, 1, tag->score);
            add_figure(probabilities, 1, tag->class_probability);
        }
    }
}

eval_absent_summary eval_summarize_absent(const eval_run *run) {
    eval_absent_summary summary = {.score_auc = NAN, .probability_auc = NAN};
    size_t room[2] = {0};
    for (size_t i = 0; i < run->count; i++) {
        room[0] += run->records[i].absent_count;
        room[1] += run->records[i].row_count;
    }
    size_t all = room[0] + room[1];
    double *memory = tm_calloc(all, 2 * sizeof *memory);
    if (memory) {
        figures scores = {.values = {memory, memory + room[0]}};
        figures probabilities = {.values = {memory + all, memory + all + room[0]}};
        collect(run, &summary, &scores, &probabilities);
        summary.score_auc = area_under_curve(&scores);
        summary.probability_auc = area_under_curve(&probabilities);
    }
    free(memory);
    summary.absent_share = summary.absent ? summary.absent_share / (double)summary.absent : NAN;
    summary.present_share = summary.present ? summary.present_share / (double)summary.present : NAN;
    return summary;
}
