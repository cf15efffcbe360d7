// The text of an evaluation's page.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/eval_page.h"
#include "io/text.h"

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>tagmask eval</title>\n<style>\n"
    "body { font: 14px sans-serif; margin: 16px; }\n"
    "table { border-collapse: collapse; }\n"
    "th, td { padding: 4px 8px; text-align: left; vertical-align: top; border-bottom: 1px solid #ccc; }\n"
    "thead th { position: sticky; top: 0; background: #fff; }\n"
    ".figures td { text-align: right; }\n"
    "img { display: block; max-width: 176px; max-height: 256px; }\n"
    ".scale { display: inline-block; width: 160px; height: 12px; background: linear-gradient(to right, #440154, "
    "#3b528b, #21918c, #5ec962, #fde725); }\n"
    "</style>\n</head>\n<body>\n<h1>tagmask eval</h1>\n";

static void add_figure(tm_text *text, const char *before, double value, const char *after) {
    if (isnan(value)) {
        tm_text_add(text, "%s&ndash;%s", before, after);
    } else {
        tm_text_add(text, "%s%.4f%s", before, value, after);
    }
}

// ---- The means

static void add_summary(tm_text *text, const eval_report *report) {
    tm_text_add(text,
                "<table class=\"figures\">\n<tr><th></th><th>rows</th><th>threshold</th><th>mIoU</th><th>95 %% "
                "interval</th><th>boundary F</th><th>precision</th><th>recall</th><th>best mIoU (oracle)</th></tr>\n");
    for (size_t i = 0; i < eval_method_count(); i++) {
        size_t method = eval_report_order(i);
        eval_summary s = eval_summarize(report->run, method, NULL, NULL);
        if (!s.fixed.rows) continue;
        tm_text_add(text, "<tr><th>");
        tm_text_xml(text, eval_method_title(method));
        tm_text_add(text, "</th><td>%zu</td><td>%.2f</td>", s.fixed.rows, eval_report_threshold(report, method));
        add_figure(text, "<td>", s.fixed.mean, "</td>");
        add_figure(text, "<td>", s.fixed.low, " to ");
        add_figure(text, "", s.fixed.high, "</td>");
        add_figure(text, "<td>", s.boundary_fixed, "</td>");
        add_figure(text, "<td>", s.precision, "</td>");
        add_figure(text, "<td>", s.recall, "</td>");
        tm_text_add(text, "<td>%.4f at %.2f</td></tr>\n", s.best, s.best_threshold);
    }
    tm_text_add(text, "</table>\n");
}

// ---- The rows

typedef struct page_row {
    const eval_record *record;
    size_t row, order;
} page_row;

// The worst first; equal ones in the order of the data.
static int compare_rows(const void *a, const void *b) {
    const page_row *x = a, *y = b;
    double left = x->record->rows[x->row].scores[EVAL_TAGMASK].fixed;
    double right = y->record->rows[y->row].scores[EVAL_TAGMASK].fixed;
    if (left != right) return left < right ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

// NULL: no memory.
static page_row *list_rows(const eval_run *run, size_t *count) {
    size_t total = 0;
    for (size_t i = 0; i < run->count; i++) total += run->records[i].row_count;
    page_row *rows = tm_calloc(total, sizeof *rows);
    *count = 0;
    for (size_t i = 0; rows && i < run->count; i++) {
        for (size_t r = 0; r < run->records[i].row_count; r++) {
            rows[*count] = (page_row){&run->records[i], r, *count};
            ++*count;
        }
    }
    if (rows) qsort(rows, total, sizeof *rows, compare_rows);
    return rows;
}

static bool stage_is_shown(const eval_run *run, size_t method) {
    for (size_t i = 0; i < run->count; i++) {
        for (size_t r = 0; r < run->records[i].row_count; r++) {
            if (eval_row_score(&run->records[i].rows[r], method)) return true;
        }
    }
    return false;
}

static void add_picture(tm_text *text, const page_row *at, const char *stage, const eval_score *score) {
    char *name = eval_page_name(at->record->file, at->row, stage);
    if (!name) text->failed = true;
    tm_text_add(text, "<td><img loading=\"lazy\" src=\"");
    if (name) tm_text_xml(text, name);
    tm_text_add(text, "\" alt=\"");
    tm_text_xml(text, stage ? stage : "photo");
    tm_text_add(text, "\">");
    if (score) add_figure(text, "IoU ", score->fixed, "");
    tm_text_add(text, "</td>");
    free(name);
}

static void add_row(tm_text *text, const eval_run *run, const page_row *at) {
    const eval_record *record = at->record;
    const eval_row_record *row = &record->rows[at->row];
    const eval_score *ours = &row->scores[EVAL_TAGMASK];
    add_figure(text, "<tr><td><b>IoU ", ours->fixed, "</b><br><b>");
    tm_text_xml(text, row->object);
    tm_text_add(text, "</b><br>");
    tm_text_xml(text, record->file);
    tm_text_add(text, "<br>set ");
    tm_text_xml(text, record->set);
    tm_text_add(text, "<br>%.1f %% of the photo%s", row->area * 100, record->salient ? ", salient" : "");
    add_figure(text, "<br>precision ", ours->precision, "");
    add_figure(text, "<br>recall ", ours->recall, "");
    add_figure(text, "<br>boundary F ", ours->boundary[0], "");
    add_figure(text, "<br>score ", row->tag.score, "");
    if (!isnan(row->tag.class_rank)) {
        tm_text_add(text, "<br>class rank %.0f, probability %.4f", row->tag.class_rank, row->tag.class_probability);
    }
    tm_text_add(text, "</td>");
    add_picture(text, at, NULL, NULL);
    for (size_t m = EVAL_METHODS; m < eval_method_count(); m++) {
        const eval_score *score = eval_row_score(row, m);
        if (score) {
            add_picture(text, at, eval_method_name(m), score);
        } else if (stage_is_shown(run, m)) {
            tm_text_add(text, "<td>does not apply</td>");
        }
    }
    if (row->resolved) {
        add_picture(text, at, EVAL_PAGE_PROPOSAL, NULL);
    } else {
        tm_text_add(text, "<td>no known tag</td>");
    }
    add_picture(text, at, EVAL_PAGE_TRUTH, NULL);
    tm_text_add(text, "</tr>\n");
}

static void add_rows(tm_text *text, const eval_run *run, const page_row *rows, size_t count) {
    tm_text_add(text, "<table>\n<thead><tr><th>row</th><th>photo</th>");
    for (size_t m = EVAL_METHODS; m < eval_method_count(); m++) {
        if (!stage_is_shown(run, m)) continue;
        tm_text_add(text, "<th>");
        tm_text_xml(text, eval_method_name(m));
        tm_text_add(text, "</th>");
    }
    tm_text_add(text, "<th>proposal</th><th>truth</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < count; i++) add_row(text, run, &rows[i]);
    tm_text_add(text, "</tbody>\n</table>\n");
}

tagmask_status eval_page_write(const eval_page *page, const eval_report *report, tm_error *err) {
    size_t count;
    tm_text text = {0};
    page_row *rows = list_rows(report->run, &count);
    char *path = tm_path_join(page->folder, "index.html");
    if (!rows || !path) {
        free(rows);
        free(path);
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for the page", page->folder);
    }
    tm_text_add(&text, "%s<p>%zu rows, way %d, the worst first.", head, count, report->way);
    if (report->failed) tm_text_add(&text, " %zu photos failed and are missing.", report->failed);
    tm_text_add(&text,
                " Stages from 0 <span class=\"scale\"></span> to 1; in the truth gray is void. Settings: <code>");
    tm_text_xml(&text, report->run->settings);
    tm_text_add(&text, "</code></p>\n");
    if (count) {
        add_summary(&text, report);
        add_rows(&text, report->run, rows, count);
    }
    tm_text_add(&text, "</body>\n</html>\n");
    tagmask_status status = tm_text_write(&text, path, err);
    free(rows);
    free(path);
    return status;
}
