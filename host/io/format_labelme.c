// labelme's JSON (https://github.com/wkentaro/labelme, labelme/_label_file.py), with polygons or with mask shapes.
// Members that labelme does not know are kept by it when a person saves, so each shape carries a member "tagmask" with
// the proposal's id, a hash of all that a person can change, and the file one with all proposals made so far. Writing
// again with these rules:
// - A shape that a person drew, or a proposal that a person changed, stays as it is, where it is in the list.
// - A proposal that a person deleted stays deleted; an untouched one is replaced.
// - A new proposal is left out where one of those has its tag and a bounding box that overlaps by half (IoU 0.5).
// Each part is a shape without a group: labelme and its converters take shapes of one label and group for one object.
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/platform.h"
#include "io/formats.h"
#include "io/kept.h"
#include "io/keyhole.h"
#include "io/labelme_mask.h"
#include "io/region_mask.h"
#include "io/watched.h"

enum { MAX_FILE_BYTES = 256 << 20 };

// ---- Reading what is there ------------------------------------------------------------------------------------------

static void describe(char *out, size_t room, double score) {
    snprintf(out, room, "tagmask %.2f", score);
    char *comma = strchr(out, ',');  // of the host program's locale
    if (comma) *comma = '.';
}

// To 1/64 px, so that programs which print numbers otherwise do not count as a person's change.
static uint64_t hash_points(const cJSON *shape, uint64_t hash) {
    const cJSON *point, *number;
    cJSON_ArrayForEach(point, cJSON_GetObjectItemCaseSensitive(shape, "points")) {
        cJSON_ArrayForEach(number, point) {
            double value = cJSON_IsNumber(number) ? number->valuedouble : 0;
            int64_t rounded = llround(TM_CLAMP(value, -1e9, 1e9) * 64);
            hash = tm_hash64(&rounded, sizeof rounded, hash);
        }
    }
    return hash;
}

static uint64_t hash_text(const cJSON *shape, const char *key, uint64_t hash) {
    const char *text = tm_json_text(shape, key);
    return tm_hash64(text, strlen(text), hash);
}

// Of a mask's pixels: a program that saves the file packs them anew. false: it is damaged or larger than the budget.
static bool hash_mask(const cJSON *shape, uint64_t *budget, uint64_t *hash) {
    const char *text = tm_json_text(shape, "mask");
    uint32_t sides[2];
    uint8_t *pixels = NULL;
    if (!*text) return true;
    if (tm_labelme_mask_decode(text, budget, &pixels, &sides[0], &sides[1], NULL) != TAGMASK_OK) return false;
    size_t count = (size_t)sides[0] * sides[1];
    for (size_t i = 0; i < count; i++) pixels[i] = pixels[i] != 0;
    *hash = tm_hash64(pixels, count, tm_hash64(sides, sizeof sides, *hash));
    free(pixels);
    return true;
}

static void print_id(char id[17], uint64_t hash) {
    snprintf(id, 17, "%016llx", (unsigned long long)hash);
}

// false: the shape cannot be one of ours.
static bool shape_id(const cJSON *shape, uint64_t *budget, char id[17]) {
    uint64_t hash = hash_text(shape, "shape_type", hash_text(shape, "label", 2));
    hash = tm_json_hash(cJSON_GetObjectItemCaseSensitive(shape, "group_id"), hash_points(shape, hash));
    if (!hash_mask(shape, budget, &hash)) return false;
    print_id(id, hash);
    return true;
}

// As the first files had it: without the group, which parts of one tag shared.
static bool has_first_id(const cJSON *shape, const char *expected) {
    char id[17];
    print_id(id, hash_points(shape, hash_text(shape, "label", 1)));
    return !strcmp(id, expected);
}

// Left, top, right and bottom of what the shape covers; false: nothing.
static bool shape_box(const cJSON *shape, double sides[4]) {
    const cJSON *points = cJSON_GetObjectItemCaseSensitive(shape, "points"), *point;
    const char *kind = tm_json_text(shape, "shape_type");
    double first[2] = {0};
    int count = 0;
    sides[0] = sides[1] = INFINITY;
    sides[2] = sides[3] = -INFINITY;
    cJSON_ArrayForEach(point, points) {
        double x = cJSON_GetNumberValue(cJSON_GetArrayItem(point, 0));
        double y = cJSON_GetNumberValue(cJSON_GetArrayItem(point, 1));
        if (!count++) first[0] = x, first[1] = y;
        sides[0] = fmin(sides[0], x), sides[1] = fmin(sides[1], y);
        sides[2] = fmax(sides[2], x), sides[3] = fmax(sides[3], y);
        if (count == 2 && !strcmp(kind, "circle")) {  // the centre and a point of the rim
            double radius = hypot(x - first[0], y - first[1]);
            sides[0] = first[0] - radius, sides[1] = first[1] - radius;
            sides[2] = first[0] + radius, sides[3] = first[1] + radius;
        }
    }
    if (!strcmp(kind, "mask")) sides[2]++, sides[3]++;  // the second point is the last pixel
    return sides[0] < sides[2] && sides[1] < sides[3];
}

static bool is_untouched(const cJSON *shape, uint64_t *budget) {
    static const char *const written[] = {"label",      "points", "group_id", "description",
                                          "shape_type", "flags",  "mask",     "tagmask"};
    const cJSON *mark = cJSON_GetObjectItemCaseSensitive(shape, "tagmask"), *flag;
    const char *expected = tm_json_text(mark, "id");
    char id[17], description[64];
    if (!cJSON_IsObject(mark) || !tm_json_has_only(shape, written, TM_ARRAY_LEN(written))) return false;
    if (!has_first_id(shape, expected) && (!shape_id(shape, budget, id) || strcmp(id, expected))) return false;
    describe(description, sizeof description, cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(mark, "score")));
    if (strcmp(description, tm_json_text(shape, "description"))) return false;
    cJSON_ArrayForEach(flag, cJSON_GetObjectItemCaseSensitive(shape, "flags")) {
        if (!cJSON_IsFalse(flag)) return false;
    }
    return true;
}

// Takes the untouched proposals out of both lists. What is left, a person's shapes and the proposals that they changed
// or deleted, goes into `kept`. A shape that is not in the list of this file's proposals was pasted by a person:
// labelme copies the mark, too. *place: where the first of them was, else behind the last shape.
static bool keep_work(cJSON *shapes, uint64_t budget, cJSON *proposals, tm_kept *kept, int *place) {
    double sides[4];
    bool ok = true, removed = false;
    int stay = 0;
    for (cJSON *shape = shapes->child, *next; shape; shape = next) {
        next = shape->next;
        const char *id = tm_json_text(cJSON_GetObjectItemCaseSensitive(shape, "tagmask"), "id");
        if (is_untouched(shape, &budget) && tm_proposals_forget(proposals, id)) {
            if (!removed) *place = stay;
            removed = true;
            cJSON_Delete(cJSON_DetachItemViaPointer(shapes, shape));
            continue;
        }
        if (shape_box(shape, sides)) ok = ok && tm_kept_add(kept, tm_json_text(shape, "label"), sides);
        stay++;
    }
    if (!removed) *place = stay;
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

// a.jpg and a.png, or photos of one name in two folders, would have the same label file.
static tagmask_status check_photo(const char *path, const cJSON *root, const tm_label_job *job, tm_error *err) {
    const char *name = tm_json_text(root, "imagePath");
    char *other = tm_path_root(name) ? tm_strdup(name) : tm_path_join(job->out, name);
    if (!other) return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to write it", path);
    for (char *at = other; *at; at++) {
        if (*at == '\\') *at = '/';  // labelme reads Windows' paths everywhere
    }
    bool another = tm_file_exists(other) && tm_file_exists(job->photo_path) && !tm_same_file(other, job->photo_path);
    free(other);
    if (!another) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_FILE,
                   "%s: belongs to the photo %s and not to %s; it is not overwritten; rename one of the photos or "
                   "choose another output folder",
                   path, name, job->photo_path);
}

// A new root, or the file's own. *root is freed with cJSON_Delete.
static tagmask_status open_root(const char *path, const tm_label_job *job, cJSON **root, tm_error *err) {
    const tagmask_result *r = job->result;
    cJSON *found = NULL;
    if (!tm_file_exists(path)) {
        *root = cJSON_CreateObject();
        return *root ? TAGMASK_OK : tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to write it", path);
    }
    TM_TRY(tm_json_open(path, MAX_FILE_BYTES, &found, err));
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
    if (status == TAGMASK_OK) status = check_photo(path, found, job, err);
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

static bool add_mask(cJSON *shape, const tm_region_masks *masks, size_t number) {
    tm_box_mask mask;
    tm_text text = {0};
    if (!tm_region_mask(masks, number, &mask)) return false;
    bool ok =
        tm_labelme_mask_encode(&mask, &text, NULL) == TAGMASK_OK && cJSON_AddStringToObject(shape, "mask", text.data);
    free((void *)mask.pixels);
    free(text.data);
    return ok;
}

// masks: NULL for a polygon.
static bool add_shape(cJSON *shapes, cJSON *proposals, const tagmask_result *r, size_t number,
                      const tm_region_masks *masks) {
    const tagmask_region *region = &r->regions.items[number];
    const float corners[4] = {(float)region->left, (float)region->top, (float)region->right, (float)region->bottom};
    char id[17], description[64];
    uint64_t budget = UINT64_MAX;
    float *points = NULL;
    size_t count = 0;
    double score = round((double)region->score * 1e4) / 1e4;
    describe(description, sizeof description, score);
    cJSON *shape = cJSON_CreateObject();
    bool ok = shape && cJSON_AddItemToArray(shapes, shape);
    ok = ok && (masks || tm_keyhole(region, &points, &count)) &&
         cJSON_AddStringToObject(shape, "label", r->tags[region->tag]) &&
         (masks ? add_points(shape, corners, 2) : add_points(shape, points, count)) &&
         cJSON_AddNullToObject(shape, "group_id") && cJSON_AddStringToObject(shape, "description", description) &&
         cJSON_AddStringToObject(shape, "shape_type", masks ? "mask" : "polygon") &&
         cJSON_AddObjectToObject(shape, "flags") &&
         (masks ? add_mask(shape, masks, number) : (bool)cJSON_AddNullToObject(shape, "mask"));
    free(points);
    if (!ok || !shape_id(shape, &budget, id)) return false;
    cJSON *mark = cJSON_AddObjectToObject(shape, "tagmask");
    return mark && cJSON_AddStringToObject(mark, "id", id) && cJSON_AddNumberToObject(mark, "score", score) &&
           tm_proposals_add(proposals, id, r->tags[region->tag], region);
}

// The new proposals go where the old ones were: what a person drew over those lies over these.
static bool renew_shapes(cJSON *shapes, cJSON *proposals, const tagmask_result *r, const tm_region_masks *masks) {
    tm_kept kept = {0};
    int place = 0;
    cJSON *later = cJSON_CreateArray();
    bool ok = later && keep_work(shapes, tm_canvas_work_limit(r->width, r->height), proposals, &kept, &place);
    if (ok) tm_json_move(shapes, place, later);
    for (size_t i = 0; ok && i < r->regions.count; i++) {
        const tagmask_region *region = &r->regions.items[i];
        if (tm_kept_covers(&kept, r->tags[region->tag], region)) continue;
        ok = add_shape(shapes, proposals, r, i, masks);
    }
    if (ok) tm_json_move(later, 0, shapes);
    cJSON_Delete(later);
    tm_kept_free(&kept);
    return ok;
}

static bool fill_root(cJSON *root, const tm_label_job *job, const tm_region_masks *masks) {
    const tagmask_result *r = job->result;
    char *photo = tm_path_from(job->out, job->photo_path);
    bool ok = photo && set_default(root, "version", cJSON_CreateString("5.5.0")) &&
              set_default(root, "flags", cJSON_CreateObject()) && set_default(root, "shapes", cJSON_CreateArray()) &&
              set_default(root, "imagePath", cJSON_CreateString(photo)) &&
              set_default(root, "imageData", cJSON_CreateNull()) &&
              set_default(root, "imageHeight", cJSON_CreateNumber(r->height)) &&
              set_default(root, "imageWidth", cJSON_CreateNumber(r->width));
    free(photo);
    cJSON *mark = cJSON_GetObjectItemCaseSensitive(root, "tagmask");
    if (!mark) mark = cJSON_AddObjectToObject(root, "tagmask");
    ok = ok && mark && set_default(mark, "proposals", cJSON_CreateArray());
    return ok && renew_shapes(cJSON_GetObjectItemCaseSensitive(root, "shapes"),
                              cJSON_GetObjectItemCaseSensitive(mark, "proposals"), r, masks);
}

// The way to the photo leads through folders whose names the file has to hold, too.
static tagmask_status check_image_path(const tm_label_job *job, tm_error *err) {
    char *photo = tm_path_from(job->out, job->photo_path);
    bool ok = photo && tm_text_is_utf8(photo);
    free(photo);
    if (ok) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                   "%s: a folder on the way from %s to the photo has a name that is not UTF-8, as labelme holds it; "
                   "rename it, or choose an output folder beside the photo",
                   job->photo_path, job->out);
}

static tagmask_status write_file(const tm_label_job *job, const tm_region_masks *masks, tm_error *err) {
    char *path = NULL, *text = NULL;
    cJSON *root = NULL;
    tm_watched before;
    TM_TRY(tm_proposals_check_count(job->photo_path, job->result->regions.count, err));
    TM_TRY(check_image_path(job, err));
    TM_TRY(tm_label_path(job, NULL, tm_format_labelme.ending, &path, err));
    tm_watch(&before, path);
    tagmask_status status = open_root(path, job, &root, err);
    if (status != TAGMASK_OK) goto done;
    if (fill_root(root, job, masks)) text = tm_json_print(root, true);
    status = text ? tm_write_file_if(path, text, strlen(text), tm_is_as_watched, &before, err)
                  : tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to write it", path);
done:
    cJSON_Delete(root);
    cJSON_free(text);
    free(path);
    return status;
}

static tagmask_status add_polygons(void *state, const tm_label_job *job, tm_error *err) {
    (void)state;
    return write_file(job, NULL, err);
}

static tagmask_status add_masks(void *state, const tm_label_job *job, tm_error *err) {
    tm_region_masks masks = {0};
    (void)state;
    TM_TRY(tm_region_masks_open(job->result, &masks, err));
    tagmask_status status = write_file(job, &masks, err);
    tm_region_masks_close(&masks);
    return status;
}

const tm_label_format tm_format_labelme = {
    .name = "labelme", .holds_name = true, .ending = ".json", .add = add_polygons, .read = tm_read_labelme};
const tm_label_format tm_format_labelme_mask = {
    .name = "labelme-mask", .holds_name = true, .ending = ".json", .add = add_masks, .read = tm_read_labelme};
