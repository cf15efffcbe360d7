// The names nearest to a mistyped one, for messages: "unknown option --thresold; did you mean --threshold?"
#ifndef TM_NEAREST_H
#define TM_NEAREST_H

#include "base/base.h"

// Damerau-Levenshtein distance in its optimal string alignment form (R. Lowrance and R. Wagner, 1975, restricted): the
// least number of insertions, deletions, substitutions and swaps of neighbours, capped at `limit` + 1. Texts longer
// than 63 bytes count as far.
size_t tm_edit_distance(const char *a, const char *b, size_t limit);

// A ranking of the best few names seen so far, best first.
#define TM_NEAREST_MAX 5
typedef struct tm_nearest {
    const char *wanted;
    const char *names[TM_NEAREST_MAX];  // borrowed
    size_t scores[TM_NEAREST_MAX];
    size_t count, room;
} tm_nearest;
// At most `room` names (1..TM_NEAREST_MAX) are kept.
void tm_nearest_begin(tm_nearest *nearest, const char *wanted, size_t room);
// Keeps `name` if `compared` (how the name is written for comparison) is near: few edits for its length, or one begins
// with the other. The same name offered twice is kept once.
void tm_nearest_offer(tm_nearest *nearest, const char *name, const char *compared);
// "cat, cart"; "" when nothing was near. Cut to whole names when the buffer is short.
const char *tm_nearest_text(const tm_nearest *nearest, char *buffer, size_t size);

#endif
