// What a person did with earlier proposals, so that it is neither overwritten nor proposed again. Used by the formats
// that are edited in place; the rules are in docs/formats.md.
#ifndef TM_KEPT_H
#define TM_KEPT_H

#include <cjson/cJSON.h>

#include "base/base.h"

// Tags and boxes (left, top, right, bottom; exclusive) where nothing is proposed.
typedef struct tm_kept {
    struct tm_kept_box *items;
    size_t count, capacity;
} tm_kept;

bool tm_kept_add(tm_kept *kept, const char *tag, const double sides[4]);  // false: out of memory
// Whether one has the tag and overlaps the region's box by at least half (intersection over union).
bool tm_kept_covers(const tm_kept *kept, const char *tag, const tagmask_region *region);
void tm_kept_free(tm_kept *kept);

// The list of proposals that a label file carries: [{"id", "tag", "box"}].
enum { TM_PROPOSALS_MAX = 30000 };
tagmask_status tm_proposals_check_count(const char *name, size_t count, tm_error *err);
bool tm_proposals_valid(const cJSON *proposals);
bool tm_proposals_add(cJSON *proposals, const char *id, const char *tag, const tagmask_region *region);
bool tm_proposals_forget(cJSON *proposals, const char *id);  // false: it is none of them
bool tm_proposals_keep(const cJSON *proposals, tm_kept *kept);

// The member's text, or "".
const char *tm_json_text(const cJSON *object, const char *key);

// A file to be changed and written again. *root is NULL when the file is not JSON, or has something after it. Errors
// when it cannot be read, or holds what cJSON would not write again as it was. *root is freed with cJSON_Delete.
tagmask_status tm_json_open(const char *path, size_t max_bytes, cJSON **root, tm_error *err);
// The item as text, every number so that it reads back as the same (json_print.c); NULL: out of memory. The item is
// changed meanwhile and restored. Free with cJSON_free.
char *tm_json_print(cJSON *item, bool indented);
// The same for the same content, however a program writes it: the order of members, spaces, 1.0 for 1. NULL is null.
uint64_t tm_json_hash(const cJSON *item, uint64_t seed);
// Whether all members but the named ones are empty (null, false, 0, "", or a list or object of such): what other
// programs add to every shape is no person's work.
bool tm_json_has_only(const cJSON *object, const char *const *names, size_t count);
// Moves the items from the index `at` on to the end of another list.
void tm_json_move(cJSON *from, int at, cJSON *to);

#endif
