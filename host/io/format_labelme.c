// labelme's JSON (https://github.com/wkentaro/labelme, labelme/_label_file.py). Members that labelme does not know are
// kept by it when a person saves, so each shape carries a member "tagmask" with the proposal's id, a hash of label and
// geometry, and the file one with all proposals made so far. Writing again with these rules:
// - A shape that a person drew, or a proposal that a person changed (points, label, flags, description), stays as it
// is.
// - A proposal that a person deleted stays deleted; an untouched one is replaced.
// - A new proposal is left out where one of those has its tag and a bounding box that overlaps by half (IoU 0.5).
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/formats.h"
#include "io/kept.h"
#include "io/keyhole.h"

enum { MAX_FILE_BYTES = 256 << 20 };

// ---- Reading what is there ------------------------------------------------------------------------------------------

static void describe(char *out, size_t room, double score) {
    snprintf(out, room, "tagmask %.2f", score);
}

// Of label and points; to 1/64 px, so that programs which print numbers otherwise do not count as a person's change.
static void shape_id(const cJSON *shape, char id[17]) {
    const char *label = tm_json_text(shape, "label");
    uint64_t hash = tm_hash64(label, strlen(label), 1);
    const cJSON *point, *number;
    cJSON_ArrayForEach(point, cJSON_GetObjectItemCaseSensitive(shape, "points")) {
        cJSON_ArrayForEach(number, point) {
            double value = cJSON_IsNumber(number) ? number->valuedouble : 0;
            int64_t rounded = llround(TM_CLAMP(value, -1e9, 1e9) * 64);
            hash = tm_hash64(&rounded, sizeof rounded, hash);
        }
    }
    snprintf(id, 17, "%016llx", (unsigned long long)hash);
}

static bool shape_box(const cJSON *shape, double sides[4]) {
    sides[0] = sides[1] = INFINITY;
    sides[2] = sides[3] = -INFINITY;
    const cJSON *point;
    cJSON_ArrayForEach(point, cJSON_GetObjectItemCaseSensitive(shape, "points")) {
        double x = cJSON_GetNumberValue(cJSON_GetArrayItem(point, 0));
        double y = cJSON_GetNumberValue(cJSON_GetArrayItem(point, 1));
        sides[0] = fmin(sides[0], x), sides[1] = fmin(sides[1], y);
        sides[2] = fmax(sides[2], x), sides[3] = fmax(sides[3], y);
    }
    return sides[0] < sides[2] && sides[1] < sides[3];
}

static bool is_untouched(const cJSON *shape) {
    const cJSON *mark = cJSON_GetObjectItemCaseSensitive(shape, "tagmask"), *flag;
    char id[17], description[64];
    if (!cJSON_IsObject(mark)) return false;
    shape_id(shape, id);
    double score = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(mark, "score"));
    describe(description, sizeof description, score);
    if (strcmp(id, tm_json_text(mark, "id")) || strcmp(description, tm_json_text(shape, "description"))) return false;
    cJSON_ArrayForEach(flag, cJSON_GetObjectItemCaseSensitive(shape, "flags")) {
        if (cJSON_IsTrue(flag)) return false;
    }
    return true;
}

// Takes the untouched proposals out of both lists. What is left, a person's shapes and the proposals that they changed
// or deleted, goes into `kept`.
static bool keep_work(cJSON *shapes, cJSON *proposals, tm_kept *kept) {
    double sides[4];
    bool ok = true;
    for (cJSON *shape = shapes->child, *next; shape; shape = next) {
        next = shape->next;
        if (is_untouched(shape)) {
            tm_proposals_forget(proposals, tm_json_text(cJSON_GetObjectItemCaseSensitive(shape, "tagmask"), "id"));
            cJSON_Delete(cJSON_DetachItemViaPointer(shapes, shape));
        } else if (shape_box(shape, sides)) {
            ok = ok && tm_kept_add(kept, tm_json_text(shape, "label"), sides);
        }
    }
    return ok && tm_proposals_keep(proposals, kept);
}

static tagmask_status check_size(const char *path, const cJSON *root, const char *key, uint32_t size, tm_error *err) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, key);
    if (!cJSON_IsNumber(item) || item->valuedouble == (double)size) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_FORMAT,
                   "%s: its %s is %g, but the photo's is %u; it is not overwritten; move it away if it belongs to "
                   "another photo",
                   path, key, item->valuedouble, size);
}

// A new root, or the file's own. *root is freed with cJSON_Delete.
static tagmask_status open_root(const char *path, const tagmask_result *r, cJSON **root, tm_error *err) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    if (!tm_file_exists(path)) {
        *root = cJSON_CreateObject();
        return *root ? TAGMASK_OK : tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to write it", path);
    }
    TM_TRY(tm_read_file(path, MAX_FILE_BYTES, &bytes, &size, err));
    cJSON *found = cJSON_ParseWithLength((const char *)bytes, size);
    free(bytes);
    tagmask_status status = TAGMASK_OK;
    if (!cJSON_IsObject(found) || !cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(found, "shapes"))) {
        status = tm_fail(err, TAGMASK_ERROR_FORMAT,
                         "%s: exists and is no labelme file; it is not overwritten; move it away or choose another "
                         "output folder",
                         path);
    }
    const cJSON *mark = cJSON_GetObjectItemCaseSensitive(found, "tagmask");
    const cJSON *proposals = cJSON_GetObjectItemCaseSensitive(mark, "proposals");
    if (status == TAGMASK_OK && mark && !tm_proposals_valid(proposals)) {
        status = tm_fail(err, TAGMASK_ERROR_FORMAT,
                         "%s: its member \"tagmask\" is damaged, expected a list of at most %d proposals; it is not "
                         "overwritten; delete that member to start anew",
                         path, TM_PROPOSALS_MAX);
    }
    if (status == TAGMASK_OK) status = check_size(path, found, "imageWidth", r->width, err);
    if (status == TAGMASK_OK) status = check_size(path, found, "imageHeight", r->height, err);
    if (status != TAGMASK_OK) {
        cJSON_Delete(found);
        return status;
    }
    *root = found;
    return TAGMASK_OK;
}

// ---- Writing --------------------------------------------------------------------------------------------------------

// Adds item, which may be NULL (out of memory), unless the object has the key already.
static bool set_default(cJSON *object, const char *key, cJSON *item) {
    if (!item) return false;
    if (!cJSON_GetObjectItemCaseSensitive(object, key)) return cJSON_AddItemToObject(object, key, item);
    cJSON_Delete(item);
    return true;
}

static bool add_points(cJSON *shape, const float *points, size_t count) {
    cJSON *array = cJSON_AddArrayToObject(shape, "points");
    for (size_t i = 0; array && i < count; i++) {
        cJSON *pair = cJSON_CreateDoubleArray((const double[]){points[2 * i], points[2 * i + 1]}, 2);
        if (!pair || !cJSON_AddItemToArray(array, pair)) return false;
    }
    return array;
}

static bool add_shape(cJSON *shapes, cJSON *proposals, const char *tag, int group, const tagmask_region *region) {
    char id[17], description[64];
    float *points = NULL;
    size_t count = 0;
    double score = round((double)region->score * 1e4) / 1e4;
    describe(description, sizeof description, score);
    cJSON *shape = cJSON_CreateObject();
    bool ok = shape && cJSON_AddItemToArray(shapes, shape);
    ok = ok && tm_keyhole(region, &points, &count) && cJSON_AddStringToObject(shape, "label", tag) &&
         add_points(shape, points, count) &&
         (group ? cJSON_AddNumberToObject(shape, "group_id", group) : cJSON_AddNullToObject(shape, "group_id")) &&
         cJSON_AddStringToObject(shape, "description", description) &&
         cJSON_AddStringToObject(shape, "shape_type", "polygon") && cJSON_AddObjectToObject(shape, "flags") &&
         cJSON_AddNullToObject(shape, "mask");
    free(points);
    if (!ok) return false;
    shape_id(shape, id);
    cJSON *mark = cJSON_AddObjectToObject(shape, "tagmask");
    return mark && cJSON_AddStringToObject(mark, "id", id) && cJSON_AddNumberToObject(mark, "score", score) &&
           tm_proposals_add(proposals, id, tag, region);
}

// Parts of one tag share a group.
static bool add_shapes(cJSON *shapes, cJSON *proposals, const tagmask_result *r, const tm_kept *kept) {
    size_t parts[256] = {0};
    for (size_t i = 0; i < r->regions.count; i++) parts[r->regions.items[i].tag]++;
    for (size_t i = 0; i < r->regions.count; i++) {
        const tagmask_region *region = &r->regions.items[i];
        int group = parts[region->tag] > 1 ? (int)region->tag + 1 : 0;
        if (tm_kept_covers(kept, r->tags[region->tag], region)) continue;
        if (!add_shape(shapes, proposals, r->tags[region->tag], group, region)) return false;
    }
    return true;
}

static bool fill_root(cJSON *root, const tm_label_job *job) {
    const tagmask_result *r = job->result;
    tm_kept kept = {0};
    char *photo = tm_path_from(job->out, job->photo_path);
    bool ok = photo && set_default(root, "version", cJSON_CreateString("5.5.0")) &&
              set_default(root, "flags", cJSON_CreateObject()) && set_default(root, "shapes", cJSON_CreateArray()) &&
              set_default(root, "imagePath", cJSON_CreateString(photo)) &&
              set_default(root, "imageData", cJSON_CreateNull()) &&
              set_default(root, "imageHeight", cJSON_CreateNumber(r->height)) &&
              set_default(root, "imageWidth", cJSON_CreateNumber(r->width));
    cJSON *mark = cJSON_GetObjectItemCaseSensitive(root, "tagmask");
    if (!mark) mark = cJSON_AddObjectToObject(root, "tagmask");
    ok = ok && mark && set_default(mark, "proposals", cJSON_CreateArray());
    cJSON *shapes = cJSON_GetObjectItemCaseSensitive(root, "shapes");
    cJSON *proposals = cJSON_GetObjectItemCaseSensitive(mark, "proposals");
    ok = ok && keep_work(shapes, proposals, &kept) && add_shapes(shapes, proposals, r, &kept);
    tm_kept_free(&kept);
    free(photo);
    return ok;
}

static tagmask_status add(void *state, const tm_label_job *job, tm_error *err) {
    (void)state;
    char *path = NULL, *text = NULL;
    cJSON *root = NULL;
    TM_TRY(tm_proposals_check_count(job->photo_path, job->result->regions.count, err));
    TM_TRY(tm_label_path(job, NULL, tm_format_labelme.ending, &path, err));
    tagmask_status status = open_root(path, job->result, &root, err);
    if (status != TAGMASK_OK) goto done;
    if (fill_root(root, job)) text = cJSON_Print(root);
    status = text ? tm_write_file(path, text, strlen(text), err)
                  : tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to write it", path);
done:
    cJSON_Delete(root);
    cJSON_free(text);
    free(path);
    return status;
}

const tm_label_format tm_format_labelme = {.name = "labelme", .ending = ".json", .add = add, .read = tm_read_labelme};
