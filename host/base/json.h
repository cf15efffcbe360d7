// JSON files of a person's hand: parsed so that a mistake is told with its place, and members that do not exist are not
// passed over. Files of other programs are read with io/read.h and io/kept.h.
#ifndef TM_JSON_H
#define TM_JSON_H

#include <cjson/cJSON.h>

#include "base/base.h"

// `text` is what tm_read_file gave: text[size] is 0. `path` begins the error's text, which says where parsing stopped
// and what was found there; anything but spaces after the value is an error, too. *root is freed with cJSON_Delete.
// Errors: FORMAT.
tagmask_status tm_json_parse(const char *path, const uint8_t *text, size_t size, cJSON **root, tm_error *err);
// The same for a file of at most so many bytes.
tagmask_status tm_json_read(const char *path, size_t max_bytes, cJSON **root, tm_error *err);

// The members that an object may have.
typedef struct tm_json_members {
    const char *const *names;  // NULL at the end
    const char *of;            // what the object is: "a preset"
    const char *where;         // who lists them: "docs/packs.md"
} tm_json_members;
// An error that names the first member which is none of them, with the nearest one, or which is there twice. Errors:
// FORMAT.
tagmask_status tm_json_check_members(const char *path, const cJSON *object, const tm_json_members *members,
                                     tm_error *err);

#endif
