// The figures of `tagmask eval`: against numbers computed with numpy and scipy by the same definitions, hand-made
// cases, the bootstrap, and what is read and written.
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/eval.h"
#include "io/text.h"
#include "support.h"

// A soft ellipse with a texture against a disc; the same formula made the numbers below.
typedef struct figure_case {
    int width, height, cx, cy, r, gx, gy, gr, has_void;
    double iou[5];  // at thresholds 0.02, 0.20, 0.50, 0.82, and the sum over all
    double boundary[EVAL_BOUNDARIES];
    double mae, precision_sum, recall_sum, iou_half;
} figure_case;

static const figure_case cases[] = {
    {31,
     23,
     14,
     11,
     12,
     16,
     10,
     8,
     0,
     {0.450800915, 0.595744681, 0.547169811, 0.076142132, 19.265519103},
     {0.416356877, 0.467532468, 0.584958217, 0.384615385},
     0.206669966,
     38.802295674,
     27.218274112,
     0.547169811},
    {640,
     40,
     300,
     20,
     60,
     320,
     22,
     19,
     0,
     {0.240249946, 0.281423523, 0.337995338, 0.093264249, 11.315958520},
     {0.000000000, 0.101630721, 0.311730692, 0.323101777},
     0.077289555,
     15.792329847,
     30.730044843,
     0.337995338},
    {40,
     400,
     15,
     180,
     90,
     20,
     200,
     30,
     0,
     {0.313647360, 0.365930599, 0.488052872, 0.167694205, 16.078430659},
     {0.000000000, 0.000000000, 0.165271967, 0.123032009},
     0.170410942,
     25.669016000,
     33.052631579,
     0.488052872},
    {25,
     25,
     12,
     12,
     10,
     10,
     13,
     7,
     1,
     {0.514814815, 0.635071090, 0.526666667, 0.079136691, 19.493511633},
     {NAN, NAN, NAN, NAN},
     0.172256547,
     39.885443344,
     26.100719424,
     0.526666667},
    {20, 10, 5, 5, 4, 100, 100, 3, 0, {0, 0, 0, 0, 0}, {0, 0, 0, 0}, 0.094062500, 0, 0, 0},
};

static float *make_case(const figure_case *c, eval_truth *truth) {
    size_t count = (size_t)c->width * (size_t)c->height;
    float *p = malloc(count * sizeof *p);
    uint8_t *bytes = malloc(2 * count);
    assert_true(p && bytes);
    *truth = (eval_truth){(uint32_t)c->width, (uint32_t)c->height, bytes, bytes + count, !c->has_void};
    for (int y = 0; y < c->height; y++) {
        for (int x = 0; x < c->width; x++) {
            size_t at = (size_t)y * (size_t)c->width + (size_t)x;
            double d = (double)(x - c->cx) * (x - c->cx) + (double)(y - c->cy) * (y - c->cy);
            double soft = fmax(1 - d / ((double)c->r * c->r), 0);
            p[at] = (float)(soft * (0.5 + (double)((x * 7 + y * 13) % 64) / 128));
            int g = (x - c->gx) * (x - c->gx) + (y - c->gy) * (y - c->gy);
            truth->valid[at] = !c->has_void || (x + y) % 11 != 0;
            truth->truth[at] = g <= c->gr * c->gr && truth->valid[at];
        }
    }
    return p;
}

#define NEAR(a, b) assert_true(fabs((a) - (b)) < 2e-9)

static void test_figures(void **state) {
    (void)state;
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        const figure_case *c = &cases[i];
        eval_truth truth;
        float *p = make_case(c, &truth);
        eval_score score;
        assert_true(eval_score_map(p, 0.26, &truth, &score));
        double sum = 0;
        for (size_t k = 0; k < EVAL_THRESHOLDS; k++) sum += score.iou[k];
        static const size_t at[] = {0, 9, 24, 40};
        for (size_t k = 0; k < 4; k++) NEAR(score.iou[at[k]], c->iou[k]);
        assert_true(fabs(sum - c->iou[4]) < 1e-7);
        for (size_t k = 0; k < EVAL_BOUNDARIES; k++) {
            assert_int_equal(isnan(score.boundary[k]), isnan(c->boundary[k]));
            if (!isnan(c->boundary[k])) NEAR(score.boundary[k], c->boundary[k]);
        }
        eval_saliency saliency;
        eval_saliency_map(p, &truth, &saliency);
        double precision = 0, recall = 0;
        for (size_t k = 0; k < EVAL_THRESHOLDS; k++) {
            precision += saliency.precision[k];
            recall += saliency.recall[k];
            // One pass over a histogram and a plain count agree exactly.
            assert_true(score.iou[k] == eval_iou_at(p, eval_threshold(k), &truth));
        }
        assert_true(fabs(precision - c->precision_sum) < 1e-7 && fabs(recall - c->recall_sum) < 1e-7);
        NEAR(saliency.mae, c->mae);
        NEAR(saliency.iou, c->iou_half);
        free(p);
        free(truth.truth);
    }
    NEAR(eval_threshold(0), 0.02);
    assert_true(eval_threshold(24) == 0.5);
    NEAR(eval_threshold(EVAL_THRESHOLDS - 1), 0.98);
}

static void test_by_hand(void **state) {
    (void)state;
    // 4 x 2, one void pixel. Truth: the left half. Map: the top row.
    uint8_t truth_bytes[8] = {1, 1, 0, 0, 1, 1, 0, 0}, valid[8] = {1, 1, 1, 1, 0, 1, 1, 1}, labels[8] = {2, 2, 2, 2};
    float p[8] = {0.5f, 0.5f, 0.5f, 0.5f};
    eval_truth truth = {4, 2, truth_bytes, valid, false};
    NEAR(eval_iou_at(p, 0.5, &truth), 2.0 / 5);
    NEAR(eval_iou_at(p, 0.51, &truth), 0);
    NEAR(eval_iou_label(labels, 2, &truth), 2.0 / 5);
    NEAR(eval_iou_label(labels, 1, &truth), 0);
    eval_score score;
    assert_true(eval_score_map(p, 0.5, &truth, &score));
    NEAR(score.precision, 2.0 / 4);
    NEAR(score.recall, 2.0 / 3);
    assert_true(eval_score_map(p, 0.51, &truth, &score));
    NEAR(score.precision, 0);
    NEAR(score.recall, 0);
    double f;
    assert_true(eval_boundary_f(p, 0.5, &truth, &f));
    assert_true(isnan(f));
    // The outline of a mask that fills the picture is empty: the border is no outline.
    truth.all_valid = true;
    memset(truth_bytes, 1, sizeof truth_bytes);
    assert_true(eval_boundary_f(p, 0.0, &truth, &f));
    NEAR(f, 0);
    float box[9];
    eval_centre_box(3, 3, box);
    NEAR(box[0], 0);
    assert_true(fabs(box[4] - 2.0 / 3) < 1e-6 && box[4] > box[3]);
}

static void test_resize(void **state) {
    (void)state;
    const float map[6] = {0, 1, 0.5f, 0, 1, 0.5f}, column[2] = {1, 0};
    float same[6], wide[8], row[3];
    eval_resize(map, 3, 2, 3, 2, same);
    assert_memory_equal(same, map, sizeof map);
    // Two pixels onto four: centres at -0.25, 0.25, 0.75 and 1.25 of the first.
    eval_resize(column, 2, 1, 4, 2, wide);
    static const float expected[4] = {1, 0.75f, 0.25f, 0};
    assert_memory_equal(wide, expected, sizeof expected);
    assert_memory_equal(wide + 4, expected, sizeof expected);
    eval_resize(column, 1, 2, 3, 1, row);
    for (int i = 0; i < 3; i++) NEAR(row[i], 0.5);
}

// ---- Runs

static eval_record make_record(const char *file, const char *set, bool salient, size_t rows, double fixed) {
    eval_record record = {.file = tm_strdup(file), .set = tm_strdup(set), .salient = salient, .ms = 12.5};
    record.rows = tm_calloc(rows, sizeof *record.rows);
    record.row_count = rows;
    for (size_t r = 0; r < rows; r++) {
        eval_row_record *row = &record.rows[r];
        row->object = tm_format("thing %zu", r);
        row->mask_value = (int)r + 1;
        row->area = 0.1 * (double)(r + 1);
        row->resolved = r == 0;
        row->label_iou = 0.25;
        row->tag = (eval_tag_score){true, 0.5 + 0.1 * (double)r, r ? NAN : 7, r ? NAN : 0.125};
        for (size_t m = 0; m < EVAL_METHODS; m++) {
            row->scores[m].known = true;
            row->scores[m].precision = r ? NAN : fixed + 0.1;
            row->scores[m].recall = fixed + 0.2;
            row->scores[m].fixed = fixed + 0.01 * (double)m;
            row->scores[m].iou[17] = fixed + 0.2;
            for (size_t k = 0; k < EVAL_BOUNDARIES; k++) row->scores[m].boundary[k] = r ? NAN : 0.1 * (double)k;
        }
    }
    record.has_saliency = salient;
    record.saliency.mae = 0.05;
    record.saliency.iou = 0.8;
    for (size_t k = 0; k < EVAL_THRESHOLDS; k++) record.saliency.precision[k] = record.saliency.recall[k] = 0.5;
    return record;
}

static void add(eval_run *run, eval_record record) {
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(eval_run_add(run, &record, &err), &err);
}

static void test_means(void **state) {
    (void)state;
    eval_run run = {.settings = tm_strdup("{}")}, other = {.settings = tm_strdup("{}")};
    for (int i = 0; i < 20; i++) {
        char name[20];
        snprintf(name, sizeof name, "p%d.jpg", i);
        add(&run, make_record(name, i % 2 ? "a" : "b", i < 5, i == 0 ? 3 : 1, i % 2 ? 0.75 : 0.25));
        add(&other, make_record(name, "a", false, 1, (i % 2 ? 0.75 : 0.25) - 0.125));
    }
    eval_summary all = eval_summarize(&run, EVAL_TAGMASK, NULL, NULL);
    assert_int_equal(all.fixed.rows, 22);
    assert_int_equal(all.fixed.photos, 20);
    NEAR(all.fixed.mean, (12 * 0.25 + 10 * 0.75) / 22);
    assert_true(all.fixed.low < all.fixed.mean && all.fixed.mean < all.fixed.high);
    assert_true(all.fixed.high - all.fixed.low > 0.1 && all.fixed.high - all.fixed.low < 0.5);
    NEAR(all.best, all.fixed.mean + 0.2);
    NEAR(all.best_threshold, 0.36);
    assert_int_equal(all.boundary_rows, 20);
    NEAR(all.boundary_fixed, 0);
    NEAR(all.boundary_best, 0.3);
    // A constant difference has an interval of no width, however the photos are drawn.
    NEAR(all.precision, 0.6);
    eval_interval difference = eval_compare(&run, &other, EVAL_TAGMASK);
    assert_int_equal(difference.rows, 20);
    NEAR(difference.mean, 0.125);
    NEAR(difference.low, 0.125);
    NEAR(difference.high, 0.125);
    NEAR(eval_mean_label_iou(&run), 0.25);
    eval_saliency_summary saliency = eval_summarize_saliency(&run);
    assert_int_equal(saliency.photos, 5);
    NEAR(saliency.mae, 0.05);
    assert_true(fabs(saliency.max_f - 0.5) < 1e-6);
    eval_run_free(&run);
    eval_run_free(&other);
}

// A row's only stage, the second.
static void add_stage(eval_row_record *row, double fixed) {
    assert_true(eval_row_make_stages(row));
    eval_score *stage = &row->stages[1];
    *stage = row->scores[EVAL_TAGMASK];
    stage->fixed = fixed;
    stage->iou[3] = fixed + 0.1;
}

// A run that goes on has the very same numbers.
static void test_last_digits(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    char *folder = test_temporary_dir(), *path = tm_path_join(folder, "run.json");
    test_random random = {7};
    eval_run run = {.settings = tm_strdup("{}")}, read = {0};
    eval_record record = make_record("a.jpg", "s", false, 1, 1.0 / 3);
    double *iou = record.rows[0].scores[0].iou;
    for (size_t k = 0; k < EVAL_THRESHOLDS; k++) iou[k] = (double)test_uniform(&random, 0, 1) / 3;
    add(&run, record);
    assert_ok(eval_run_write(path, &run, NULL, &err), &err);
    assert_ok(eval_run_read(path, &read, &err), &err);
    assert_memory_equal(read.records[0].rows[0].scores[0].iou, run.records[0].rows[0].scores[0].iou,
                        sizeof run.records[0].rows[0].scores[0].iou);
    eval_run_free(&run);
    eval_run_free(&read);
    free(path);
    free(folder);
}

static void test_stages(void **state) {
    (void)state;
    const size_t method = EVAL_METHODS + 1;
    assert_true(eval_method_count() >= EVAL_METHODS + 5);
    assert_string_equal(eval_method_name(EVAL_SALIENCY_ALONE), "saliency_alone");
    assert_string_equal(eval_method_name(EVAL_METHODS), "cam");
    assert_null(eval_method_name(eval_method_count()));
    assert_true(eval_stage_threshold("probability", 0.3) == 0.3 && eval_stage_threshold("cam", 0.3) == 0.5);
    // The report's order holds every method once, the proposal last.
    size_t seen = 0;
    for (size_t i = 0; i < eval_method_count(); i++) seen |= (size_t)1 << eval_report_order(i);
    assert_true(seen == ((size_t)1 << eval_method_count()) - 1);
    assert_int_equal(eval_report_order(eval_method_count() - 1), EVAL_TAGMASK);
    // Rows without the stage count in none of its figures.
    eval_run run = {.settings = tm_strdup("{}")}, other = {.settings = tm_strdup("{}")};
    for (int i = 0; i < 6; i++) {
        char name[20];
        snprintf(name, sizeof name, "p%d.jpg", i);
        eval_record record = make_record(name, "a", false, 2, 0.5), old = make_record(name, "a", false, 2, 0.5);
        if (i) add_stage(&record.rows[1], 0.5 + 0.01 * i);
        if (i < 4) add_stage(&old.rows[1], 0.25 + 0.01 * i);
        add(&run, record);
        add(&other, old);
    }
    eval_summary stage = eval_summarize(&run, method, NULL, NULL);
    assert_int_equal(stage.fixed.rows, 5);
    assert_int_equal(stage.fixed.photos, 5);
    NEAR(stage.fixed.mean, 0.53);
    NEAR(stage.best, 0.7);
    assert_int_equal(stage.boundary_rows, 0);
    assert_true(isnan(stage.boundary_fixed) && isnan(stage.precision));
    assert_int_equal(eval_summarize(&run, EVAL_METHODS, NULL, NULL).fixed.rows, 0);
    eval_interval difference = eval_compare(&run, &other, method);
    assert_int_equal(difference.rows, 3);
    NEAR(difference.mean, 0.25);
    NEAR(difference.low, 0.25);
    NEAR(difference.high, 0.25);
    eval_run_free(&run);
    eval_run_free(&other);
}

static void test_round_trip(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    char *folder = test_temporary_dir(), *path = tm_path_join(folder, "run.json");
    eval_run run = {.settings = tm_strdup("{\"way\":1}")}, read = {0};
    eval_record full = make_record("photos/\"x\".jpg", "a", true, 2, 0.5);
    add_stage(&full.rows[0], 0.625);
    full.absent = tm_calloc(2, sizeof *full.absent);
    full.absent[full.absent_count++] = (eval_absent_record){tm_strdup("#1,2"), {true, 0.75, 3, 0.25}};
    full.absent[full.absent_count++] = (eval_absent_record){tm_strdup("#4"), {false, 0, NAN, NAN}};
    full.rows[1].scores[EVAL_CENTRE_BOX].known = false;
    add(&run, full);
    add(&run, make_record("y.jpg", "b", false, 0, 0));
    assert_ok(eval_run_write(path, &run, "{\"note\":1}", &err), &err);
    assert_ok(eval_run_read(path, &read, &err), &err);
    assert_string_equal(read.settings, run.settings);
    assert_int_equal(read.count, 2);
    for (size_t i = 0; i < 2; i++) {
        char *a = eval_record_text(&run.records[i]), *b = eval_record_text(&read.records[i]);
        assert_string_equal(a, b);
        free(a);
        free(b);
    }
    assert_true(isnan(read.records[0].rows[1].scores[0].boundary[0]));
    assert_true(eval_row_score(&read.records[0].rows[0], EVAL_METHODS + 1)->fixed == 0.625);
    assert_null(eval_row_score(&read.records[0].rows[0], EVAL_METHODS));
    assert_null(eval_row_score(&read.records[0].rows[1], EVAL_CENTRE_BOX));
    assert_int_equal(read.records[0].absent_count, 2);
    assert_true(read.records[0].absent[0].score.score == 0.75 && isnan(read.records[0].absent[1].score.class_rank));
    eval_run_free(&read);
    // The lines of an interrupted run; the last one was cut short.
    char *line = eval_record_text(&run.records[0]);
    char *text = tm_format("%s\n%s\n%.100s", run.settings, line, line);
    assert_ok(tm_write_file(path, text, strlen(text), &err), &err);
    assert_ok(eval_run_read(path, &read, &err), &err);
    assert_int_equal(read.count, 1);
    assert_non_null(eval_run_find(&read, "photos/\"x\".jpg"));
    assert_null(eval_run_find(&read, "z"));
    eval_run_free(&read);
    static const char *const bad[] = {
        "", "{\"format\":1}", "{\"format\":1,\"settings\":{},\"photos\":[5]}", "{}\n{\"file\":\"x\"}\n", "{}\n5\n",
        "x"};
    for (size_t i = 0; i < TM_ARRAY_LEN(bad); i++) {
        assert_ok(tm_write_file(path, bad[i], strlen(bad[i]), &err), &err);
        if (eval_run_read(path, &read, &err) == TAGMASK_OK) fail_msg("accepted: %s", bad[i]);
    }
    free(text);
    free(line);
    free(path);
    free(folder);
    eval_run_free(&run);
}

// Earlier versions wrote no stages, precision and scores of tags.
static void test_earlier_version(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    char *folder = test_temporary_dir(), *path = tm_path_join(folder, "old.json");
    tm_text text = {0};
    tm_text_add(&text,
                "{}\n{\"file\":\"a.jpg\",\"set\":\"s\",\"ms\":1,\"rows\":[{\"object\":\"x\",\"mask_value\":1,"
                "\"area\":0.5,\"label_iou\":0.5");
    for (size_t m = 0; m < EVAL_METHODS; m++) {
        tm_text_add(&text, ",\"%s\":{\"iou_fixed\":0.25,\"iou\":[", eval_method_name(m));
        for (size_t k = 0; k < EVAL_THRESHOLDS; k++) tm_text_add(&text, "%s0.5", k ? "," : "");
        tm_text_add(&text, "],\"boundary\":[0,0,0,null]}");
    }
    tm_text_add(&text, "}]}\n");
    assert_ok(tm_text_write(&text, path, &err), &err);
    eval_run run = {0};
    assert_ok(eval_run_read(path, &run, &err), &err);
    assert_int_equal(run.count, 1);
    const eval_row_record *row = &run.records[0].rows[0];
    assert_true(isnan(row->scores[0].precision) && isnan(row->tag.score) && isnan(row->tag.class_rank));
    assert_null(eval_row_score(row, EVAL_METHODS));
    assert_true(isnan(eval_summarize(&run, EVAL_TAGMASK, NULL, NULL).recall));
    eval_run_free(&run);
    free(path);
    free(folder);
}

static bool shares_class(const char *a, const char *b) {
    for (const char *x = a; (x = strpbrk(x, "#,")) != NULL;) {
        long index = strtol(++x, NULL, 10);
        for (const char *y = b; (y = strpbrk(y, "#,")) != NULL;) {
            if (strtol(++y, NULL, 10) == index) return true;
        }
    }
    return false;
}

static void test_absent(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    char *folder = test_temporary_dir(), *index = tm_path_join(folder, "index.csv");
    char *tags = tm_path_join(folder, "tags.csv");
    static const char index_text[] =
        "file,set,salient,mask\na.jpg,s,0,a.png\nb.jpg,s,0,b.png\nc.jpg,s,0,c.png\nd.jpg,s,0,d.png\n";
    static const char tags_text[] =
        "file,mask_value,object,imagenet_indices,tag_quality,class_complete,area_frac\n"
        "a.jpg,1,cat,281;282,generic,1,0.5\na.jpg,2,mug,504,approx,0,0.001\n"
        "b.jpg,1,tabby,281,exact,1,0.5\nb.jpg,2,person,,,1,0.5\nb.jpg,3,dog,5;6;7,exact,1,0.5\n"
        "c.jpg,1,cup,504;968,exact,1,0.5\nc.jpg,2,dog,5;6;7,exact,1,0.5\nd.jpg,1,bus,28,exact,1,0.5\n";
    assert_ok(tm_write_file(index, index_text, strlen(index_text), &err), &err);
    assert_ok(tm_write_file(tags, tags_text, strlen(tags_text), &err), &err);
    eval_data data, limited;
    assert_ok(eval_data_read(folder, 0, &data, &err), &err);
    assert_ok(eval_data_read(folder, 1, &limited, &err), &err);
    assert_true(data.hash == limited.hash);
    static const size_t expected[] = {2, 3, 3, 5};  // a.jpg: neither tabby (281) nor cup (504)
    for (size_t i = 0; i < data.photo_count; i++) {
        const eval_photo *photo = &data.photos[i];
        const char *found[8], *again[8];
        size_t count = eval_data_absent(&data, photo, 8, found);
        assert_int_equal(count, expected[i]);
        for (size_t k = 0; k < count; k++) {
            for (size_t r = 0; r < photo->row_count; r++) {
                if (photo->rows[r].index_tag) assert_false(shares_class(found[k], photo->rows[r].index_tag));
            }
            for (size_t j = 0; j < k; j++) assert_string_not_equal(found[j], found[k]);
        }
        // Which ones depends neither on how many are wanted nor on --limit.
        assert_int_equal(eval_data_absent(&limited, &limited.photos[i], 1, again), 1);
        assert_string_equal(again[0], found[0]);
    }
    eval_data_free(&data);
    eval_data_free(&limited);
    const char changed[] =
        "file,mask_value,object,imagenet_indices,tag_quality,class_complete,area_frac\na.jpg,1,cat,28,exact,1,0.5\n";
    assert_ok(tm_write_file(tags, changed, strlen(changed), &err), &err);
    assert_ok(eval_data_read(folder, 0, &limited, &err), &err);
    const char *none[1];
    assert_int_equal(eval_data_absent(&limited, &limited.photos[0], 1, none), 0);
    eval_data_free(&limited);
    free(index);
    free(tags);
    free(folder);
}

static void test_absent_figures(void **state) {
    (void)state;
    eval_run run = {.settings = tm_strdup("{}")};
    assert_int_equal(eval_summarize_absent(&run).absent, 0);
    eval_record record = make_record("a.jpg", "s", false, 2, 0.5);  // scores 0.5 and 0.6, the second without a class
    static const eval_tag_score absent[] = {{true, 0.5, 2, 0.5}, {true, 0.75, 900, 0.0625}, {false, 0, NAN, NAN}};
    record.absent = tm_calloc(3, sizeof *record.absent);
    for (size_t i = 0; i < 3; i++) {
        record.absent[record.absent_count++] = (eval_absent_record){tm_strdup("#1"), absent[i]};
    }
    record.rows[1].tag.proposed = false;
    add(&run, record);
    add(&run, make_record("b.jpg", "s", false, 1, 0.5));  // no absent tag was tried there
    eval_absent_summary s = eval_summarize_absent(&run);
    assert_int_equal(s.absent, 3);
    assert_int_equal(s.absent_photos, 1);
    assert_int_equal(s.present, 2);
    NEAR(s.absent_share, 2.0 / 3);
    NEAR(s.present_share, 0.5);
    NEAR(s.score_auc, (1.5 + 2) / 6);  // 0.5: one below and one equal; 0.6: two below
    NEAR(s.probability_auc, 1.0 / 2);  // 0.125 over 0.0625, not over 0.5
    assert_true(s.absent_bins[0] == 1 && s.absent_bins[5] == 1 && s.absent_bins[7] == 1);
    assert_true(s.present_bins[5] + s.present_bins[6] == 2);
    eval_run_free(&run);
}

static void test_data(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    char *folder = test_temporary_dir(), *index = tm_path_join(folder, "index.csv");
    char *tags = tm_path_join(folder, "tags.csv");
    const char index_text[] =
        "file,set,source,salient,mask\r\na.jpg,coco,\"x, \"\"y\"\"\nz\",1,a.png\r\nb.jpg,fss,,0,b.png\n";
    const char tags_text[] =
        "file,mask_value,object,imagenet_indices,tag_quality,class_complete,area_frac\n"
        "a.jpg,1,cat,281;282,generic,1,0.02\na.jpg,2,person,,,1,0.5\nb.jpg,3,dog,5,exact,1,0.3\n"
        "b.jpg,4,cow,5,approx,1,0.3\nb.jpg,5,cow,5,exact,0,0.3\nb.jpg,6,cow,5,exact,1,0.019\n";
    assert_ok(tm_write_file(index, index_text, strlen(index_text), &err), &err);
    assert_ok(tm_write_file(tags, tags_text, strlen(tags_text), &err), &err);
    eval_data data;
    assert_ok(eval_data_read(folder, 0, &data, &err), &err);
    assert_int_equal(data.photo_count, 2);
    assert_int_equal(data.row_count, 6);
    assert_int_equal(data.scored_count, 2);
    assert_int_equal(data.saliency_count, 1);
    assert_string_equal(data.photos[0].rows[0].index_tag, "#281,282");
    assert_true(data.photos[0].rows[0].scored && !data.photos[0].rows[1].scored && data.photos[1].rows[0].scored);
    assert_null(data.photos[0].rows[1].index_tag);
    eval_data_free(&data);
    assert_ok(eval_data_read(folder, 1, &data, &err), &err);
    assert_int_equal(data.scored_count, 1);
    eval_data_free(&data);
    const char orphan[] =
        "file,mask_value,object,imagenet_indices,tag_quality,class_complete,area_frac\nq.jpg,1,a,1,exact,1,1\n";
    assert_ok(tm_write_file(tags, orphan, strlen(orphan), &err), &err);
    assert_int_equal(eval_data_read(folder, 0, &data, &err), TAGMASK_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "q.jpg"));
    assert_ok(tm_write_file(tags, "file\n", 5, &err), &err);
    assert_int_equal(eval_data_read(folder, 0, &data, &err), TAGMASK_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "mask_value"));
    free(index);
    free(tags);
    free(folder);
}

static void test_report(void **state) {
    (void)state;
    eval_run run = {.settings = tm_strdup("{}")};
    eval_record first = make_record("a.jpg", "coco", true, 2, 0.5);
    add_stage(&first.rows[0], 0.875);
    first.absent = tm_calloc(1, sizeof *first.absent);
    first.absent[first.absent_count++] = (eval_absent_record){tm_strdup("#1"), {true, 0.25, 3, 0.25}};
    add(&run, first);
    add(&run, make_record("b.jpg", "fss", false, 1, 0.25));
    eval_report report = {.run = &run, .against = &run, .against_path = "old.json", .way = 2, .threshold = 0.5};
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    eval_print_report(&report, file);
    fclose(file);
    static const char *const expected[] = {"3 rows of 2 photos",
                                           "0.4167",
                                           "centre box",
                                           "set      coco",
                                           "MAE 0.0500",
                                           "less that of old.json",
                                           "tagmask        +0.0000",
                                           "affinity       +0.0000",
                                           "affinity           1  0.50  0.8750",
                                           "1 absent tags on 1 photos: 1.0000",
                                           "1 rows have a name"};
    for (size_t i = 0; i < TM_ARRAY_LEN(expected); i++) {
        if (!strstr(text, expected[i])) fail_msg("\"%s\" is not in:\n%s", expected[i], text);
    }
    free(text);
    text = eval_report_json(&report);
    assert_non_null(strstr(text, "\"best_threshold\":\t0.36"));
    cJSON *root = cJSON_Parse(text);
    const cJSON *stages = cJSON_GetObjectItem(root, "stages");
    assert_int_equal(cJSON_GetArraySize(stages), 1);
    NEAR(cJSON_GetObjectItem(cJSON_GetObjectItem(stages, "affinity"), "mIoU")->valuedouble, 0.875);
    NEAR(cJSON_GetObjectItem(cJSON_GetObjectItem(stages, "affinity"), "recall")->valuedouble, 0.7);
    const cJSON *against = cJSON_GetObjectItem(cJSON_GetObjectItem(root, "against"), "stages");
    NEAR(cJSON_GetObjectItem(cJSON_GetObjectItem(against, "affinity"), "rows")->valuedouble, 1);
    const cJSON *group = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "groups"), 0);
    NEAR(cJSON_GetObjectItem(cJSON_GetObjectItem(group, "stages"), "affinity")->valuedouble, 0.875);
    NEAR(cJSON_GetObjectItem(cJSON_GetObjectItem(root, "absent"), "score_AUC")->valuedouble, 1);
    cJSON_Delete(root);
    free(text);
    eval_run_free(&run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_figures),    cmocka_unit_test(test_by_hand),         cmocka_unit_test(test_resize),
        cmocka_unit_test(test_means),      cmocka_unit_test(test_stages),          cmocka_unit_test(test_last_digits),
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_earlier_version), cmocka_unit_test(test_data),
        cmocka_unit_test(test_absent),     cmocka_unit_test(test_absent_figures),  cmocka_unit_test(test_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
