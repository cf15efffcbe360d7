#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"

// The first byte that is wrong, from where cJSON stopped: where a member's name should begin it has gone one too far.
static size_t wrong_byte(const char *text, size_t at) {
    if (!at || strchr(" \t\r\n\"", text[at - 1])) return at;
    size_t before = at - 1;
    while (before && strchr(" \t\r\n", text[before - 1])) before--;
    return before && strchr("{,", text[before - 1]) ? at - 1 : at;
}

static tagmask_status syntax_error(const char *path, const char *text, size_t size, size_t at, tm_error *err) {
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at; i++) {
        bool inside = ((unsigned char)text[i] & 0xc0) == 0x80;  // the second and further bytes of a character
        line += text[i] == '\n';
        column = text[i] == '\n' ? 1 : column + !inside;
    }
    if (!size) return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: is empty; expected JSON", path);
    if (at >= size)
        return tm_fail(
            err, TAGMASK_ERROR_FORMAT,
            "%s: is not valid JSON: line %zu, column %zu: the file ends too early; is a bracket or a quotation "
            "mark missing?",
            path, line, column);
    return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: is not valid JSON: line %zu, column %zu: did not expect '%.*s'",
                   path, line, column, (int)TM_CLAMP(strcspn(text + at, "\r\n"), (size_t)1, (size_t)24), text + at);
}

tagmask_status tm_json_parse(const char *path, const uint8_t *text, size_t size, cJSON **root, tm_error *err) {
    const char *begin = (const char *)text, *end = begin;
    // With the zero behind the text, so that its end is told from its last byte.
    cJSON *found = cJSON_ParseWithLengthOpts(begin, size + 1, &end, true);
    size_t at = end ? (size_t)(end - begin) : 0;
    if (found && at == size) {
        *root = found;
        return TAGMASK_OK;
    }
    cJSON_Delete(found);
    return syntax_error(path, begin, size, found ? at : wrong_byte(begin, at), err);
}

tagmask_status tm_json_read(const char *path, size_t max_bytes, cJSON **root, tm_error *err) {
    uint8_t *text = NULL;
    size_t size = 0;
    TM_TRY(tm_read_file(path, max_bytes, &text, &size, err));
    tagmask_status status = tm_json_parse(path, text, size, root, err);
    free(text);
    return status;
}

static tagmask_status unknown_member(const char *path, const char *name, const tm_json_members *members,
                                     tm_error *err) {
    tm_nearest nearest;
    tm_nearest_begin(&nearest, name, 1);
    for (const char *const *known = members->names; *known; known++) tm_nearest_offer(&nearest, *known, *known);
    if (nearest.count)
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: \"%.60s\" is no member of %s; did you mean \"%s\"?", path, name,
                       members->of, nearest.names[0]);
    return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: \"%.60s\" is no member of %s; %s lists them", path, name,
                   members->of, members->where);
}

tagmask_status tm_json_check_members(const char *path, const cJSON *object, const tm_json_members *members,
                                     tm_error *err) {
    const cJSON *item;
    cJSON_ArrayForEach(item, object) {
        const char *const *known = members->names;
        while (*known && strcmp(*known, item->string)) known++;
        if (!*known) return unknown_member(path, item->string, members, err);
        for (const cJSON *before = object->child; before != item; before = before->next) {
            if (!strcmp(before->string, item->string))
                return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: member %.60s is there twice", path, item->string);
        }
    }
    return TAGMASK_OK;
}
