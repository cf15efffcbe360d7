// The figures of `tagmask eval`: against numbers computed with numpy and scipy by the same definitions, hand-made
// cases, the bootstrap, and what is read and written.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/eval.h"
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
        for (size_t m = 0; m < EVAL_METHODS; m++) {
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
    eval_interval difference = eval_compare(&run, &other);
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

static void test_round_trip(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    char *folder = test_temporary_dir(), *path = tm_path_join(folder, "run.json");
    eval_run run = {.settings = tm_strdup("{\"way\":1}")}, read = {0};
    add(&run, make_record("photos/\"x\".jpg", "a", true, 2, 0.5));
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
    add(&run, make_record("a.jpg", "coco", true, 2, 0.5));
    add(&run, make_record("b.jpg", "fss", false, 1, 0.25));
    eval_report report = {.run = &run, .against = &run, .against_path = "old.json", .way = 2, .threshold = 0.5};
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    eval_print_report(&report, file);
    fclose(file);
    static const char *const expected[] = {"3 rows of 2 photos", "0.4167",     "centre box",
                                           "set      coco",      "MAE 0.0500", "old.json: +0.0000",
                                           "1 rows have a name"};
    for (size_t i = 0; i < TM_ARRAY_LEN(expected); i++) {
        if (!strstr(text, expected[i])) fail_msg("\"%s\" is not in:\n%s", expected[i], text);
    }
    free(text);
    text = eval_report_json(&report);
    assert_non_null(strstr(text, "\"best_threshold\":\t0.36"));
    free(text);
    eval_run_free(&run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_figures),    cmocka_unit_test(test_by_hand), cmocka_unit_test(test_means),
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_data),    cmocka_unit_test(test_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
