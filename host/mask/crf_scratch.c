// Memory of the dense CRF's fast path that keeps nothing between runs. See crf_internal.h.
#include "mask/crf_internal.h"

// The tightest room among the buffers; a buffer of the same size where there is none and `grow` allows it, else
// nothing.
static tagmask_status place_room(tm_crf *crf, const tm_crf_room *room, uint64_t used[TM_CRF_SCRATCH_BUFFERS], bool grow,
                                 bool *placed, tm_error *err) {
    tm_crf_scratch *scratch = &crf->scratch;
    uint32_t best = scratch->count;
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < scratch->count; i++) {
        uint64_t size = tm_buffer_size(scratch->buffers[i]), left = used[i] < size ? size - used[i] : 0;
        if (left < room->size || left >= least) continue;
        least = left;
        best = i;
    }
    *placed = best < scratch->count || grow;
    if (!*placed) return TAGMASK_OK;
    if (best == scratch->count) {
        TM_TRY(tm_buffer_create(crf->gpu, room->size, TM_MEMORY_DEVICE, &scratch->buffers[best], err));
        scratch->count++;
    }
    *room->slice = (tm_slice){scratch->buffers[best], used[best], room->size};
    used[best] = tm_align_up(used[best] + room->size, TM_MAX(crf->info->buffer_alignment, 16));
    return TAGMASK_OK;
}

static tagmask_status place_all(tm_crf *crf, const tm_crf_room *rooms, size_t count, bool grow, bool *placed,
                                tm_error *err) {
    uint64_t used[TM_CRF_SCRATCH_BUFFERS] = {0};
    for (size_t i = 0; i < count && *placed; i++) {
        *rooms[i].slice = (tm_slice){0};
        if (rooms[i].size) TM_TRY(place_room(crf, &rooms[i], used, grow, placed, err));
    }
    return TAGMASK_OK;
}

tagmask_status tm_crf_scratch_place(tm_crf *crf, const tm_crf_room *first, size_t first_count,
                                    const tm_crf_room *second, size_t second_count, tm_error *err) {
    for (int grow = 0; grow < 2; grow++) {
        bool placed = true;
        if (grow) tm_crf_scratch_destroy(&crf->scratch);
        TM_TRY(place_all(crf, first, first_count, grow, &placed, err));
        TM_TRY(place_all(crf, second, second_count, grow, &placed, err));
        if (placed) break;
    }
    return TAGMASK_OK;
}

void tm_crf_scratch_destroy(tm_crf_scratch *scratch) {
    for (uint32_t i = 0; i < scratch->count; i++) tm_buffer_destroy(scratch->buffers[i]);
    scratch->count = 0;
}
