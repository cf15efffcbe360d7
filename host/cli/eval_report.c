// The report of an evaluation, for people and as JSON.
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/eval.h"

double eval_report_threshold(const eval_report *report, size_t method) {
    return method < EVAL_METHODS ? report->threshold
                                 : eval_stage_threshold(eval_method_name(method), report->threshold);
}

size_t eval_report_order(size_t position) {
    if (position + 1 < EVAL_METHODS) return position + 1;
    return position + 1 == eval_method_count() ? EVAL_TAGMASK : position + 1;
}

const char *eval_method_title(size_t method) {
    static const char *const titles[EVAL_METHODS] = {"tagmask", "saliency alone", "centre box"};
    return method < EVAL_METHODS ? titles[method] : eval_method_name(method);
}

typedef struct area_range {
    double low, high;
} area_range;
static const area_range areas[] = {{0.02, 0.05}, {0.05, 0.15}, {0.15, 0.35}, {0.35, 1.01}};

static bool in_set(const eval_record *record, const eval_row_record *row, const void *what) {
    (void)row;
    return !strcmp(record->set, what);
}
static bool in_area(const eval_record *record, const eval_row_record *row, const void *what) {
    const area_range *range = what;
    (void)record;
    return row->area >= range->low && row->area < range->high;
}
static bool is_salient(const eval_record *record, const eval_row_record *row, const void *what) {
    (void)row;
    return record->salient == *(const bool *)what;
}

// The sets in the order of their first photo; returns their number.
static size_t list_sets(const eval_run *run, const char *sets[], size_t room) {
    size_t count = 0;
    for (size_t i = 0; i < run->count; i++) {
        bool known = run->records[i].row_count == 0;
        for (size_t k = 0; k < count && !known; k++) known = !strcmp(sets[k], run->records[i].set);
        if (!known && count < room) sets[count++] = run->records[i].set;
    }
    return count;
}

// Calls `visit` for every group of rows: by set, by area, by saliency of the object.
typedef void (*group_visitor)(void *user, const char *kind, const char *name, const eval_run *run, eval_choose choose,
                              const void *what);
static void visit_groups(const eval_run *run, group_visitor visit, void *user) {
    const char *sets[16];
    size_t count = list_sets(run, sets, TM_ARRAY_LEN(sets));
    for (size_t i = 0; i < count; i++) visit(user, "set", sets[i], run, in_set, sets[i]);
    for (size_t i = 0; i < TM_ARRAY_LEN(areas); i++) {
        char name[40];
        snprintf(name, sizeof name, "%.0f..%.0f %%", areas[i].low * 100, fmin(areas[i].high, 1) * 100);
        visit(user, "area", name, run, in_area, &areas[i]);
    }
    static const bool yes = true, no = false;
    visit(user, "salient", "yes", run, is_salient, &yes);
    visit(user, "salient", "no", run, is_salient, &no);
}

static double median_ms(const eval_run *run) {
    double *times = tm_calloc(run->count, sizeof *times), median = NAN;
    size_t count = 0;
    for (size_t i = 0; times && i < run->count; i++) {
        if (run->records[i].row_count) times[count++] = run->records[i].ms;
    }
    if (count) {
        qsort(times, count, sizeof *times, eval_compare_doubles);
        median = times[count / 2];
    }
    free(times);
    return median;
}

static size_t count_unresolved(const eval_run *run) {
    size_t count = 0;
    for (size_t i = 0; i < run->count; i++) {
        for (size_t r = 0; r < run->records[i].row_count; r++) count += !run->records[i].rows[r].resolved;
    }
    return count;
}

// ---- Text

static void print_figure(FILE *file, double value, const char *text) {
    if (isnan(value)) {
        fprintf(file, "%8s%s", "-", text);
    } else {
        fprintf(file, "%8.4f%s", value, text);
    }
}

static void print_group(void *user, const char *kind, const char *name, const eval_run *run, eval_choose choose,
                        const void *what) {
    FILE *file = user;
    eval_summary ours = eval_summarize(run, EVAL_TAGMASK, choose, what);
    if (!ours.fixed.rows) return;
    eval_summary saliency = eval_summarize(run, EVAL_SALIENCY_ALONE, choose, what);
    fprintf(file, "  %-8s %-10s %4zu rows  tagmask %.4f  saliency alone", kind, name, ours.fixed.rows, ours.fixed.mean);
    print_figure(file, saliency.fixed.mean, "\n");
}

static void print_difference(const eval_report *report, size_t method, FILE *file) {
    eval_interval difference = eval_compare(report->run, report->against, method);
    if (!difference.rows) return;
    fprintf(file, "  %-14s %+.4f  %+.4f to %+.4f  %4zu\n", eval_method_title(method), difference.mean, difference.low,
            difference.high, difference.rows);
}

static void print_comparison(const eval_report *report, FILE *file) {
    if (!eval_compare(report->run, report->against, EVAL_TAGMASK).rows) {
        fprintf(file, "\n%s holds none of these rows\n", report->against_path);
        return;
    }
    fprintf(file, "\nmIoU less that of %s, 95 %% interval, common rows:\n", report->against_path);
    for (size_t m = EVAL_METHODS; m < eval_method_count(); m++) print_difference(report, m, file);
    print_difference(report, EVAL_TAGMASK, file);
}

static void print_method(const eval_report *report, size_t method, FILE *file) {
    eval_summary s = eval_summarize(report->run, method, NULL, NULL);
    if (!s.fixed.rows) return;
    fprintf(file, "%-14s %5zu  %.2f  %.4f  %.4f to %.4f    ", eval_method_title(method), s.fixed.rows,
            eval_report_threshold(report, method), s.fixed.mean, s.fixed.low, s.fixed.high);
    print_figure(file, s.boundary_fixed, "   ");
    print_figure(file, s.precision, "");
    print_figure(file, s.recall, "");
    fprintf(file, "   %.4f at %.2f\n", s.best, s.best_threshold);
}

static void print_absent(const eval_run *run, FILE *file) {
    eval_absent_summary s = eval_summarize_absent(run);
    if (!s.absent) return;
    fprintf(file, "\n%zu absent tags on %zu photos: %.4f get a region; of the %zu present tags %.4f\n", s.absent,
            s.absent_photos, s.absent_share, s.present, s.present_share);
    fprintf(file, "present told from absent (area under the ROC curve): by the score ");
    print_figure(file, s.score_auc, ", by the class's probability ");
    print_figure(file, s.probability_auc, "\n");
}

static void print_rows(const eval_report *report, FILE *file) {
    const eval_run *run = report->run;
    eval_summary first = eval_summarize(run, EVAL_TAGMASK, NULL, NULL);
    fprintf(file, "tag -> mask, way %d (%s): %zu rows of %zu photos\n", report->way,
            report->way == 1 ? "one tag a run, by the row's class indices" : "all tags of a photo at once, by name",
            first.fixed.rows, first.fixed.photos);
    fprintf(file, "%-14s %5s  %-4s  %-6s  %-16s%12s%11s%8s   %s\n", "", "rows", "cut", "mIoU", "95 % interval",
            "boundary F", "precision", "recall", "mIoU at the best cut (oracle)");
    for (size_t i = 0; i < eval_method_count(); i++) print_method(report, eval_report_order(i), file);
    fprintf(file, "mIoU of the label map as written to files: %.4f\n", eval_mean_label_iou(run));
    size_t unresolved = count_unresolved(run);
    if (unresolved) fprintf(file, "%zu rows have a name that is no known tag and score 0\n", unresolved);
    fprintf(file, "boundary F over the %zu rows without void pixels\n", first.boundary_rows);
    fprintf(file, "time per photo, first proposal: median %.0f ms (less where network outputs were cached)\n\n",
            median_ms(run));
    fprintf(file, "mIoU at %.2f by group:\n", report->threshold);
    visit_groups(run, print_group, file);
    print_absent(run, file);
}

void eval_print_report(const eval_report *report, FILE *file) {
    eval_saliency_summary saliency = eval_summarize_saliency(report->run);
    if (eval_summarize(report->run, EVAL_TAGMASK, NULL, NULL).fixed.rows) print_rows(report, file);
    if (saliency.photos) {
        fprintf(file, "\nsaliency: MAE %.4f  max F %.4f  IoU at 0.5 %.4f (%zu photos)\n", saliency.mae, saliency.max_f,
                saliency.iou, saliency.photos);
    }
    if (report->against) print_comparison(report, file);
    if (report->failed) fprintf(file, "%zu photos failed and are missing from every figure\n", report->failed);
}

// ---- JSON

static void add_number(cJSON *parent, const char *name, double value) {
    if (isnan(value)) {
        cJSON_AddNullToObject(parent, name);
    } else {
        cJSON_AddNumberToObject(parent, name, value);
    }
}

static void add_interval(cJSON *parent, const char *name, eval_interval interval) {
    cJSON *list = cJSON_AddArrayToObject(parent, name);
    if (isnan(interval.mean)) return;
    cJSON_AddItemToArray(list, cJSON_CreateNumber(interval.low));
    cJSON_AddItemToArray(list, cJSON_CreateNumber(interval.high));
}

static void add_group(void *user, const char *kind, const char *name, const eval_run *run, eval_choose choose,
                      const void *what) {
    eval_summary ours = eval_summarize(run, EVAL_TAGMASK, choose, what);
    if (!ours.fixed.rows) return;
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "kind", kind);
    cJSON_AddStringToObject(item, "name", name);
    cJSON_AddNumberToObject(item, "rows", (double)ours.fixed.rows);
    for (size_t m = 0; m < EVAL_METHODS; m++) {
        add_number(item, eval_method_name(m), eval_summarize(run, m, choose, what).fixed.mean);
    }
    cJSON *stages = cJSON_AddObjectToObject(item, "stages");
    for (size_t m = EVAL_METHODS; m < eval_method_count(); m++) {
        eval_interval stage = eval_summarize(run, m, choose, what).fixed;
        if (stage.rows) add_number(stages, eval_method_name(m), stage.mean);
    }
    cJSON_AddItemToArray(user, item);
}

static void add_method(cJSON *parent, const eval_report *report, size_t method) {
    eval_summary s = eval_summarize(report->run, method, NULL, NULL);
    if (method >= EVAL_METHODS && !s.fixed.rows) return;
    cJSON *item = cJSON_AddObjectToObject(parent, eval_method_name(method));
    add_number(item, "threshold", eval_report_threshold(report, method));
    add_number(item, "rows", (double)s.fixed.rows);
    add_number(item, "mIoU", s.fixed.mean);
    add_interval(item, "mIoU_interval", s.fixed);
    add_number(item, "best_mIoU", s.best);
    add_number(item, "best_threshold", s.best_threshold);
    add_number(item, "boundary_F", s.boundary_fixed);
    add_number(item, "best_boundary_F", s.boundary_best);
    add_number(item, "precision", s.precision);
    add_number(item, "recall", s.recall);
}

static void add_bins(cJSON *parent, const char *name, const size_t bins[EVAL_BINS]) {
    cJSON *list = cJSON_AddArrayToObject(parent, name);
    for (size_t i = 0; i < EVAL_BINS; i++) cJSON_AddItemToArray(list, cJSON_CreateNumber((double)bins[i]));
}

static void add_absent(cJSON *root, const eval_run *run) {
    eval_absent_summary s = eval_summarize_absent(run);
    if (!s.absent) return;
    cJSON *item = cJSON_AddObjectToObject(root, "absent");
    add_number(item, "absent_tags", (double)s.absent);
    add_number(item, "absent_photos", (double)s.absent_photos);
    add_number(item, "absent_share", s.absent_share);
    add_number(item, "present_tags", (double)s.present);
    add_number(item, "present_share", s.present_share);
    add_number(item, "score_AUC", s.score_auc);
    add_number(item, "class_probability_AUC", s.probability_auc);
    add_bins(item, "absent_scores", s.absent_bins);
    add_bins(item, "present_scores", s.present_bins);
}

static void add_difference(cJSON *item, eval_interval difference) {
    cJSON_AddNumberToObject(item, "rows", (double)difference.rows);
    add_number(item, "mIoU_difference", difference.mean);
    add_interval(item, "interval", difference);
}

static void add_comparison(cJSON *root, const eval_report *report) {
    cJSON *item = cJSON_AddObjectToObject(root, "against");
    cJSON_AddStringToObject(item, "file", report->against_path);
    add_difference(item, eval_compare(report->run, report->against, EVAL_TAGMASK));
    cJSON *stages = cJSON_AddObjectToObject(item, "stages");
    for (size_t m = EVAL_METHODS; m < eval_method_count(); m++) {
        eval_interval difference = eval_compare(report->run, report->against, m);
        if (difference.rows) add_difference(cJSON_AddObjectToObject(stages, eval_method_name(m)), difference);
    }
}

char *eval_report_json(const eval_report *report) {
    const eval_run *run = report->run;
    eval_interval all = eval_summarize(run, EVAL_TAGMASK, NULL, NULL).fixed;
    eval_saliency_summary saliency = eval_summarize_saliency(run);
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "way", report->way);
    cJSON_AddNumberToObject(root, "threshold", report->threshold);
    cJSON_AddNumberToObject(root, "rows", (double)all.rows);
    cJSON_AddNumberToObject(root, "photos", (double)all.photos);
    cJSON_AddNumberToObject(root, "failed_photos", (double)report->failed);
    cJSON_AddNumberToObject(root, "unresolved_rows", (double)count_unresolved(run));
    cJSON *methods = cJSON_AddObjectToObject(root, "methods"), *stages = cJSON_AddObjectToObject(root, "stages");
    for (size_t m = 0; m < eval_method_count(); m++) add_method(m < EVAL_METHODS ? methods : stages, report, m);
    add_number(root, "label_mIoU", eval_mean_label_iou(run));
    visit_groups(run, add_group, cJSON_AddArrayToObject(root, "groups"));
    cJSON *item = cJSON_AddObjectToObject(root, "saliency");
    cJSON_AddNumberToObject(item, "photos", (double)saliency.photos);
    add_number(item, "MAE", saliency.photos ? saliency.mae : NAN);
    add_number(item, "maxF", saliency.photos ? saliency.max_f : NAN);
    add_number(item, "IoU", saliency.photos ? saliency.iou : NAN);
    add_number(root, "median_ms", median_ms(run));
    add_absent(root, run);
    if (report->against) add_comparison(root, report);
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    return text;
}
