// `tagmask eval`: how good are the proposed masks on photos with ground truth? docs/evaluation.md is the protocol.
//
// data -> photos and rows (a row is one object of one photo); score -> figures of one map; absent -> tags of things
// that are not in a photo; record -> figures of one photo as JSON, so that an interrupted run goes on and a later run
// can be compared; stats -> means and intervals; report -> text and JSON; page -> pictures of every stage to look at.
#ifndef CLI_EVAL_H
#define CLI_EVAL_H

#include <stdio.h>

#include "base/base.h"
#include "cli/csv.h"

#define EVAL_THRESHOLDS 49  // 0.02, 0.04, ... 0.98
#define EVAL_BOUNDARIES 4   // the fixed threshold, then 0.3, 0.4 and 0.5
#define EVAL_VOID 254       // mask value that is left out of every figure

double eval_threshold(size_t index);

// ---- Data

typedef struct eval_row {  // one row of tags.csv
    const char *object;
    int mask_value;
    char *index_tag;  // "#444,671"; NULL without class indices
    double area;      // share of the photo
    bool scored;      // the protocol's filter, and within --limit
} eval_row;

typedef struct eval_photo {  // one row of index.csv
    const char *file, *mask, *set;
    bool salient;          // the mask is the whole salient object
    bool saliency_scored;  // salient, and within --limit
    eval_row *rows;
    size_t row_count, row_capacity, scored_count;
} eval_photo;

typedef struct eval_data {
    csv_table index, tags;
    eval_photo *photos;
    size_t photo_count, row_count, scored_count, saliency_count, last_found;
    uint64_t hash;  // of both tables
} eval_data;

// limit: only the first so many scored rows, and as many salient photos; 0: all.
tagmask_status eval_data_read(const char *folder, size_t limit, eval_data *data, tm_error *err);
void eval_data_free(eval_data *data);
// At most `wanted` tags ("#444,671") of other photos' objects of which none shares a class with any object of this one;
// which ones, only the names of the photo and the tags decide. tags belong to data. Returns their number, SIZE_MAX:
// no memory.
size_t eval_data_absent(const eval_data *data, const eval_photo *photo, size_t wanted, const char **tags);

// ---- Scores. Maps are row-major, width x height. truth and valid: one byte a pixel, 0 or 1.

typedef struct eval_score {
    double iou[EVAL_THRESHOLDS], fixed;
    double boundary[EVAL_BOUNDARIES];  // NaN where the truth's outline is void
    double precision, recall;          // at the fixed threshold, 0 of nothing; NaN: an earlier version wrote none
    bool known;                        // false: the method does not apply to the row
} eval_score;

typedef struct eval_truth {
    uint32_t width, height;
    uint8_t *truth, *valid;
    bool all_valid;
} eval_truth;

// Intersection over union of (probability >= t) and the truth over valid pixels, at every threshold.
void eval_ious(const float *probability, const eval_truth *truth, double ious[EVAL_THRESHOLDS]);
double eval_iou_at(const float *probability, double threshold, const eval_truth *truth);
double eval_iou_label(const uint8_t *labels, uint8_t label, const eval_truth *truth);
// F-measure of the outlines of (probability >= t) and the truth, matched within 2 px per 500 px of the long side.
// false: no memory.
bool eval_boundary_f(const float *probability, double threshold, const eval_truth *truth, double *f);
bool eval_score_map(const float *probability, double fixed, const eval_truth *truth, eval_score *score);
// Bilinear, pixel centres at .5, the border repeated.
void eval_resize(const float *map, uint32_t width, uint32_t height, uint32_t to_width, uint32_t to_height, float *to);
// The baseline that looks at nothing: 1 in the photo's centre, falling to 0 at its border. count of width * height.
void eval_centre_box(uint32_t width, uint32_t height, float *probability);

typedef struct eval_saliency {
    double mae, iou, precision[EVAL_THRESHOLDS], recall[EVAL_THRESHOLDS];
} eval_saliency;
void eval_saliency_map(const float *probability, const eval_truth *truth, eval_saliency *saliency);

// ---- Records

// What is scored for a row: these, then the stages in the order of tagmask_stage_name.
enum { EVAL_TAGMASK, EVAL_SALIENCY_ALONE, EVAL_CENTRE_BOX, EVAL_METHODS };
size_t eval_method_count(void);
const char *eval_method_name(size_t method);
// What is compared with the proposal's threshold is cut there, other stages at 0.5.
double eval_stage_threshold(const char *stage, double threshold);

// How sure a proposal is of its tag.
typedef struct eval_tag_score {
    bool proposed;  // it has a region
    double score;   // mean probability inside the regions; 0 without one
    // Of the first tag that --auto would give with a class of this one, and its place there; NaN: none has.
    double class_rank, class_probability;
} eval_tag_score;

typedef struct eval_row_record {
    char *object;
    int mask_value;
    double area;
    bool resolved;     // way 2: the object's name is a known tag; false scores 0
    double label_iou;  // of the label map, as label files show it
    eval_tag_score tag;
    eval_score scores[EVAL_METHODS];
    eval_score *stages;  // one for each of tagmask_stage_name; NULL: none is known
} eval_row_record;
// NULL: the method does not apply to the row.
const eval_score *eval_row_score(const eval_row_record *row, size_t method);
// Fills stages with one score each that is not known; false: no memory.
bool eval_row_make_stages(eval_row_record *row);

typedef struct eval_absent_record {
    char *tag;
    eval_tag_score score;
} eval_absent_record;

typedef struct eval_record {
    char *file, *set;
    bool salient, has_saliency;
    double ms;  // of the photo's first proposal, with its session
    eval_row_record *rows;
    size_t row_count;
    eval_absent_record *absent;
    size_t absent_count;
    eval_saliency saliency;
} eval_record;

typedef struct eval_run {
    char *settings;  // one line of JSON: what the figures depend on
    eval_record *records;
    size_t count, capacity;
} eval_run;

void eval_record_free(eval_record *record);
void eval_run_free(eval_run *run);
// Takes the record over, also on failure (then it is freed).
tagmask_status eval_run_add(eval_run *run, eval_record *record, tm_error *err);
const eval_record *eval_run_find(const eval_run *run, const char *file);
char *eval_record_text(const eval_record *record);  // one line; malloc'ed, NULL without memory
// Reads what --out wrote, or the lines of an interrupted run (a last line that is cut short is dropped).
tagmask_status eval_run_read(const char *path, eval_run *run, tm_error *err);
// summary: a JSON text to put beside the records, or NULL.
tagmask_status eval_run_write(const char *path, const eval_run *run, const char *summary, tm_error *err);

// ---- Means

int eval_compare_doubles(const void *a, const void *b);  // for qsort

typedef struct eval_interval {
    double mean, low, high;  // 95 % by bootstrap, photos resampled
    size_t rows, photos;
} eval_interval;

typedef struct eval_summary {
    eval_interval fixed;
    double best, best_threshold;           // chosen on this very set: an oracle
    double boundary_fixed, boundary_best;  // best: of 0.3, 0.4 and 0.5; NaN without such rows
    size_t boundary_rows;
    double precision, recall;  // means over the rows at the fixed threshold; NaN without such rows
} eval_summary;

// Chooses rows: NULL takes all.
typedef bool (*eval_choose)(const eval_record *record, const eval_row_record *row, const void *what);
eval_summary eval_summarize(const eval_run *run, size_t method, eval_choose choose, const void *what);
double eval_mean_label_iou(const eval_run *run);
// The difference of the rows for which both runs hold the method, this run minus the other.
eval_interval eval_compare(const eval_run *run, const eval_run *other, size_t method);

typedef struct eval_saliency_summary {
    double mae, max_f, iou;
    size_t photos;
} eval_saliency_summary;
eval_saliency_summary eval_summarize_saliency(const eval_run *run);

#define EVAL_BINS 10  // of a histogram of scores, 0 to 1
typedef struct eval_absent_summary {
    size_t absent, absent_photos, present;
    double absent_share, present_share;  // of the tags that have a region; NaN without such tags
    // How often a present tag has the higher figure than an absent one, ties half: the area under the ROC curve.
    double score_auc, probability_auc;
    size_t absent_bins[EVAL_BINS], present_bins[EVAL_BINS];  // of the score; the last bin holds 1, too
} eval_absent_summary;
eval_absent_summary eval_summarize_absent(const eval_run *run);

// ---- Report

typedef struct eval_report {
    const eval_run *run, *against;
    const char *against_path;
    int way;
    double threshold;
    size_t failed;  // photos
} eval_report;
// The method at a position of the report: baselines, stages, the proposal.
size_t eval_report_order(size_t position);
const char *eval_method_title(size_t method);  // for people
double eval_report_threshold(const eval_report *report, size_t method);
void eval_print_report(const eval_report *report, FILE *file);
char *eval_report_json(const eval_report *report);  // malloc'ed, NULL without memory

#endif
