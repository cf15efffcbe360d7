// COCO: polygons, compressed and uncompressed run-length codes.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/formats.h"
#include "io/kept.h"
#include "io/read.h"

static double number_of(const cJSON *object, const char *key) {
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static bool decode_counts(const cJSON *counts, uint32_t width, uint32_t height, uint8_t *pixels) {
    uint64_t place = 0, total = (uint64_t)width * height;
    const cJSON *item;
    uint8_t value = 0;
    if (cJSON_IsString(counts)) {
        return tm_rle_coco_decode(counts->valuestring, strlen(counts->valuestring), width, height, pixels);
    }
    cJSON_ArrayForEach(item, counts) {
        double run = cJSON_GetNumberValue(item);
        if (!(run >= 0 && run <= (double)(total - place))) return false;
        for (uint64_t end = place + (uint64_t)run; place < end; place++) {
            pixels[place % height * width + place / height] = value;
        }
        value ^= 1;
    }
    return place == total;
}

static tagmask_status paint_rle(const tm_read_job *job, const cJSON *segmentation, uint8_t label, tm_error *err) {
    uint32_t width = job->canvas->width, height = job->canvas->height;
    const cJSON *size = cJSON_GetObjectItemCaseSensitive(segmentation, "size");
    double h = cJSON_GetNumberValue(cJSON_GetArrayItem(size, 0)), w = cJSON_GetNumberValue(cJSON_GetArrayItem(size, 1));
    if (w != width || h != height) {
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "its mask is %g x %g pixels, but the photo %u x %u", w, h, width,
                       height);
    }
    uint8_t *pixels = tm_calloc(width, height);
    if (!pixels) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for its mask");
    bool ok = decode_counts(cJSON_GetObjectItemCaseSensitive(segmentation, "counts"), width, height, pixels);
    tagmask_status status = ok ? tm_canvas_mask(job->canvas, label, pixels, 0, 0, width, height, err)
                               : tm_fail(err, TAGMASK_ERROR_FORMAT, "its run-length code is damaged");
    free(pixels);
    return status;
}

static tagmask_status paint_polygons(const tm_read_job *job, const cJSON *segmentation, uint8_t label, tm_error *err) {
    const cJSON *polygon;
    cJSON_ArrayForEach(polygon, segmentation) {
        double *points = NULL;
        size_t count = 0;
        TM_TRY(tm_read_numbers(polygon, 1, 1, &points, &count, err));
        tagmask_status status = tm_canvas_polygon(job->canvas, label, points, count, err);
        free(points);
        if (status != TAGMASK_OK) return status;
    }
    return TAGMASK_OK;
}

static tagmask_status paint_annotation(const tm_read_job *job, const cJSON *root, const cJSON *annotation,
                                       tm_error *err) {
    const cJSON *segmentation = cJSON_GetObjectItemCaseSensitive(annotation, "segmentation"), *item;
    double category = number_of(annotation, "category_id");
    const char *name = "";
    uint8_t label = 0;
    uint64_t looked_at = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(root, "categories")) {
        looked_at++;
        if (number_of(item, "id") == category) name = tm_json_text(item, "name");
    }
    TM_TRY(tm_canvas_spend(job->canvas, looked_at, err));
    if (!*name) return tm_fail(err, TAGMASK_ERROR_FORMAT, "its category %g has no name in the file", category);
    if (!segmentation || cJSON_IsNull(segmentation)) return TAGMASK_OK;  // a box only
    TM_TRY(tm_canvas_tag(job->canvas, name, &label, err));
    if (cJSON_IsObject(segmentation)) return paint_rle(job, segmentation, label, err);
    if (cJSON_IsArray(segmentation)) return paint_polygons(job, segmentation, label, err);
    return tm_fail(err, TAGMASK_ERROR_FORMAT, "its segmentation is neither polygons nor a run-length code");
}

tagmask_status tm_read_coco(const tm_read_job *job, tm_error *err) {
    cJSON *root = NULL;
    const cJSON *item, *image = NULL;
    size_t best = 0;
    TM_TRY(tm_read_json(job->path, &root, err));
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(root, "images")) {
        size_t fit = tm_name_fit(tm_json_text(item, "file_name"), job->photo_path);
        if (fit > best) image = item;
        best = TM_MAX(best, fit);
    }
    tagmask_status status = TAGMASK_OK;
    if (!image) {
        status =
            tm_fail(err, TAGMASK_ERROR_FORMAT, "has no image \"%s\" in its list images", tm_file_name(job->photo_path));
    }
    if (status == TAGMASK_OK) status = tm_read_check_size(image, "width", job->canvas->width, err);
    if (status == TAGMASK_OK) status = tm_read_check_size(image, "height", job->canvas->height, err);
    double id = number_of(image, "id");
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(root, "annotations")) {
        if (status != TAGMASK_OK) break;
        if (number_of(item, "image_id") != id) continue;
        status = paint_annotation(job, root, item, err);
        if (status != TAGMASK_OK) tm_fail_prefix(err, "annotation %g", number_of(item, "id"));
    }
    cJSON_Delete(root);
    return status;
}
