// Hazard tracking by byte ranges: the ranges read and written since the last barrier. A barrier orders everything
// before it with everything after it, so both lists start anew there and stay short in practice.
#include "gpu/internal.h"

static bool overlaps_any(const tm_access *list, size_t count, const tm_access *access) {
    for (size_t i = 0; i < count; i++) {
        if (list[i].buffer == access->buffer && list[i].begin < access->end && access->begin < list[i].end) return true;
    }
    return false;
}

static tm_access access_of(tm_slice slice) {
    tm_access access = {slice.buffer, slice.offset, slice.offset + slice.size};
    return access;
}

bool tm_hazards_conflict(const tm_hazards *hazards, tm_slice slice, bool reads, bool writes) {
    tm_access access = access_of(slice);
    if (reads || writes) {
        if (hazards->write_count == TM_HAZARD_RANGES || hazards->read_count == TM_HAZARD_RANGES) return true;
        if (overlaps_any(hazards->writes, hazards->write_count, &access)) return true;
    }
    return writes && overlaps_any(hazards->reads, hazards->read_count, &access);
}

// Joins the range to one that touches it, so that neighbouring slices of one buffer take a single entry.
static void add(tm_access *list, size_t *count, tm_access access) {
    for (size_t i = *count; i-- > 0;) {
        if (list[i].buffer != access.buffer || list[i].begin > access.end || access.begin > list[i].end) continue;
        list[i].begin = TM_MIN(list[i].begin, access.begin);
        list[i].end = TM_MAX(list[i].end, access.end);
        return;
    }
    if (*count < TM_HAZARD_RANGES) list[(*count)++] = access;
}

void tm_hazards_add(tm_hazards *hazards, tm_slice slice, bool reads, bool writes) {
    if (reads) add(hazards->reads, &hazards->read_count, access_of(slice));
    if (writes) add(hazards->writes, &hazards->write_count, access_of(slice));
}
