#include "io/kept.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct tm_kept_box {
    char *tag;
    double left, top, right, bottom;
};

bool tm_kept_add(tm_kept *kept, const char *tag, const double sides[4]) {
    if (!tm_grow((void **)&kept->items, &kept->capacity, kept->count + 1, sizeof *kept->items)) return false;
    char *copy = tm_strdup(tag);
    if (!copy) return false;
    kept->items[kept->count++] = (struct tm_kept_box){copy, sides[0], sides[1], sides[2], sides[3]};
    return true;
}

bool tm_kept_covers(const tm_kept *kept, const char *tag, const tagmask_region *region) {
    double left = region->left, top = region->top, right = region->right + 1.0, bottom = region->bottom + 1.0;
    for (size_t i = 0; i < kept->count; i++) {
        const struct tm_kept_box *b = &kept->items[i];
        double w = fmin(right, b->right) - fmax(left, b->left), h = fmin(bottom, b->bottom) - fmax(top, b->top);
        if (strcmp(tag, b->tag) || w <= 0 || h <= 0) continue;
        double either = (right - left) * (bottom - top) + (b->right - b->left) * (b->bottom - b->top) - w * h;
        if (w * h >= 0.5 * either) return true;
    }
    return false;
}

tagmask_status tm_proposals_check_count(const char *name, size_t count, tm_error *err) {
    if (count <= TM_PROPOSALS_MAX) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                   "%s: has %zu parts; expected at most %d in a label file; raise min_part to drop small ones", name,
                   count, TM_PROPOSALS_MAX);
}

void tm_kept_free(tm_kept *kept) {
    for (size_t i = 0; i < kept->count; i++) free(kept->items[i].tag);
    free(kept->items);
    *kept = (tm_kept){0};
}

bool tm_proposals_valid(const cJSON *proposals) {
    return cJSON_IsArray(proposals) && cJSON_GetArraySize(proposals) <= TM_PROPOSALS_MAX;
}

bool tm_proposals_add(cJSON *proposals, const char *id, const char *tag, const tagmask_region *region) {
    const double sides[4] = {region->left, region->top, region->right + 1.0, region->bottom + 1.0};
    cJSON *entry = cJSON_CreateObject();
    return entry && cJSON_AddItemToArray(proposals, entry) && cJSON_AddStringToObject(entry, "id", id) &&
           cJSON_AddStringToObject(entry, "tag", tag) &&
           cJSON_AddItemToObject(entry, "box", cJSON_CreateDoubleArray(sides, 4));
}

void tm_proposals_forget(cJSON *proposals, const char *id) {
    for (cJSON *entry = proposals->child; entry; entry = entry->next) {
        if (strcmp(tm_json_text(entry, "id"), id)) continue;
        cJSON_Delete(cJSON_DetachItemViaPointer(proposals, entry));
        return;
    }
}

bool tm_proposals_keep(const cJSON *proposals, tm_kept *kept) {
    const cJSON *entry;
    cJSON_ArrayForEach(entry, proposals) {
        const cJSON *numbers = cJSON_GetObjectItemCaseSensitive(entry, "box");
        double sides[4];
        for (int i = 0; i < 4; i++) sides[i] = cJSON_GetNumberValue(cJSON_GetArrayItem(numbers, i));
        if (!tm_kept_add(kept, tm_json_text(entry, "tag"), sides)) return false;
    }
    return true;
}

const char *tm_json_text(const cJSON *object, const char *key) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return text ? text : "";
}
