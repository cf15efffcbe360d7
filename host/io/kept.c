#include "io/kept.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/read.h"
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

bool tm_proposals_forget(cJSON *proposals, const char *id) {
    for (cJSON *entry = proposals->child; entry; entry = entry->next) {
        if (strcmp(tm_json_text(entry, "id"), id)) continue;
        cJSON_Delete(cJSON_DetachItemViaPointer(proposals, entry));
        return true;
    }
    return false;
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

// Whole numbers beyond 2^52, whose last digit a double can lose, numbers that are none to it (1e400), and zero
// characters, at which cJSON ends a text.
static bool is_lossy(const char *text, size_t size) {
    static const uint64_t most = (uint64_t)1 << 52;
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '"') quoted = !quoted;
        if (quoted && text[i] == '\\') {
            if (size - i > 5 && !memcmp(text + i, "\\u0000", 6)) return true;
            i++;
        } else if (!quoted && text[i] >= '0' && text[i] <= '9') {
            size_t length = strspn(text + i, "0123456789");
            bool whole = !strchr(".eE", text[i + length]) || !text[i + length];
            if (whole && (length > 16 || strtoull(text + i, NULL, 10) > most)) return true;
            if (!whole && !isfinite(strtod(text + i, NULL))) return true;
            i += strspn(text + i, "0123456789.eE+-") - 1;
        }
    }
    return false;
}

tagmask_status tm_json_open(const char *path, size_t max_bytes, cJSON **root, tm_error *err) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    TM_TRY(tm_read_file(path, max_bytes, &bytes, &size, err));
    tagmask_status fits = tm_json_check_memory(path, bytes, size, err);
    if (fits != TAGMASK_OK) {
        free(bytes);
        return fits;
    }
    const char *text = (const char *)bytes, *end = NULL;
    cJSON *found = cJSON_ParseWithLengthOpts(text, size, &end, false);
    bool whole = found && end + strspn(end, " \t\r\n") == text + size, lossy = whole && is_lossy(text, size);
    free(bytes);
    *root = NULL;
    if (whole && !lossy) {
        *root = found;
        return TAGMASK_OK;
    }
    cJSON_Delete(found);
    if (!lossy) return TAGMASK_OK;
    return tm_fail(
        err, TAGMASK_ERROR_UNSUPPORTED,
        "%s: holds a whole number above 2^52, a number beyond 1.8e308 or a text with a zero character, which "
        "cannot be written again as they are; it is not overwritten; move it away or choose another output folder",
        path);
}

uint64_t tm_json_hash(const cJSON *item, uint64_t seed) {
    const uint8_t kind = item ? (uint8_t)(item->type & 0xff) : cJSON_NULL;
    uint64_t hash = tm_hash64(&kind, 1, seed), sum = 0;
    const cJSON *child;
    if (cJSON_IsNumber(item)) {
        double value = item->valuedouble + 0.0;  // one zero, not two
        return tm_hash64(&value, sizeof value, hash);
    }
    if (cJSON_IsString(item)) return tm_hash64(item->valuestring, strlen(item->valuestring), hash);
    if (cJSON_IsRaw(item)) {  // as it will be read
        cJSON *parsed = cJSON_Parse(item->valuestring);
        hash = tm_json_hash(parsed, seed);
        cJSON_Delete(parsed);
        return hash;
    }
    if (cJSON_IsObject(item)) {
        cJSON_ArrayForEach(child, item) sum += tm_json_hash(child, tm_hash64(child->string, strlen(child->string), 1));
        return tm_hash64(&sum, sizeof sum, hash);
    }
    if (cJSON_IsArray(item)) cJSON_ArrayForEach(child, item) hash = tm_json_hash(child, hash);
    return hash;
}

static bool is_empty(const cJSON *item) {
    if (cJSON_IsNull(item) || cJSON_IsFalse(item)) return true;
    if (cJSON_IsNumber(item)) return item->valuedouble == 0;
    if (cJSON_IsString(item)) return !*item->valuestring;
    if (!cJSON_IsArray(item) && !cJSON_IsObject(item)) return false;
    const cJSON *child;
    cJSON_ArrayForEach(child, item) {
        if (!is_empty(child)) return false;
    }
    return true;
}

bool tm_json_has_only(const cJSON *object, const char *const *names, size_t count) {
    const cJSON *item;
    cJSON_ArrayForEach(item, object) {
        size_t i = 0;
        while (i < count && strcmp(names[i], item->string)) i++;
        if (i == count && !is_empty(item)) return false;
    }
    return true;
}

void tm_json_move(cJSON *from, int at, cJSON *to) {
    cJSON *item = cJSON_GetArrayItem(from, at);
    while (item) {
        cJSON *next = item->next;
        cJSON_AddItemToArray(to, cJSON_DetachItemViaPointer(from, item));
        item = next;
    }
}
