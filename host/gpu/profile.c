// Device time by label. Each profiled command is followed by a time stamp taken when it has completed; what lies
// between two stamps belongs to the later command, so the rows add up to the whole.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/internal.h"

void tm_gpu_profile(tm_gpu *gpu, bool enable) {
    atomic_store(&gpu->profiling, enable);
}

static tm_profile_row *row_of(tm_profile *profile, const char *label) {
    char key[sizeof profile->rows->label];
    snprintf(key, sizeof key, "%s", label);
    for (size_t i = 0; i < profile->count; i++) {
        if (strcmp(profile->rows[i].label, key) == 0) return &profile->rows[i];
    }
    if (!tm_grow((void **)&profile->rows, &profile->capacity, profile->count + 1, sizeof *profile->rows)) return NULL;
    tm_profile_row *row = &profile->rows[profile->count++];
    memset(row, 0, sizeof *row);
    memcpy(row->label, key, sizeof key);
    return row;
}

void tm_profile_batch(tm_gpu *gpu, const tm_batch *batch, const uint64_t *ticks) {
    pthread_mutex_lock(&gpu->recorder_lock);
    for (size_t i = 0; i < batch->entry_count; i++) {
        tm_profile_row *row = row_of(&gpu->profile, batch->entries[i].label);
        if (!row) break;
        row->count++;
        row->flops += batch->entries[i].flops;
        row->bytes += batch->entries[i].bytes;
        row->ms +=
            (double)((ticks[i + 1] - ticks[i]) & gpu->physical.timestamp_mask) * gpu->physical.timestamp_ns * 1e-6;
    }
    pthread_mutex_unlock(&gpu->recorder_lock);
}

static int longer_first(const void *a, const void *b) {
    double x = ((const tm_profile_row *)a)->ms, y = ((const tm_profile_row *)b)->ms;
    return (x < y) - (x > y);
}

size_t tm_gpu_profile_rows(tm_gpu *gpu, tm_profile_row *rows, size_t capacity) {
    pthread_mutex_lock(&gpu->recorder_lock);
    tm_profile *profile = &gpu->profile;
    if (profile->count) qsort(profile->rows, profile->count, sizeof *profile->rows, longer_first);
    size_t count = TM_MIN(profile->count, capacity);
    if (count) memcpy(rows, profile->rows, count * sizeof *rows);
    profile->count = 0;
    pthread_mutex_unlock(&gpu->recorder_lock);
    return count;
}

void tm_profile_log(tm_gpu *gpu) {
    tm_profile *profile = &gpu->profile;
    if (!profile->count) return;
    qsort(profile->rows, profile->count, sizeof *profile->rows, longer_first);
    for (size_t i = 0; i < profile->count; i++) {
        const tm_profile_row *row = &profile->rows[i];
        tm_log(TAGMASK_LOG_INFO, "profile: %10.3f ms %8llu x %8.2f GFLOP/s  %s", row->ms,
               (unsigned long long)row->count, row->ms > 0 ? row->flops / row->ms * 1e-6 : 0, row->label);
    }
}
