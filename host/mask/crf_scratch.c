// Memory of the dense CRF's fast path that keeps nothing between runs. See crf_internal.h.
#include "mask/crf_internal.h"

#define LARGE_BUFFER ((uint64_t)512 << 20)  // buffers of several rooms are not made larger: devices limit them

typedef struct layout {
    uint64_t size[TM_CRF_SCRATCH_BUFFERS], used[TM_CRF_SCRATCH_BUFFERS];
    uint32_t count;
} layout;

// The buffer with the tightest room. Where there is none, the last one grows, which wastes less than many small buffers
// that rooms of other sizes do not fit, or there is a new one. Returns its index.
static uint32_t place_room(layout *plan, uint64_t size) {
    uint32_t best = plan->count;
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < plan->count; i++) {
        uint64_t left = plan->used[i] < plan->size[i] ? plan->size[i] - plan->used[i] : 0;
        if (left < size || left >= least) continue;
        least = left;
        best = i;
    }
    if (best < plan->count) return best;
    if (plan->count) {
        uint64_t grown = TM_MAX(plan->used[best - 1] + size, plan->size[best - 1]);
        if (grown <= LARGE_BUFFER) {
            plan->size[best - 1] = grown;
            return best - 1;
        }
    }
    plan->size[plan->count++] = size;
    return best;
}

// Which buffer each room is a part of, and where it starts there.
static void place_all(const tm_crf *crf, layout *plan, const tm_crf_room *rooms, size_t count, uint32_t *buffers) {
    for (uint32_t i = 0; i < TM_CRF_SCRATCH_BUFFERS; i++) plan->used[i] = 0;
    for (size_t i = 0; i < count; i++) {
        *rooms[i].slice = (tm_slice){0};
        if (!rooms[i].size) continue;
        buffers[i] = place_room(plan, rooms[i].size);
        uint64_t *used = &plan->used[buffers[i]];
        *rooms[i].slice = (tm_slice){NULL, *used, rooms[i].size};
        *used = tm_align_up(*used + rooms[i].size, TM_MAX(crf->info->buffer_alignment, 16));
    }
}

tagmask_status tm_crf_scratch_place(tm_crf *crf, const tm_crf_room *first, size_t first_count,
                                    const tm_crf_room *second, size_t second_count, tm_error *err) {
    layout plan = {0};
    uint32_t of_first[TM_CRF_SCRATCH_BUFFERS], of_second[TM_CRF_SCRATCH_BUFFERS];
    if (first_count + second_count > TM_CRF_SCRATCH_BUFFERS) return tm_fail(err, TAGMASK_ERROR_INTERNAL, "CRF rooms");
    place_all(crf, &plan, first, first_count, of_first);
    place_all(crf, &plan, second, second_count, of_second);
    for (uint32_t i = 0; i < plan.count; i++) TM_TRY(tm_crf_reserve(crf, &crf->scratch[i], plan.size[i], err));
    for (size_t i = 0; i < first_count; i++) {
        if (first[i].size) first[i].slice->buffer = crf->scratch[of_first[i]];
    }
    for (size_t i = 0; i < second_count; i++) {
        if (second[i].size) second[i].slice->buffer = crf->scratch[of_second[i]];
    }
    return TAGMASK_OK;
}
