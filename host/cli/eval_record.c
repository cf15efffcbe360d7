// Figures of photos as JSON: one line a photo while a run goes on, one file when it is done.
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/eval.h"

#define LARGEST_FILE ((size_t)256 << 20)

static size_t stage_count(void) {
    size_t count = 0;
    while (tagmask_stage_name(count)) count++;
    return count;
}

size_t eval_method_count(void) {
    return EVAL_METHODS + stage_count();
}

const char *eval_method_name(size_t method) {
    static const char *const names[EVAL_METHODS] = {"tagmask", "saliency_alone", "centre_box"};
    return method < EVAL_METHODS ? names[method] : tagmask_stage_name(method - EVAL_METHODS);
}

double eval_stage_threshold(const char *stage, double threshold) {
    return strcmp(stage, "probability") ? 0.5 : threshold;
}

const eval_score *eval_row_score(const eval_row_record *row, size_t method) {
    const eval_score *score = method < EVAL_METHODS ? &row->scores[method]
                              : row->stages         ? &row->stages[method - EVAL_METHODS]
                                                    : NULL;
    return score && score->known ? score : NULL;
}

bool eval_row_make_stages(eval_row_record *row) {
    row->stages = tm_calloc(stage_count(), sizeof *row->stages);
    return row->stages != NULL;
}

void eval_record_free(eval_record *record) {
    for (size_t i = 0; i < record->row_count; i++) {
        free(record->rows[i].object);
        free(record->rows[i].stages);
    }
    for (size_t i = 0; i < record->absent_count; i++) free(record->absent[i].tag);
    free(record->absent);
    free(record->rows);
    free(record->file);
    free(record->set);
    memset(record, 0, sizeof *record);
}

void eval_run_free(eval_run *run) {
    for (size_t i = 0; i < run->count; i++) eval_record_free(&run->records[i]);
    free(run->records);
    free(run->settings);
    memset(run, 0, sizeof *run);
}

tagmask_status eval_run_add(eval_run *run, eval_record *record, tm_error *err) {
    if (!tm_grow((void **)&run->records, &run->capacity, run->count + 1, sizeof *run->records)) {
        eval_record_free(record);
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the results of another photo");
    }
    run->records[run->count++] = *record;
    memset(record, 0, sizeof *record);
    return TAGMASK_OK;
}

const eval_record *eval_run_find(const eval_run *run, const char *file) {
    for (size_t i = 0; i < run->count; i++) {
        if (!strcmp(run->records[i].file, file)) return &run->records[i];
    }
    return NULL;
}

// ---- Writing

// cJSON drops a last digit here and there. With all of them a run that goes on after an interruption ends with exactly
// the figures of one that was not interrupted.
static cJSON *exact_number(double value) {
    char text[40];
    if (isnan(value)) return cJSON_CreateNull();
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    return cJSON_CreateRaw(text);
}

static void add_number(cJSON *parent, const char *name, double value) {
    cJSON_AddItemToObject(parent, name, exact_number(value));
}

static void add_numbers(cJSON *parent, const char *name, const double *values, size_t count) {
    cJSON *list = cJSON_AddArrayToObject(parent, name);
    for (size_t i = 0; i < count; i++) cJSON_AddItemToArray(list, exact_number(values[i]));
}

static void add_score(cJSON *parent, const char *name, const eval_score *score) {
    cJSON *item = cJSON_AddObjectToObject(parent, name);
    add_number(item, "iou_fixed", score->fixed);
    add_number(item, "precision", score->precision);
    add_number(item, "recall", score->recall);
    add_numbers(item, "iou", score->iou, EVAL_THRESHOLDS);
    add_numbers(item, "boundary", score->boundary, EVAL_BOUNDARIES);
}

static void add_tag_score(cJSON *item, const eval_tag_score *tag) {
    cJSON_AddBoolToObject(item, "proposed", tag->proposed);
    add_number(item, "score", tag->score);
    add_number(item, "class_rank", tag->class_rank);
    add_number(item, "class_probability", tag->class_probability);
}

static void add_row(cJSON *rows, const eval_row_record *row) {
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "object", row->object);
    add_number(item, "mask_value", row->mask_value);
    add_number(item, "area", row->area);
    cJSON_AddBoolToObject(item, "resolved", row->resolved);
    add_number(item, "label_iou", row->label_iou);
    add_tag_score(item, &row->tag);
    cJSON *stages = cJSON_CreateObject();
    for (size_t m = 0; m < eval_method_count(); m++) {
        const eval_score *score = eval_row_score(row, m);
        if (score) add_score(m < EVAL_METHODS ? item : stages, eval_method_name(m), score);
    }
    cJSON_AddItemToObject(item, "stages", stages);
    cJSON_AddItemToArray(rows, item);
}

static cJSON *record_json(const eval_record *record) {
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "file", record->file);
    cJSON_AddStringToObject(item, "set", record->set);
    cJSON_AddBoolToObject(item, "salient", record->salient);
    add_number(item, "ms", record->ms);
    cJSON *rows = cJSON_AddArrayToObject(item, "rows");
    for (size_t i = 0; i < record->row_count; i++) add_row(rows, &record->rows[i]);
    cJSON *absent = cJSON_AddArrayToObject(item, "absent");
    for (size_t i = 0; i < record->absent_count; i++) {
        cJSON *tag = cJSON_CreateObject();
        cJSON_AddStringToObject(tag, "tag", record->absent[i].tag);
        add_tag_score(tag, &record->absent[i].score);
        cJSON_AddItemToArray(absent, tag);
    }
    if (record->has_saliency) {
        cJSON *saliency = cJSON_AddObjectToObject(item, "saliency");
        add_number(saliency, "mae", record->saliency.mae);
        add_number(saliency, "iou", record->saliency.iou);
        add_numbers(saliency, "precision", record->saliency.precision, EVAL_THRESHOLDS);
        add_numbers(saliency, "recall", record->saliency.recall, EVAL_THRESHOLDS);
    }
    return item;
}

char *eval_record_text(const eval_record *record) {
    cJSON *item = record_json(record);
    char *text = cJSON_PrintUnformatted(item);
    cJSON_Delete(item);
    return text;
}

tagmask_status eval_run_write(const char *path, const eval_run *run, const char *summary, tm_error *err) {
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "format", 1);
    cJSON_AddRawToObject(root, "settings", run->settings);
    if (summary) cJSON_AddRawToObject(root, "summary", summary);
    cJSON *photos = cJSON_AddArrayToObject(root, "photos");
    for (size_t i = 0; i < run->count; i++) cJSON_AddItemToArray(photos, record_json(&run->records[i]));
    char *text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    if (!text) return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for its text", path);
    tagmask_status status = tm_write_file(path, text, strlen(text), err);
    free(text);
    return status;
}

// ---- Reading

static bool read_number(const cJSON *parent, const char *name, double *value) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(parent, name);
    if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble)) return false;
    *value = item->valuedouble;
    return true;
}

static bool read_numbers(const cJSON *parent, const char *name, double *values, size_t count) {
    const cJSON *item;
    size_t i = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(parent, name)) {
        if (i == count || (!cJSON_IsNumber(item) && !cJSON_IsNull(item))) return false;
        values[i++] = cJSON_IsNull(item) ? NAN : item->valuedouble;
    }
    return i == count;
}

static bool read_text(const cJSON *parent, const char *name, char **text) {
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(parent, name));
    *text = value ? tm_strdup(value) : NULL;
    return *text != NULL;
}

// A number that is null where it is not known, and missing where an earlier version wrote none.
static bool read_optional(const cJSON *parent, const char *name, double *value) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(parent, name);
    *value = NAN;
    return !item || cJSON_IsNull(item) || read_number(parent, name, value);
}

static bool read_score(const cJSON *item, eval_score *score) {
    score->known = true;
    return read_number(item, "iou_fixed", &score->fixed) && read_optional(item, "precision", &score->precision) &&
           read_optional(item, "recall", &score->recall) && read_numbers(item, "iou", score->iou, EVAL_THRESHOLDS) &&
           read_numbers(item, "boundary", score->boundary, EVAL_BOUNDARIES);
}

// Methods that do not apply to the row are missing; stages that this version does not know are left out.
static bool read_scores(const cJSON *item, eval_row_record *row) {
    const cJSON *stages = cJSON_GetObjectItemCaseSensitive(item, "stages");
    if (!eval_row_make_stages(row)) return false;
    for (size_t m = 0; m < eval_method_count(); m++) {
        bool is_stage = m >= EVAL_METHODS;
        const cJSON *score = cJSON_GetObjectItemCaseSensitive(is_stage ? stages : item, eval_method_name(m));
        if (score && !read_score(score, is_stage ? &row->stages[m - EVAL_METHODS] : &row->scores[m])) return false;
    }
    return row->scores[EVAL_TAGMASK].known;
}

static bool read_tag_score(const cJSON *item, eval_tag_score *tag) {
    tag->proposed = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "proposed"));
    return read_optional(item, "score", &tag->score) && read_optional(item, "class_rank", &tag->class_rank) &&
           read_optional(item, "class_probability", &tag->class_probability);
}

static bool read_absent(const cJSON *list, eval_record *record) {
    const cJSON *item;
    size_t count = (size_t)cJSON_GetArraySize(list);
    record->absent = tm_calloc(count, sizeof *record->absent);
    if (!record->absent) return false;
    cJSON_ArrayForEach(item, list) {
        eval_absent_record *absent = &record->absent[record->absent_count++];
        if (!read_text(item, "tag", &absent->tag) || !read_tag_score(item, &absent->score)) return false;
    }
    return true;
}

static bool read_row(const cJSON *item, eval_row_record *row) {
    double mask_value = 0;
    bool ok = read_text(item, "object", &row->object) && read_number(item, "mask_value", &mask_value) &&
              read_number(item, "area", &row->area) && read_number(item, "label_iou", &row->label_iou);
    if (!ok || !(mask_value >= 0 && mask_value <= 255)) return false;
    row->mask_value = (int)mask_value;
    row->resolved = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "resolved"));
    return read_tag_score(item, &row->tag) && read_scores(item, row);
}

static bool read_record(const cJSON *item, eval_record *record) {
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(item, "rows"), *row;
    const cJSON *saliency = cJSON_GetObjectItemCaseSensitive(item, "saliency");
    bool ok = read_text(item, "file", &record->file) && read_text(item, "set", &record->set) &&
              read_number(item, "ms", &record->ms) && cJSON_IsArray(rows);
    if (!ok) return false;
    record->salient = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "salient"));
    record->rows = tm_calloc((size_t)cJSON_GetArraySize(rows), sizeof *record->rows);
    if (!record->rows) return false;
    cJSON_ArrayForEach(row, rows) {
        if (!read_row(row, &record->rows[record->row_count++])) return false;
    }
    if (!read_absent(cJSON_GetObjectItemCaseSensitive(item, "absent"), record)) return false;
    record->has_saliency = saliency != NULL;
    return !saliency || (read_number(saliency, "mae", &record->saliency.mae) &&
                         read_number(saliency, "iou", &record->saliency.iou) &&
                         read_numbers(saliency, "precision", record->saliency.precision, EVAL_THRESHOLDS) &&
                         read_numbers(saliency, "recall", record->saliency.recall, EVAL_THRESHOLDS));
}

static tagmask_status add_json(const char *path, const cJSON *item, eval_run *run, tm_error *err) {
    eval_record record = {0};
    if (!read_record(item, &record)) {
        eval_record_free(&record);
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: photo %zu: expected what tagmask eval --out writes", path,
                       run->count);
    }
    return eval_run_add(run, &record, err);
}

// Lines of an interrupted run: the settings, then a photo each.
static tagmask_status read_lines(const char *path, const char *text, eval_run *run, tm_error *err) {
    tagmask_status status = TAGMASK_OK;
    for (const char *end; status == TAGMASK_OK && (end = strchr(text, '\n')) != NULL; text = end + 1) {
        if (!run->settings) {
            run->settings = tm_format("%.*s", (int)TM_MIN((size_t)(end - text), (size_t)1 << 20), text);
            if (!run->settings) return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to read it", path);
            continue;
        }
        cJSON *item = cJSON_ParseWithLength(text, (size_t)(end - text));
        status = add_json(path, item, run, err);
        cJSON_Delete(item);
    }
    return status;
}

static tagmask_status read_whole(const char *path, const cJSON *root, eval_run *run, tm_error *err) {
    const cJSON *photos = cJSON_GetObjectItemCaseSensitive(root, "photos"), *item;
    const cJSON *settings = cJSON_GetObjectItemCaseSensitive(root, "settings");
    if (!cJSON_IsArray(photos) || !cJSON_IsObject(settings)) {
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: expected what tagmask eval --out writes", path);
    }
    run->settings = cJSON_PrintUnformatted(settings);
    cJSON_ArrayForEach(item, photos) TM_TRY(add_json(path, item, run, err));
    return TAGMASK_OK;
}

tagmask_status eval_run_read(const char *path, eval_run *run, tm_error *err) {
    uint8_t *data = NULL;
    size_t size = 0;
    eval_run made = {0};
    TM_TRY(tm_read_file(path, LARGEST_FILE, &data, &size, err));
    cJSON *root = cJSON_ParseWithLengthOpts((const char *)data, size + 1, NULL, 1);
    bool whole = cJSON_GetObjectItemCaseSensitive(root, "format") != NULL;
    tagmask_status status =
        whole ? read_whole(path, root, &made, err) : read_lines(path, (const char *)data, &made, err);
    cJSON_Delete(root);
    free(data);
    if (status == TAGMASK_OK && !made.settings) {
        status = tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: expected what tagmask eval --out writes", path);
    }
    if (status != TAGMASK_OK) {
        eval_run_free(&made);
        return status;
    }
    *run = made;
    return TAGMASK_OK;
}
