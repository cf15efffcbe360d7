#include "base/nearest.h"

#include <stdio.h>
#include <string.h>

#define LONGEST 63

size_t tm_edit_distance(const char *a, const char *b, size_t limit) {
    size_t rows = strlen(a), columns = strlen(b);
    size_t gap = rows > columns ? rows - columns : columns - rows;
    if (gap > limit || rows > LONGEST || columns > LONGEST) return limit + 1;
    size_t table[3][LONGEST + 1];  // the row before the last, the last, the current
    size_t *before = table[0], *last = table[1], *now = table[2];
    for (size_t x = 0; x <= columns; x++) last[x] = x;
    for (size_t y = 1; y <= rows; y++) {
        now[0] = y;
        for (size_t x = 1; x <= columns; x++) {
            size_t best = last[x - 1] + (a[y - 1] != b[x - 1]);
            best = TM_MIN(best, TM_MIN(last[x], now[x - 1]) + 1);
            bool swapped = y > 1 && x > 1 && a[y - 1] == b[x - 2] && a[y - 2] == b[x - 1];
            if (swapped) best = TM_MIN(best, before[x - 2] + 1);
            now[x] = best;
        }
        size_t *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return TM_MIN(last[columns], limit + 1);
}

void tm_nearest_begin(tm_nearest *nearest, const char *wanted, size_t room) {
    memset(nearest, 0, sizeof *nearest);
    nearest->wanted = wanted;
    nearest->room = TM_CLAMP(room, 1, TM_NEAREST_MAX);
}

// Letters of the longer text that the other lacks, whatever their order.
static size_t missing_letters(const char *a, const char *b) {
    int counts[256] = {0};
    size_t common = 0;
    for (const char *at = a; *at; at++) counts[(unsigned char)*at]++;
    for (const char *at = b; *at; at++) common += counts[(unsigned char)*at]-- > 0;
    return TM_MAX(strlen(a), strlen(b)) - common;
}

void tm_nearest_offer(tm_nearest *nearest, const char *name, const char *compared) {
    size_t length = strlen(nearest->wanted), other = strlen(compared);
    size_t limit = length < 3 ? 1 : 1 + length / 4;
    size_t edits = tm_edit_distance(nearest->wanted, compared, limit);
    size_t shorter = TM_MIN(length, other), longer = TM_MAX(length, other);
    bool prefix = shorter >= 3 && !strncmp(nearest->wanted, compared, shorter);
    // An edit outweighs letters still to be typed: "thresh" means "threshold" more than it means "fresh".
    size_t score = SIZE_MAX;
    if (edits <= limit) score = edits * 16 + TM_MIN(missing_letters(nearest->wanted, compared), (size_t)15);
    if (prefix) score = TM_MIN(score, 8 + TM_MIN(longer - shorter, (size_t)32));
    if (score == SIZE_MAX) return;
    for (size_t i = 0; i < nearest->count; i++) {
        if (!strcmp(nearest->names[i], name)) return;
    }
    size_t at = nearest->count;
    while (at > 0 && nearest->scores[at - 1] > score) at--;
    if (at >= nearest->room) return;
    nearest->count = TM_MIN(nearest->count + 1, nearest->room);
    for (size_t i = nearest->count - 1; i > at; i--) {
        nearest->names[i] = nearest->names[i - 1];
        nearest->scores[i] = nearest->scores[i - 1];
    }
    nearest->names[at] = name;
    nearest->scores[at] = score;
}

const char *tm_nearest_text(const tm_nearest *nearest, char *buffer, size_t size) {
    size_t used = 0;
    if (!size) return "";
    buffer[0] = 0;
    for (size_t i = 0; i < nearest->count; i++) {
        size_t length = strlen(nearest->names[i]) + (i ? 2 : 0);
        if (length >= size - used) break;
        snprintf(buffer + used, size - used, "%s%s", i ? ", " : "", nearest->names[i]);
        used += length;
    }
    return buffer;
}
