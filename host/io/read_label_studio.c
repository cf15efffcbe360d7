// Label Studio: brush masks and polygons of an import file or a JSON export. A task's last annotation that was not
// skipped counts, or its first prediction when there is none.
#include <stdlib.h>
#include <string.h>

#include "io/formats.h"
#include "io/kept.h"
#include "io/read.h"
#include "io/text.h"

// The path in an address such as /data/local-files/?d=folder/my%20name.jpg, or the file name in another; 0: another
// photo's.
static size_t address_fit(const char *address, const char *photo_path) {
    const char *local = strstr(address, "?d="), *name = tm_file_name(address), *equals = strrchr(name, '=');
    char *path = tm_strdup(local ? local + 3 : equals ? equals + 1 : name);
    size_t written = path ? tm_name_fit(path, photo_path) : 0;  // by a program that does not encode
    if (path) tm_percent_decode(path);
    size_t fit = path ? tm_name_fit(path, photo_path) : 0;
    free(path);
    return TM_MAX(fit, written);
}

static const cJSON *results_of(const cJSON *task) {
    const cJSON *annotation, *chosen = NULL;
    cJSON_ArrayForEach(annotation, cJSON_GetObjectItemCaseSensitive(task, "annotations")) {
        bool skipped = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(annotation, "was_cancelled"));
        if (!skipped) chosen = annotation;
    }
    if (!chosen) chosen = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(task, "predictions"), 0);
    return cJSON_GetObjectItemCaseSensitive(chosen, "result");
}

static tagmask_status paint_brush(const tm_read_job *job, const cJSON *rle, uint8_t label, tm_error *err) {
    uint32_t width = job->canvas->width, height = job->canvas->height;
    size_t count = (size_t)cJSON_GetArraySize(rle), used = 0;
    uint8_t *bytes = tm_calloc(count, 1), *pixels = tm_calloc(width, height);
    const cJSON *item;
    tagmask_status status;
    cJSON_ArrayForEach(item, rle) {
        if (bytes) bytes[used++] = (uint8_t)item->valueint;
    }
    if (!bytes || !pixels) {
        status = tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for its mask");
    } else if (!tm_rle_label_studio_decode(bytes, used, width, height, pixels)) {
        status = tm_fail(err, TAGMASK_ERROR_FORMAT, "its run-length code is damaged, or of another photo size");
    } else {
        status = tm_canvas_mask(job->canvas, label, pixels, 0, 0, width, height, err);
    }
    free(bytes);
    free(pixels);
    return status;
}

static tagmask_status paint_region(const tm_read_job *job, const cJSON *region, tm_error *err) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(region, "value");
    const char *kind = tm_json_text(region, "type");
    bool brush = !strcmp(kind, "brushlabels"), polygon = !strcmp(kind, "polygonlabels");
    double *points = NULL;
    size_t count = 0;
    uint8_t label = 0;
    if (!brush && !polygon) return TAGMASK_OK;
    const char *tag = cJSON_GetStringValue(cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(value, kind), 0));
    if (!tag) return tm_fail(err, TAGMASK_ERROR_FORMAT, "expected a label in its %s", kind);
    TM_TRY(tm_read_check_size(region, "original_width", job->canvas->width, err));
    TM_TRY(tm_read_check_size(region, "original_height", job->canvas->height, err));
    TM_TRY(tm_canvas_tag(job->canvas, tag, &label, err));
    if (brush) return paint_brush(job, cJSON_GetObjectItemCaseSensitive(value, "rle"), label, err);
    TM_TRY(tm_read_numbers(cJSON_GetObjectItemCaseSensitive(value, "points"), job->canvas->width / 100.0,
                           job->canvas->height / 100.0, &points, &count, err));
    tagmask_status status = tm_canvas_polygon(job->canvas, label, points, count, err);
    free(points);
    return status;
}

tagmask_status tm_read_label_studio(const tm_read_job *job, tm_error *err) {
    cJSON *root = NULL;
    const cJSON *item, *task = NULL;
    size_t number = 0, best = 0;
    TM_TRY(tm_read_json(job->path, &root, err));
    cJSON_ArrayForEach(item, root) {
        const cJSON *data = cJSON_GetObjectItemCaseSensitive(item, "data");
        size_t fit = address_fit(tm_json_text(data, "image"), job->photo_path);
        if (fit > best) task = item;
        best = TM_MAX(best, fit);
    }
    tagmask_status status = TAGMASK_OK;
    if (!task) {
        status = tm_fail(err, TAGMASK_ERROR_FORMAT, "has no task with the image \"%s\"", tm_file_name(job->photo_path));
    }
    cJSON_ArrayForEach(item, results_of(task)) {
        if (status != TAGMASK_OK) break;
        number++;
        status = paint_region(job, item, err);
        if (status != TAGMASK_OK) tm_fail_prefix(err, "region %zu", number);
    }
    cJSON_Delete(root);
    return status;
}
