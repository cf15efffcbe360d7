// Label Studio's import file (https://labelstud.io/guide/predictions): a list of tasks with predictions, as brush masks
// or polygons, for the labelling configurations of its two segmentation templates (BrushLabels "tag" or PolygonLabels
// "label", both to the Image "image"). The photos are named as local files below the document root.
// A task's "meta" bears a hash of the rest: a task that is not as it was written is kept, and no second one is added.
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/formats.h"
#include "io/kept.h"
#include "io/keyhole.h"
#include "io/region_mask.h"
#include "io/watched.h"

#define MAX_FILE_BYTES ((size_t)1 << 30)
static const char brush_name[] = "label-studio.json", polygon_name[] = "label-studio-polygon.json";
#define LOCAL_FILES "/data/local-files/?d="

typedef struct task {
    char *image, *text;  // the photo's address, decoded; the task
    bool ours;
} task;

typedef struct tasks {
    char *path;
    tm_watched file;
    bool polygons;
    task *items;
    size_t count, capacity, pending;
} tasks;

static void free_tasks(tasks *t) {
    if (!t) return;
    for (size_t i = 0; i < t->count; i++) {
        free(t->items[i].image);
        free(t->items[i].text);
    }
    free(t->items);
    free(t->path);
    free(t);
}

// ---- What makes a task ours -----------------------------------------------------------------------------------------

// Of all that a task of ours holds but its mark.
static uint64_t task_hash(const cJSON *item) {
    uint64_t hash = tm_json_hash(cJSON_GetObjectItemCaseSensitive(item, "data"), 2);
    return tm_json_hash(cJSON_GetObjectItemCaseSensitive(item, "predictions"), hash);
}

static bool is_ours(const cJSON *item) {
    const cJSON *meta = cJSON_GetObjectItemCaseSensitive(item, "meta");
    char expected[17];
    snprintf(expected, sizeof expected, "%016llx", (unsigned long long)task_hash(item));
    if (strcmp(tm_json_text(meta, "tagmask"), expected)) return false;
    // An annotation, say, is a person's, and so is a note among the meta data.
    return cJSON_GetArraySize(item) == 3 && cJSON_GetArraySize(meta) == 1;
}

static bool add_task(tasks *t, cJSON *item) {
    if (!tm_grow((void **)&t->items, &t->capacity, t->count + 1, sizeof *t->items)) return false;
    char *printed = tm_json_print(item, false);
    task one = {tm_strdup(tm_json_text(cJSON_GetObjectItemCaseSensitive(item, "data"), "image")), printed,
                is_ours(item)};
    if (one.image) tm_percent_decode(one.image);
    t->items[t->count++] = one;
    return one.image && one.text;
}

static tagmask_status read_file(tasks *t, tm_error *err) {
    cJSON *root = NULL;
    cJSON *item;
    bool ok = true;
    TM_TRY(tm_json_open(t->path, MAX_FILE_BYTES, &root, err));
    tagmask_status status = TAGMASK_OK;
    if (!cJSON_IsArray(root)) {
        status = tm_fail(err, TAGMASK_ERROR_FORMAT,
                         "%s: exists and is no list of tasks; it is not overwritten; move it away or choose another "
                         "output folder",
                         t->path);
    }
    if (status == TAGMASK_OK) cJSON_ArrayForEach(item, root) ok = ok && add_task(t, item);
    cJSON_Delete(root);
    return ok ? status : tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to read it", t->path);
}

static tagmask_status begin(const char *out, bool polygons, void **state, tm_error *err) {
    tasks *t = tm_calloc(1, sizeof *t);
    if (t) t->path = tm_path_join(out, polygons ? polygon_name : brush_name);
    if (t) t->polygons = polygons;
    tagmask_status status = TAGMASK_ERROR_MEMORY;
    if (!t || !t->path) {
        tm_fail(err, status, "%s: no memory to write a Label Studio file", out);
    } else {
        tm_watch(&t->file, t->path);
        status = t->file.there ? read_file(t, err) : TAGMASK_OK;
    }
    if (status != TAGMASK_OK) {
        free_tasks(t);
        return status;
    }
    *state = t;
    return TAGMASK_OK;
}

static tagmask_status begin_brush(const char *out, void **state, tm_error *err) {
    return begin(out, false, state, err);
}
static tagmask_status begin_polygons(const char *out, void **state, tm_error *err) {
    return begin(out, true, state, err);
}

static tagmask_status flush(void *state, tm_error *err) {
    tasks *t = state;
    tm_text text = {0};
    if (!t->pending) return TAGMASK_OK;
    tm_text_add(&text, "[\n");
    for (size_t i = 0; i < t->count; i++) {
        tm_text_bytes(&text, t->items[i].text, strlen(t->items[i].text));
        tm_text_add(&text, i + 1 < t->count ? ",\n" : "\n");
    }
    tm_text_add(&text, "]\n");
    TM_TRY(tm_watched_write(&t->file, &text, t->path, err));
    t->pending = 0;
    return TAGMASK_OK;
}

static tagmask_status end(void *state, tm_error *err) {
    tagmask_status status = flush(state, err);
    free_tasks(state);
    return status;
}

// ---- Adding a photo -------------------------------------------------------------------------------------------------

static bool add_brush(cJSON *value, const tm_region_masks *masks, size_t region) {
    tm_box_mask mask;
    tm_text list = {0};
    if (!tm_region_mask(masks, region, &mask)) return false;
    tm_text_add(&list, "[");
    tm_rle_label_studio(&mask, &list);
    tm_text_add(&list, "]");
    free((void *)mask.pixels);
    bool ok = !list.failed && cJSON_AddStringToObject(value, "format", "rle") &&
              cJSON_AddRawToObject(value, "rle", list.data);
    free(list.data);
    return ok;
}

static bool add_polygon(cJSON *value, const tagmask_result *r, const tagmask_region *region) {
    float *points = NULL;
    size_t count = 0;
    cJSON *list = cJSON_AddArrayToObject(value, "points");
    bool ok = list && tm_keyhole(region, &points, &count) && cJSON_AddTrueToObject(value, "closed");
    for (size_t i = 0; ok && i < count; i++) {
        // Percent, to a millionth: far below a pixel of the largest photo.
        double x = round((double)points[2 * i] / r->width * 1e8) / 1e6;
        double y = round((double)points[2 * i + 1] / r->height * 1e8) / 1e6;
        ok = cJSON_AddItemToArray(list, cJSON_CreateDoubleArray((const double[]){x, y}, 2));
    }
    free(points);
    return ok;
}

static bool add_region(const tasks *t, cJSON *list, const tagmask_result *r, size_t number,
                       const tm_region_masks *masks) {
    const tagmask_region *region = &r->regions.items[number];
    const char *kind = t->polygons ? "polygonlabels" : "brushlabels", *tag = r->tags[region->tag];
    char id[32];
    snprintf(id, sizeof id, "tagmask-%zu", number + 1);
    cJSON *item = cJSON_CreateObject(), *value, *labels;
    return item && cJSON_AddItemToArray(list, item) && cJSON_AddStringToObject(item, "id", id) &&
           cJSON_AddStringToObject(item, "from_name", t->polygons ? "label" : "tag") &&
           cJSON_AddStringToObject(item, "to_name", "image") && cJSON_AddStringToObject(item, "type", kind) &&
           cJSON_AddNumberToObject(item, "original_width", r->width) &&
           cJSON_AddNumberToObject(item, "original_height", r->height) &&
           cJSON_AddNumberToObject(item, "image_rotation", 0) &&
           cJSON_AddNumberToObject(item, "score", round((double)region->score * 1e4) / 1e4) &&
           (value = cJSON_AddObjectToObject(item, "value")) &&
           (t->polygons ? add_polygon(value, r, region) : add_brush(value, masks, number)) &&
           (labels = cJSON_AddArrayToObject(value, kind)) && cJSON_AddItemToArray(labels, cJSON_CreateString(tag));
}

// The address by which Label Studio serves the photo.
static bool add_address(cJSON *data, const char *name) {
    tm_text address = {0};
    tm_text_add(&address, LOCAL_FILES);
    tm_text_percent(&address, name);
    bool ok = !address.failed && cJSON_AddStringToObject(data, "image", address.data);
    free(address.data);
    return ok;
}

static bool fill_task(const tasks *t, cJSON *item, const char *name, const tagmask_result *r,
                      const tm_region_masks *masks) {
    char version[64], hash[17];
    snprintf(version, sizeof version, "tagmask %s", tagmask_version());
    cJSON *data = cJSON_AddObjectToObject(item, "data"), *list = cJSON_AddArrayToObject(item, "predictions");
    cJSON *prediction = cJSON_CreateObject(), *results, *meta;
    double sum = 0;
    bool ok = list && prediction && cJSON_AddItemToArray(list, prediction) && data && add_address(data, name) &&
              cJSON_AddStringToObject(prediction, "model_version", version) &&
              (results = cJSON_AddArrayToObject(prediction, "result"));
    for (size_t i = 0; ok && i < r->regions.count; i++) {
        ok = add_region(t, results, r, i, masks);
        sum += (double)r->regions.items[i].score;
    }
    double mean = r->regions.count ? round(sum / (double)r->regions.count * 1e4) / 1e4 : 0;
    if (!ok || !cJSON_AddNumberToObject(prediction, "score", mean)) return false;
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)task_hash(item));
    meta = cJSON_AddObjectToObject(item, "meta");
    return meta && cJSON_AddStringToObject(meta, "tagmask", hash);
}

static task *find_task(const tasks *t, const char *name) {
    for (size_t i = 0; i < t->count; i++) {
        const char *image = t->items[i].image;
        if (!strncmp(image, LOCAL_FILES, strlen(LOCAL_FILES)) && !strcmp(image + strlen(LOCAL_FILES), name)) {
            return &t->items[i];
        }
    }
    return NULL;
}

static bool has(const void *state, const char *name) {
    return find_task(state, name);
}

static tagmask_status put_task(tasks *t, const char *name, const tagmask_result *r, const tm_region_masks *masks,
                               tm_error *err) {
    task *old = find_task(t, name);
    if (old && !old->ours) return TAGMASK_OK;
    cJSON *item = cJSON_CreateObject();
    char *text = item && fill_task(t, item, name, r, masks) ? cJSON_PrintUnformatted(item) : NULL;
    cJSON_Delete(item);
    if (!text) return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to add %s", t->path, name);
    if (old) {
        free(old->text);
        old->text = text;
        return TAGMASK_OK;
    }
    task one = {tm_format(LOCAL_FILES "%s", name), text, true};
    if (!one.image || !tm_grow((void **)&t->items, &t->capacity, t->count + 1, sizeof *t->items)) {
        free(one.image);
        free(text);
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to add %s", t->path, name);
    }
    t->items[t->count++] = one;
    return TAGMASK_OK;
}

static tagmask_status add(void *state, const tm_label_job *job, tm_error *err) {
    tasks *t = state;
    tm_region_masks masks = {0};
    if (!t->polygons) TM_TRY(tm_region_masks_open(job->result, &masks, err));
    tagmask_status status = put_task(t, job->name, job->result, &masks, err);
    tm_region_masks_close(&masks);
    if (status != TAGMASK_OK) return status;
    t->pending++;
    return tm_label_flush_due(t->pending, t->count) ? flush(t, err) : TAGMASK_OK;
}

const tm_label_format tm_format_label_studio = {.name = "label-studio",
                                                .ending = brush_name,
                                                .begin = begin_brush,
                                                .add = add,
                                                .flush = flush,
                                                .has = has,
                                                .end = end,
                                                .read = tm_read_label_studio};
const tm_label_format tm_format_label_studio_polygon = {.name = "label-studio-polygon",
                                                        .ending = polygon_name,
                                                        .begin = begin_polygons,
                                                        .add = add,
                                                        .flush = flush,
                                                        .has = has,
                                                        .end = end,
                                                        .read = tm_read_label_studio};
