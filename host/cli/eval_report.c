// The report of an evaluation, for people and as JSON.
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/eval.h"

static const char *const method_titles[EVAL_METHODS] = {"tagmask", "saliency alone", "centre box"};

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

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median_ms(const eval_run *run) {
    double *times = tm_calloc(run->count, sizeof *times), median = NAN;
    size_t count = 0;
    for (size_t i = 0; times && i < run->count; i++) {
        if (run->records[i].row_count) times[count++] = run->records[i].ms;
    }
    if (count) {
        qsort(times, count, sizeof *times, compare_doubles);
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
    fprintf(file, "  %-8s %-10s %4zu rows  tagmask %.4f  saliency alone %.4f\n", kind, name, ours.fixed.rows,
            ours.fixed.mean, saliency.fixed.mean);
}

static void print_comparison(const eval_report *report, FILE *file) {
    eval_interval difference = eval_compare(report->run, report->against);
    if (!difference.rows) {
        fprintf(file, "\n%s holds none of these rows\n", report->against_path);
        return;
    }
    fprintf(file, "\nmIoU less that of %s: %+.4f, 95 %% interval %+.4f to %+.4f (%zu common rows)\n",
            report->against_path, difference.mean, difference.low, difference.high, difference.rows);
}

static void print_rows(const eval_report *report, FILE *file) {
    const eval_run *run = report->run;
    eval_summary first = eval_summarize(run, EVAL_TAGMASK, NULL, NULL);
    fprintf(file, "tag -> mask, way %d (%s): %zu rows of %zu photos\n", report->way,
            report->way == 1 ? "one tag a run, by the row's class indices" : "all tags of a photo at once, by name",
            first.fixed.rows, first.fixed.photos);
    fprintf(file, "%-16s %-28s  %-22s  %s\n", "", "mIoU, fixed threshold", "best on this set", "boundary F");
    fprintf(file, "%-16s at %-8.2f 95 %% interval  %-22s  at %-5.2f  best of 0.3 0.4 0.5\n", "", report->threshold,
            "  (oracle)", report->threshold);
    for (size_t m = 0; m < EVAL_METHODS; m++) {
        eval_summary s = eval_summarize(run, m, NULL, NULL);
        fprintf(file, "%-16s %.4f  %.4f to %.4f      %.4f at %.2f       ", method_titles[m], s.fixed.mean, s.fixed.low,
                s.fixed.high, s.best, s.best_threshold);
        print_figure(file, s.boundary_fixed, "");
        print_figure(file, s.boundary_best, "\n");
    }
    fprintf(file, "mIoU of the label map as written to files: %.4f\n", eval_mean_label_iou(run));
    size_t unresolved = count_unresolved(run);
    if (unresolved) fprintf(file, "%zu rows have a name that is no known tag and score 0\n", unresolved);
    fprintf(file, "boundary F over the %zu rows without void pixels\n\n", first.boundary_rows);
    fprintf(file, "mIoU at %.2f by group:\n", report->threshold);
    visit_groups(run, print_group, file);
    fprintf(file, "\ntime per photo, first proposal: median %.0f ms (less where network outputs were cached)\n",
            median_ms(run));
}

void eval_print_report(const eval_report *report, FILE *file) {
    eval_saliency_summary saliency = eval_summarize_saliency(report->run);
    if (eval_summarize(report->run, EVAL_TAGMASK, NULL, NULL).fixed.rows) print_rows(report, file);
    if (saliency.photos) {
        fprintf(file, "saliency: MAE %.4f  max F %.4f  IoU at 0.5 %.4f (%zu photos)\n", saliency.mae, saliency.max_f,
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
        add_number(item, eval_method_names[m], eval_summarize(run, m, choose, what).fixed.mean);
    }
    cJSON_AddItemToArray(user, item);
}

static void add_methods(cJSON *root, const eval_run *run) {
    cJSON *methods = cJSON_AddObjectToObject(root, "methods");
    for (size_t m = 0; m < EVAL_METHODS; m++) {
        eval_summary s = eval_summarize(run, m, NULL, NULL);
        cJSON *item = cJSON_AddObjectToObject(methods, eval_method_names[m]);
        add_number(item, "mIoU", s.fixed.mean);
        add_interval(item, "mIoU_interval", s.fixed);
        add_number(item, "best_mIoU", s.best);
        add_number(item, "best_threshold", s.best_threshold);
        add_number(item, "boundary_F", s.boundary_fixed);
        add_number(item, "best_boundary_F", s.boundary_best);
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
    add_methods(root, run);
    add_number(root, "label_mIoU", eval_mean_label_iou(run));
    visit_groups(run, add_group, cJSON_AddArrayToObject(root, "groups"));
    cJSON *item = cJSON_AddObjectToObject(root, "saliency");
    cJSON_AddNumberToObject(item, "photos", (double)saliency.photos);
    add_number(item, "MAE", saliency.photos ? saliency.mae : NAN);
    add_number(item, "maxF", saliency.photos ? saliency.max_f : NAN);
    add_number(item, "IoU", saliency.photos ? saliency.iou : NAN);
    add_number(root, "median_ms", median_ms(run));
    if (report->against) {
        eval_interval difference = eval_compare(run, report->against);
        item = cJSON_AddObjectToObject(root, "against");
        cJSON_AddStringToObject(item, "file", report->against_path);
        cJSON_AddNumberToObject(item, "rows", (double)difference.rows);
        add_number(item, "mIoU_difference", difference.mean);
        add_interval(item, "interval", difference);
    }
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    return text;
}
