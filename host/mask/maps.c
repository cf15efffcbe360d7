#include "mask/maps.h"

#include <stdlib.h>

#define SCRATCH_BLOCK ((uint64_t)8 << 20)
#define REDUCE_PARTS 256u

tagmask_status tm_scratch_alloc(tm_scratch *scratch, uint64_t size, tm_slice *slice, tm_error *err) {
    size = tm_align_up(size ? size : 4, 256);
    while (scratch->current < scratch->count) {
        tm_buffer *buffer = scratch->buffers[scratch->current];
        if (tm_buffer_size(buffer) - scratch->used >= size) break;
        scratch->current++;
        scratch->used = 0;
    }
    if (scratch->current == scratch->count) {
        if (!tm_grow((void **)&scratch->buffers, &scratch->capacity, scratch->count + 1, sizeof *scratch->buffers))
            return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the list of scratch buffers");
        TM_TRY(tm_buffer_create(scratch->gpu, TM_MAX(size, SCRATCH_BLOCK), TM_MEMORY_DEVICE,
                                &scratch->buffers[scratch->count], err));
        scratch->count++;
        scratch->used = 0;
    }
    *slice = (tm_slice){scratch->buffers[scratch->current], scratch->used, size};
    scratch->used += size;
    return TAGMASK_OK;
}

void tm_scratch_reset(tm_scratch *scratch) {
    scratch->current = 0;
    scratch->used = 0;
}

void tm_scratch_free(tm_scratch *scratch) {
    for (size_t i = 0; i < scratch->count; i++) tm_buffer_destroy(scratch->buffers[i]);
    free(scratch->buffers);
    *scratch = (tm_scratch){scratch->gpu, NULL, 0, 0, 0, 0};
}

tagmask_status tm_work_begin(tm_work *work, tm_gpu *gpu, tm_scratch *scratch, tm_error *err) {
    *work = (tm_work){gpu, NULL, scratch, {NULL, 0, 0}, 0};
    tm_scratch_reset(scratch);
    TM_TRY(tm_scratch_alloc(scratch, TM_SCALAR_SLOTS * 8, &work->scalars, err));
    return tm_recorder_begin(gpu, &work->recorder, err);
}

tagmask_status tm_work_finish(tm_work *work, tm_error *err) {
    tm_recorder *recorder = work->recorder;
    work->recorder = NULL;
    return tm_recorder_finish(recorder, err);
}

void tm_work_abandon(tm_work *work) {
    tm_recorder_abandon(work->recorder);
    work->recorder = NULL;
}

tagmask_status tm_work_close(tm_work *work, tagmask_status status, tm_error *err) {
    if (!status) return tm_work_finish(work, err);
    tm_work_abandon(work);
    return status;
}

tagmask_status tm_work_slots(tm_work *work, uint32_t count, uint32_t *first, tm_error *err) {
    if (count > TM_SCALAR_SLOTS - work->next_slot)
        return tm_fail(err, TAGMASK_ERROR_INTERNAL, "a recording needs more than %u scalars", TM_SCALAR_SLOTS);
    *first = work->next_slot;
    work->next_slot += count;
    return TAGMASK_OK;
}

bool tm_map_by_texels(const tm_work *work, const tm_slice *slices, size_t count) {
    bool all = true;
    for (size_t i = 0; i < count; i++) all = all && tm_gpu_by_texels(tm_gpu_get_info(work->gpu), slices[i], false);
    return all;
}

tagmask_status tm_map_dispatch(tm_work *work, const tm_map_call *call, tm_error *err) {
    tm_dispatch_info info = {0};
    TM_TRY(tm_pipeline_get(work->gpu, call->shader, call->constants, call->constant_count, &info.pipeline, err));
    for (size_t i = 0; i < TM_ARRAY_LEN(call->bindings); i++) info.bindings[i] = call->bindings[i];
    info.push = call->push;
    info.push_size = call->push_size;
    uint64_t groups = (call->elements + 31) / 32;
    info.groups[0] = (uint32_t)TM_MIN(groups, 32768u);
    info.groups[1] = groups ? (uint32_t)((groups + info.groups[0] - 1) / info.groups[0]) : 0;
    info.groups[2] = 1;
    info.divisible = true;
    info.flops = call->flops_per_element * (double)call->elements;
    info.label = call->shader;
    return tm_dispatch(work->recorder, &info, err);
}

tagmask_status tm_ensure_buffer(tm_gpu *gpu, tm_buffer **buffer, uint64_t size, tm_error *err) {
    if (*buffer && tm_buffer_size(*buffer) >= size) return TAGMASK_OK;
    tm_buffer *made;
    TM_TRY(tm_buffer_create(gpu, size, TM_MEMORY_DEVICE, &made, err));
    tm_buffer_destroy(*buffer);
    *buffer = made;
    return TAGMASK_OK;
}

tagmask_status tm_scratch_map(tm_work *work, uint32_t width, uint32_t height, tm_map *map, tm_error *err) {
    *map = (tm_map){{NULL, 0, 0}, width, height};
    TM_TRY(tm_scratch_alloc(work->scratch, (uint64_t)width * height * 4, &map->slice, err));
    map->slice.size = (uint64_t)width * height * 4;
    return TAGMASK_OK;
}

tagmask_status tm_map_reduce(tm_work *work, tm_reduce op, const tm_map *map, const tm_map *other, float threshold,
                             uint32_t slot, tm_error *err) {
    tm_slice partials;
    TM_TRY(tm_scratch_alloc(work->scratch, REDUCE_PARTS * 8, &partials, err));
    uint32_t parts = TM_MIN(REDUCE_PARTS, tm_map_count(map));
    struct {
        uint32_t count, parts;
        float threshold;
    } push = {tm_map_count(map), parts, threshold};
    tm_map_call call = {.shader = "image/reduce",
                        .constants = {(uint32_t)op},
                        .constant_count = 1,
                        .bindings = {map->slice, other ? other->slice : map->slice, partials},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = parts,
                        .flops_per_element = 4.0 * tm_map_count(map) / parts};
    TM_TRY(tm_map_dispatch(work, &call, err));
    struct {
        uint32_t parts, slot;
    } final_push = {parts, slot};
    tm_dispatch_info info = {.bindings = {partials, work->scalars},
                             .push = &final_push,
                             .push_size = sizeof final_push,
                             .groups = {1, 1, 1},
                             .label = "image/reduce_final"};
    uint32_t constant = (uint32_t)op;
    TM_TRY(tm_pipeline_get(work->gpu, "image/reduce_final", &constant, 1, &info.pipeline, err));
    return tm_dispatch(work->recorder, &info, err);
}

tagmask_status tm_map_normalize(tm_work *work, const tm_map *source, const tm_map *target, tm_error *err) {
    struct {
        uint32_t count, slot;
    } push = {tm_map_count(source), 0};
    TM_TRY(tm_work_slots(work, 1, &push.slot, err));
    TM_TRY(tm_map_reduce(work, TM_REDUCE_MINMAX, source, NULL, 0, push.slot, err));
    tm_map_call call = {.shader = "image/normalize_map",
                        .bindings = {source->slice, work->scalars, target->slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = push.count,
                        .flops_per_element = 4};
    return tm_map_dispatch(work, &call, err);
}

tagmask_status tm_map_accumulate(tm_work *work, const tm_map *source, const tm_map *target, const tm_map *squares,
                                 bool first, tm_error *err) {
    struct {
        uint32_t count, slot, first, square;
    } push = {tm_map_count(source), 0, first, 0};
    TM_TRY(tm_work_slots(work, 1, &push.slot, err));
    TM_TRY(tm_map_reduce(work, TM_REDUCE_MINMAX, source, NULL, 0, push.slot, err));
    tm_map_call call = {.shader = "image/accumulate_map",
                        .bindings = {source->slice, work->scalars, target->slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = push.count,
                        .flops_per_element = 4};
    TM_TRY(tm_map_dispatch(work, &call, err));
    if (!squares) return TAGMASK_OK;
    push.square = 1;
    call.bindings[2] = squares->slice;
    return tm_map_dispatch(work, &call, err);
}

tagmask_status tm_map_resize(tm_work *work, const tm_map *source, const tm_map *target, const tm_box *box, bool mirror,
                             tm_error *err) {
    tm_box all = {0, 0, (float)target->width, (float)target->height};
    if (!box) box = &all;
    struct {
        uint32_t width, height, source_width, source_height;
        float left, top, box_width, box_height;
        uint32_t mirror;
    } push = {target->width, target->height,         source->width,          source->height, box->left,
              box->top,      box->right - box->left, box->bottom - box->top, mirror};
    tm_map_call call = {.shader = "image/resize_map",
                        .bindings = {source->slice, target->slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = tm_map_count(target),
                        .flops_per_element = 30};
    return tm_map_dispatch(work, &call, err);
}
