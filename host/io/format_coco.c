// COCO's detection format (https://cocodataset.org/#format-data) in one file for all photos: coco.json with polygons,
// coco-rle.json with compressed run-length codes, which keep holes. iscrowd is 0 for both, because evaluators and
// loaders ignore regions with 1; coco-rle-crowd.json is for those who want 1 with run-length codes, as COCO itself has
// it. An annotation carries a member "tagmask" with a hash of all that a person can change, an image one with the
// proposals made so far: what a person drew, changed or deleted is kept, by the same rules as for labelme.
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
static const char polygon_name[] = "coco.json", rle_name[] = "coco-rle.json", crowd_name[] = "coco-rle-crowd.json";

// Kept as text: a tree of numbers takes some twenty times the room.
typedef struct photo {
    char *file_name, *image, *annotations;  // an object; objects with ",\n" between, may be ""
    double id;
} photo;

typedef struct coco {
    char *path;
    tm_watched file;
    bool rle, crowd;
    char *others;  // further members of the file: "\"key\": value,\n"...
    cJSON *categories;
    photo *photos;  // the first stands for annotations without an image of this file
    size_t count, capacity, pending;
    double next_image, next_annotation, next_category;
    double *freed;  // ids of the photo's replaced annotations, which its new ones take: a second run changes nothing
    size_t freed_count, freed_capacity, freed_used;
} coco;

static void free_photo(photo *p) {
    free(p->file_name);
    free(p->image);
    free(p->annotations);
}

static void free_coco(coco *c) {
    if (!c) return;
    for (size_t i = 0; i < c->count; i++) free_photo(&c->photos[i]);
    free(c->photos);
    free(c->freed);
    cJSON_Delete(c->categories);
    free(c->others);
    free(c->path);
    free(c);
}

static double number_of(const cJSON *object, const char *key) {
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

// ---- Reading the file that is there ---------------------------------------------------------------------------------

static void add_printed(tm_text *text, const char *separator, cJSON *item) {
    char *printed = tm_json_print(item, false);
    if (!printed) text->failed = true;
    if (printed) tm_text_add(text, "%s%s", text->size ? separator : "", printed);
    cJSON_free(printed);
}

// The text, or an empty one; NULL when out of memory.
static char *finish(tm_text *text) {
    if (!text->size && !text->failed) tm_text_bytes(text, "", 0);
    if (!text->failed) return text->data;
    free(text->data);
    return NULL;
}

typedef struct entry {
    double image;
    size_t order;
    cJSON *annotation;
} entry;

static int by_image(const void *left, const void *right) {
    const entry *a = left, *b = right;
    if (a->image != b->image) return a->image < b->image ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static double id_or(double id, double otherwise) {
    return isfinite(id) ? id : otherwise;
}

// The least id above `next` and the member's.
static double above(double next, const cJSON *object, const char *key) {
    return fmax(next, id_or(number_of(object, key), 0) + 1);
}

static bool add_photo(coco *c, cJSON *image, double id) {
    if (!tm_grow((void **)&c->photos, &c->capacity, c->count + 1, sizeof *c->photos)) return false;
    char *printed = image ? tm_json_print(image, false) : NULL;
    photo p = {.file_name = tm_strdup(tm_json_text(image, "file_name")),
               .image = tm_strdup(printed ? printed : ""),
               .annotations = tm_strdup(""),
               .id = id};
    bool ok = p.file_name && p.image && p.annotations && (printed || !image);
    cJSON_free(printed);
    c->photos[c->count++] = p;
    return ok;
}

static int photo_by_id(const void *left, const void *right) {
    const photo *a = left, *b = right;
    return a->id < b->id ? -1 : a->id > b->id;
}

// Gives every annotation to its photo; those of no photo go to the first entry.
static bool deal_annotations(coco *c, const cJSON *annotations) {
    size_t count = (size_t)cJSON_GetArraySize(annotations), used = 0;
    entry *entries = tm_calloc(count, sizeof *entries);
    cJSON *item;
    if (!entries) return false;
    cJSON_ArrayForEach(item, annotations) {
        double id = id_or(number_of(item, "image_id"), -INFINITY);
        photo key = {.id = id};
        bool known = c->count > 1 && bsearch(&key, c->photos + 1, c->count - 1, sizeof key, photo_by_id);
        entries[used] = (entry){known ? id : -INFINITY, used, item};
        used++;
        c->next_annotation = above(c->next_annotation, item, "id");
        // An annotation whose image or category is gone must not become that of a new one.
        c->next_image = above(c->next_image, item, "image_id");
        c->next_category = above(c->next_category, item, "category_id");
    }
    qsort(entries, used, sizeof *entries, by_image);
    bool ok = true;
    for (size_t i = 0, p = 0; p < c->count && ok; p++) {
        tm_text text = {0};
        for (; i < used && entries[i].image == c->photos[p].id; i++) add_printed(&text, ",\n", entries[i].annotation);
        char *joined = finish(&text);
        ok = joined;
        free(c->photos[p].annotations);
        c->photos[p].annotations = joined;
    }
    free(entries);
    return ok;
}

static bool take_file(coco *c, cJSON *root) {
    cJSON *item;
    tm_text others = {0};
    bool ok = true;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(root, "images")) {
        double id = number_of(item, "id");
        c->next_image = above(c->next_image, item, "id");
        ok = ok && add_photo(c, item, id_or(id, INFINITY));
    }
    qsort(c->photos + 1, c->count - 1, sizeof *c->photos, photo_by_id);
    ok = ok && deal_annotations(c, cJSON_GetObjectItemCaseSensitive(root, "annotations"));
    cJSON_Delete(c->categories);
    c->categories = cJSON_DetachItemFromObjectCaseSensitive(root, "categories");
    cJSON_ArrayForEach(item, c->categories) {
        c->next_category = above(c->next_category, item, "id");
    }
    cJSON_ArrayForEach(item, root) {
        if (!strcmp(item->string, "images") || !strcmp(item->string, "annotations")) continue;
        cJSON *key = cJSON_CreateStringReference(item->string);
        tm_text one = {0};
        add_printed(&one, "", key);
        tm_text_add(&one, ": ");
        if (!one.failed) tm_text_bytes(&others, one.data, one.size);
        others.failed |= one.failed;
        free(one.data);
        add_printed(&others, "", item);
        tm_text_add(&others, ",\n");
        cJSON_Delete(key);
    }
    free(c->others);
    c->others = finish(&others);
    return ok && c->others;
}

static tagmask_status read_file(coco *c, tm_error *err) {
    cJSON *root = NULL;
    TM_TRY(tm_json_open(c->path, MAX_FILE_BYTES, &root, err));
    tagmask_status status = TAGMASK_OK;
    if (!cJSON_IsObject(root) || !cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(root, "images")) ||
        !cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(root, "annotations")) ||
        !cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(root, "categories"))) {
        status = tm_fail(err, TAGMASK_ERROR_FORMAT,
                         "%s: exists and is no COCO file, expected the lists images, annotations and categories; it is "
                         "not overwritten; move it away or choose another output folder",
                         c->path);
    } else if (!take_file(c, root)) {
        status = tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to read it", c->path);
    }
    cJSON_Delete(root);
    return status;
}

static tagmask_status begin(const char *out, const char *name, void **state, tm_error *err) {
    coco *c = tm_calloc(1, sizeof *c);
    if (c) {
        *c = (coco){.rle = name != polygon_name,
                    .crowd = name == crowd_name,
                    .next_image = 1,
                    .next_annotation = 1,
                    .next_category = 1};
        c->path = tm_path_join(out, name);
        c->categories = cJSON_CreateArray();
        c->others = tm_strdup("\"info\": {\"description\":\"proposals by tagmask\"},\n\"licenses\": [],\n");
    }
    if (!c || !c->path || !c->categories || !c->others || !add_photo(c, NULL, -INFINITY)) {
        free_coco(c);
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to write a COCO file", out);
    }
    tm_watch(&c->file, c->path);
    tagmask_status status = c->file.there ? read_file(c, err) : TAGMASK_OK;
    if (status != TAGMASK_OK) {
        free_coco(c);
        return status;
    }
    *state = c;
    return TAGMASK_OK;
}

static tagmask_status begin_polygons(const char *out, void **state, tm_error *err) {
    return begin(out, polygon_name, state, err);
}
static tagmask_status begin_rle(const char *out, void **state, tm_error *err) {
    return begin(out, rle_name, state, err);
}
static tagmask_status begin_crowd(const char *out, void **state, tm_error *err) {
    return begin(out, crowd_name, state, err);
}

// ---- Writing the file -----------------------------------------------------------------------------------------------

static tagmask_status flush(void *state, tm_error *err) {
    coco *c = state;
    tm_text text = {0};
    cJSON *item;
    size_t listed = 0;
    if (!c->pending) return TAGMASK_OK;
    tm_text_add(&text, "{\n%s\"images\": [\n", c->others);
    for (size_t i = 1; i < c->count; i++) tm_text_add(&text, "%s%s", i > 1 ? ",\n" : "", c->photos[i].image);
    tm_text_add(&text, "\n],\n\"annotations\": [\n");
    for (size_t i = 0; i < c->count; i++) {
        if (!*c->photos[i].annotations) continue;
        tm_text_add(&text, "%s%s", listed++ ? ",\n" : "", c->photos[i].annotations);
    }
    tm_text_add(&text, "\n],\n\"categories\": [\n");
    cJSON_ArrayForEach(item, c->categories) {
        char *printed = tm_json_print(item, false);
        if (!printed) text.failed = true;
        tm_text_add(&text, "%s%s", printed ? printed : "", item->next ? ",\n" : "");
        cJSON_free(printed);
    }
    tm_text_add(&text, "\n]\n}\n");
    TM_TRY(tm_watched_write(&c->file, &text, c->path, err));
    c->pending = 0;
    return TAGMASK_OK;
}

static tagmask_status end(void *state, tm_error *err) {
    tagmask_status status = flush(state, err);
    free_coco(state);
    return status;
}

// ---- Adding a photo -------------------------------------------------------------------------------------------------

static const char *category_name(const coco *c, double id) {
    const cJSON *item;
    cJSON_ArrayForEach(item, c->categories) {
        if (number_of(item, "id") == id) return tm_json_text(item, "name");
    }
    return "";
}

// NAN: out of memory.
static double category_id(coco *c, const char *name) {
    cJSON *item;
    cJSON_ArrayForEach(item, c->categories) {
        double id = number_of(item, "id");
        if (!strcmp(tm_json_text(item, "name"), name) && isfinite(id)) return id;
    }
    item = cJSON_CreateObject();
    if (!item || !cJSON_AddItemToArray(c->categories, item) || !cJSON_AddNumberToObject(item, "id", c->next_category) ||
        !cJSON_AddStringToObject(item, "name", name) || !cJSON_AddStringToObject(item, "supercategory", "")) {
        return NAN;
    }
    return c->next_category++;
}

static void annotation_id(const coco *c, const cJSON *annotation, char id[17]) {
    static const char *const members[] = {"segmentation", "bbox", "iscrowd"};
    const char *name = category_name(c, number_of(annotation, "category_id"));
    uint64_t hash = tm_hash64(name, strlen(name), 2);
    for (size_t i = 0; i < TM_ARRAY_LEN(members); i++) {
        hash = tm_json_hash(cJSON_GetObjectItemCaseSensitive(annotation, members[i]), hash);
    }
    snprintf(id, 17, "%016llx", (unsigned long long)hash);
}

static bool free_id(coco *c, double id) {
    if (!isfinite(id)) return true;
    if (!tm_grow((void **)&c->freed, &c->freed_capacity, c->freed_count + 1, sizeof *c->freed)) return false;
    c->freed[c->freed_count++] = id;
    return true;
}

static double take_id(coco *c) {
    return c->freed_used < c->freed_count ? c->freed[c->freed_used++] : c->next_annotation++;
}

// As the first files had it: of the category and the segmentation as it was printed.
static bool has_first_id(const coco *c, const cJSON *annotation, const char *expected) {
    const char *name = category_name(c, number_of(annotation, "category_id"));
    char *printed = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(annotation, "segmentation")), id[17];
    if (!printed) return false;
    uint64_t hash = tm_hash64(printed, strlen(printed), tm_hash64(name, strlen(name), 1));
    cJSON_free(printed);
    snprintf(id, sizeof id, "%016llx", (unsigned long long)hash);
    return !strcmp(id, expected);
}

static bool is_untouched(const coco *c, const cJSON *annotation) {
    static const char *const written[] = {"id",   "image_id", "category_id", "segmentation", "area",
                                          "bbox", "iscrowd",  "score",       "tagmask"};
    const cJSON *mark = cJSON_GetObjectItemCaseSensitive(annotation, "tagmask");
    char id[17];
    if (!cJSON_IsObject(mark) || !tm_json_has_only(annotation, written, TM_ARRAY_LEN(written))) return false;
    annotation_id(c, annotation, id);
    return !strcmp(id, tm_json_text(mark, "id")) || has_first_id(c, annotation, tm_json_text(mark, "id"));
}

// Left, top, right and bottom: the annotation's bbox, else that of its polygons.
static void annotation_box(const cJSON *annotation, double sides[4]) {
    const cJSON *box = cJSON_GetObjectItemCaseSensitive(annotation, "bbox"), *polygon, *number;
    if (cJSON_GetArraySize(box) == 4) {
        for (int i = 0; i < 4; i++) sides[i] = cJSON_GetNumberValue(cJSON_GetArrayItem(box, i));
        sides[2] += sides[0], sides[3] += sides[1];
        return;
    }
    sides[0] = sides[1] = INFINITY;
    sides[2] = sides[3] = -INFINITY;
    cJSON_ArrayForEach(polygon, cJSON_GetObjectItemCaseSensitive(annotation, "segmentation")) {
        int axis = 0;
        cJSON_ArrayForEach(number, polygon) {
            sides[axis] = fmin(sides[axis], cJSON_GetNumberValue(number));
            sides[axis + 2] = fmax(sides[axis + 2], cJSON_GetNumberValue(number));
            axis = !axis;
        }
    }
}

// *place: where the first untouched proposal was, else behind the last annotation.
static bool keep_work(coco *c, cJSON *annotations, cJSON *proposals, tm_kept *kept, int *place) {
    bool ok = true, removed = false;
    double sides[4];
    int stay = 0;
    for (cJSON *item = annotations->child, *next; item; item = next) {
        next = item->next;
        const char *id = tm_json_text(cJSON_GetObjectItemCaseSensitive(item, "tagmask"), "id");
        if (is_untouched(c, item) && tm_proposals_forget(proposals, id)) {  // else copied from another image
            if (!removed) *place = stay;
            removed = true;
            ok = ok && free_id(c, number_of(item, "id"));
            cJSON_Delete(cJSON_DetachItemViaPointer(annotations, item));
            continue;
        }
        annotation_box(item, sides);
        ok = ok && tm_kept_add(kept, category_name(c, number_of(item, "category_id")), sides);
        stay++;
    }
    if (!removed) *place = stay;
    return ok && tm_proposals_keep(proposals, kept);
}

static cJSON *polygon_of(const tagmask_region *region) {
    float *points = NULL;
    size_t count = 0;
    cJSON *list = cJSON_CreateArray(), *flat = NULL;
    if (list && tm_keyhole(region, &points, &count)) flat = cJSON_CreateFloatArray(points, (int)(2 * count));
    free(points);
    if (flat && cJSON_AddItemToArray(list, flat)) return list;
    cJSON_Delete(list);
    return NULL;
}

static cJSON *rle_of(const tm_region_masks *masks, size_t region) {
    tm_box_mask mask;
    tm_text counts = {0};
    if (!tm_region_mask(masks, region, &mask)) return NULL;
    tm_rle_coco(&mask, &counts);
    free((void *)mask.pixels);
    cJSON *object = counts.failed ? NULL : cJSON_CreateObject();
    bool ok = object &&
              cJSON_AddItemToObject(object, "size",
                                    cJSON_CreateIntArray((const int[]){(int)mask.height, (int)mask.width}, 2)) &&
              cJSON_AddStringToObject(object, "counts", counts.data);
    free(counts.data);
    if (ok) return object;
    cJSON_Delete(object);
    return NULL;
}

static bool add_annotation(coco *c, cJSON *annotations, cJSON *proposals, double image, const tagmask_result *r,
                           size_t number, const tm_region_masks *masks) {
    const tagmask_region *region = &r->regions.items[number];
    const char *tag = r->tags[region->tag];
    const double box[4] = {region->left, region->top, region->right - region->left + 1.0,
                           region->bottom - region->top + 1.0};
    double category = category_id(c, tag);
    char id[17];
    cJSON *item = cJSON_CreateObject(), *mark;
    bool ok = item && cJSON_AddItemToArray(annotations, item) && isfinite(category) &&
              cJSON_AddNumberToObject(item, "id", take_id(c)) && cJSON_AddNumberToObject(item, "image_id", image) &&
              cJSON_AddNumberToObject(item, "category_id", category) &&
              cJSON_AddItemToObject(item, "segmentation", c->rle ? rle_of(masks, number) : polygon_of(region)) &&
              cJSON_AddNumberToObject(item, "area", (double)region->area) &&
              cJSON_AddItemToObject(item, "bbox", cJSON_CreateDoubleArray(box, 4)) &&
              cJSON_AddNumberToObject(item, "iscrowd", c->crowd) &&
              cJSON_AddNumberToObject(item, "score", round((double)region->score * 1e4) / 1e4);
    if (!ok) return false;
    annotation_id(c, item, id);
    return (mark = cJSON_AddObjectToObject(item, "tagmask")) && cJSON_AddStringToObject(mark, "id", id) &&
           tm_proposals_add(proposals, id, tag, region);
}

static photo *find_photo(const coco *c, const char *file_name) {
    for (size_t i = 1; i < c->count; i++) {
        if (!strcmp(c->photos[i].file_name, file_name)) return &c->photos[i];
    }
    return NULL;
}

static bool has(const void *state, const char *name) {
    return find_photo(state, name);
}

static tagmask_status new_photo(coco *c, const tm_label_job *job, photo **added, tm_error *err) {
    cJSON *image = cJSON_CreateObject();
    bool ok = image && cJSON_AddNumberToObject(image, "id", c->next_image) &&
              cJSON_AddStringToObject(image, "file_name", job->name) &&
              cJSON_AddNumberToObject(image, "width", job->result->width) &&
              cJSON_AddNumberToObject(image, "height", job->result->height) && add_photo(c, image, c->next_image);
    cJSON_Delete(image);
    if (!ok) return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to add %s", c->path, job->photo_path);
    c->next_image++;
    *added = &c->photos[c->count - 1];
    return TAGMASK_OK;
}

static tagmask_status check_image(const coco *c, const cJSON *image, const tm_label_job *job, tm_error *err) {
    double width = number_of(image, "width"), height = number_of(image, "height");
    const cJSON *mark = cJSON_GetObjectItemCaseSensitive(image, "tagmask");
    if ((isfinite(width) && width != job->result->width) || (isfinite(height) && height != job->result->height)) {
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: has %s as %g x %g pixels, but the photo is %u x %u", c->path,
                       job->name, width, height, job->result->width, job->result->height);
    }
    if (!mark || tm_proposals_valid(cJSON_GetObjectItemCaseSensitive(mark, "proposals"))) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_FORMAT,
                   "%s: the member \"tagmask\" of image %s is damaged, expected a list of at most %d proposals; delete "
                   "that member to start anew",
                   c->path, job->name, TM_PROPOSALS_MAX);
}

// The photo's texts are replaced only when everything went well.
static bool update_photo(coco *c, photo *p, cJSON *image, cJSON *annotations, const tagmask_result *r,
                         const tm_region_masks *masks) {
    tm_kept kept = {0};
    tm_text text = {0};
    cJSON *mark = cJSON_GetObjectItemCaseSensitive(image, "tagmask");
    if (!mark) {
        mark = cJSON_AddObjectToObject(image, "tagmask");
        if (!mark || !cJSON_AddArrayToObject(mark, "proposals")) return false;
    }
    cJSON *proposals = cJSON_GetObjectItemCaseSensitive(mark, "proposals");
    c->freed_count = c->freed_used = 0;
    int place = 0;
    cJSON *later = cJSON_CreateArray();  // proposals go where the old ones were, as in labelme's file
    bool ok = later && keep_work(c, annotations, proposals, &kept, &place);
    if (ok) tm_json_move(annotations, place, later);
    for (size_t i = 0; ok && i < r->regions.count; i++) {
        const tagmask_region *region = &r->regions.items[i];
        if (tm_kept_covers(&kept, r->tags[region->tag], region)) continue;
        ok = add_annotation(c, annotations, proposals, p->id, r, i, masks);
    }
    if (ok) tm_json_move(later, 0, annotations);
    cJSON_Delete(later);
    tm_kept_free(&kept);
    cJSON *item;
    cJSON_ArrayForEach(item, annotations) add_printed(&text, ",\n", item);
    char *joined = finish(&text), *printed = ok && joined ? tm_json_print(image, false) : NULL;
    if (!printed) {
        free(joined);
        return false;
    }
    free(p->annotations);
    cJSON_free(p->image);
    p->annotations = joined;
    p->image = printed;
    return true;
}

static tagmask_status add(void *state, const tm_label_job *job, tm_error *err) {
    coco *c = state;
    photo *p = find_photo(c, job->name);
    tm_region_masks masks = {0};
    TM_TRY(tm_proposals_check_count(job->photo_path, job->result->regions.count, err));
    if (c->rle) TM_TRY(tm_region_masks_open(job->result, &masks, err));
    tagmask_status status = p ? TAGMASK_OK : new_photo(c, job, &p, err);
    char *list = status == TAGMASK_OK ? tm_format("[%s]", p->annotations) : NULL;
    cJSON *image = list ? cJSON_Parse(p->image) : NULL, *annotations = list ? cJSON_Parse(list) : NULL;
    free(list);
    if (status == TAGMASK_OK) status = check_image(c, image, job, err);
    if (status == TAGMASK_OK &&
        !(image && annotations && update_photo(c, p, image, annotations, job->result, &masks))) {
        status = tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to add %s", c->path, job->name);
    }
    cJSON_Delete(image);
    cJSON_Delete(annotations);
    tm_region_masks_close(&masks);
    if (status != TAGMASK_OK) return status;
    c->pending++;
    return tm_label_flush_due(c->pending, c->count) ? flush(c, err) : TAGMASK_OK;
}

const tm_label_format tm_format_coco = {.name = "coco",
                                        .holds_name = true,
                                        .ending = polygon_name,
                                        .begin = begin_polygons,
                                        .add = add,
                                        .flush = flush,
                                        .has = has,
                                        .end = end,
                                        .read = tm_read_coco};
const tm_label_format tm_format_coco_rle = {.name = "coco-rle",
                                            .holds_name = true,
                                            .ending = rle_name,
                                            .begin = begin_rle,
                                            .add = add,
                                            .flush = flush,
                                            .has = has,
                                            .end = end,
                                            .read = tm_read_coco};
const tm_label_format tm_format_coco_rle_crowd = {.name = "coco-rle-crowd",
                                                  .holds_name = true,
                                                  .ending = crowd_name,
                                                  .begin = begin_crowd,
                                                  .add = add,
                                                  .flush = flush,
                                                  .has = has,
                                                  .end = end,
                                                  .read = tm_read_coco};
