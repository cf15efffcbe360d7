#include "io/read.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/platform.h"
#include "io/formats.h"

#define MAX_FILE_BYTES ((size_t)1 << 30)

// cJSON keeps a struct for each value: "1,1,1" takes forty times its length.
tagmask_status tm_json_check_memory(const char *path, const uint8_t *bytes, size_t size, tm_error *err) {
    uint64_t needed = size, available = tm_available_memory();
    for (size_t i = 0; i < size; i++) {
        bool next = bytes[i] == ',' || bytes[i] == '[' || bytes[i] == '{';
        if (next) needed += sizeof(cJSON) + 32;
    }
    if (needed <= available) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: reading it needs up to %llu MiB of memory, %llu MiB are available",
                   path, (unsigned long long)(needed >> 20), (unsigned long long)(available >> 20));
}

tagmask_status tm_read_json(const char *path, cJSON **root, tm_error *err) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    TM_TRY(tm_read_file(path, MAX_FILE_BYTES, &bytes, &size, err));
    tagmask_status status = tm_json_check_memory(path, bytes, size, err);
    if (status != TAGMASK_OK) {
        free(bytes);
        return status;
    }
    status = tm_json_parse(path, bytes, size, root, err);
    free(bytes);
    return status;
}

tagmask_status tm_read_nearest(const char *path, const char *name, char **text, tm_error *err) {
    size_t size = 0, folder = (size_t)(tm_file_name(path) - path);
    for (;;) {
        char *near = tm_format("%.*s%s", (int)folder, path, name);
        uint8_t *bytes = NULL;
        if (!near) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the names of classes");
        bool there = tm_file_exists(near);
        tagmask_status status = there ? tm_read_file(near, MAX_FILE_BYTES, &bytes, &size, err) : TAGMASK_OK;
        free(near);
        if (status != TAGMASK_OK) return status;
        if (there && size >= 3 && !memcmp(bytes, "\xef\xbb\xbf", 3)) memmove(bytes, bytes + 3, size - 2);
        if (there) *text = (char *)bytes;
        if (there || !folder) return TAGMASK_OK;
        for (folder--; folder && !tm_is_separator(path[folder - 1]);) folder--;
    }
}

static bool take_numbers(const cJSON *list, bool nested, double **numbers, size_t *count, size_t *capacity) {
    const cJSON *item;
    cJSON_ArrayForEach(item, list) {
        if (!nested && cJSON_IsArray(item)) {
            if (!take_numbers(item, true, numbers, count, capacity)) return false;
            continue;
        }
        if (!cJSON_IsNumber(item) || !tm_grow((void **)numbers, capacity, *count + 1, sizeof **numbers)) return false;
        (*numbers)[(*count)++] = item->valuedouble;
    }
    return true;
}

tagmask_status tm_read_numbers(const cJSON *list, double scale_x, double scale_y, double **numbers, size_t *count,
                               tm_error *err) {
    double *found = NULL;
    size_t used = 0, capacity = 0;
    if (!cJSON_IsArray(list) || !take_numbers(list, false, &found, &used, &capacity) || used % 2) {
        free(found);
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "expected a list of points, x and y");
    }
    for (size_t i = 0; i < used; i++) found[i] *= i % 2 ? scale_y : scale_x;
    *numbers = found;
    *count = used / 2;
    return TAGMASK_OK;
}

tagmask_status tm_read_check_size(const cJSON *object, const char *key, uint32_t size, tm_error *err) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsNumber(item) || item->valuedouble == (double)size) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_FORMAT, "its %s is %g, but the photo's is %u", key, item->valuedouble, size);
}

tagmask_status tagmask_result_read(const char *format, const char *path, const char *photo_path, uint32_t width,
                                   uint32_t height, tagmask_result **result, tagmask_error *error) {
    if (!format || !path || !photo_path || !result) {
        return tm_fail(error, TAGMASK_ERROR_ARGUMENT,
                       "tagmask_result_read: format, path, photo_path and result must not be NULL");
    }
    const tm_label_format *found = tm_label_format_find(format);
    if (!found || !found->read) {
        return tm_fail(error, found ? TAGMASK_ERROR_UNSUPPORTED : TAGMASK_ERROR_ARGUMENT,
                       "format \"%s\" %s; docs/formats.md lists those that can be read", format,
                       found ? "cannot be read back" : "is not known");
    }
    tm_canvas canvas = {0};
    TM_TRY(tm_canvas_open(&canvas, width, height, error));
    tagmask_status status = found->read(&(tm_read_job){path, photo_path, &canvas}, error);
    if (status == TAGMASK_OK) return tm_canvas_finish(&canvas, result, error);
    tm_canvas_close(&canvas);
    // Readers name the element; those that opened the file have named it already.
    if (error && !strstr(error->message, path)) return tm_fail_prefix(error, "%s", path);
    return status;
}
