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
void tm_proposals_forget(cJSON *proposals, const char *id);
bool tm_proposals_keep(const cJSON *proposals, tm_kept *kept);

// The member's text, or "".
const char *tm_json_text(const cJSON *object, const char *key);

#endif
