// Places storages in the arena: greedy by size, best fit among those alive at the same time (Pisarchyk and Lee,
// "Efficient Memory Management for Deep Neural Net Inference", 2020), and uploads host values that the device reads.
#include <stdlib.h>
#include <string.h>

#include "graph/plan.h"
#include "ops/host_eval.h"

int32_t tm_plan_root(const tm_plan *plan, int32_t storage) {
    while (plan->storages[storage].merged >= 0) storage = plan->storages[storage].merged;
    return storage;
}

static int larger_first(const void *a, const void *b) {
    const tm_storage *x = *(const tm_storage *const *)a, *y = *(const tm_storage *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x < y ? -1 : x > y;  // a total order: the same plan every time
}

// The smallest gap below the end that holds `wanted`, among the placed storages (by offset) that are alive with it.
static uint64_t best_offset(tm_storage *const *placed, size_t count, const tm_storage *wanted, uint64_t alignment) {
    uint64_t end = 0, best = UINT64_MAX, best_gap = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        const tm_storage *other = placed[i];
        if (other->last < wanted->first || other->first > wanted->last) continue;
        if (other->offset >= end && other->offset - end >= wanted->bytes && other->offset - end < best_gap) {
            best = end;
            best_gap = other->offset - end;
        }
        end = TM_MAX(end, tm_align_up(other->offset + other->bytes, alignment));
    }
    return best != UINT64_MAX ? best : end;
}

static void measure_liveness(tm_plan *plan, tm_storage *const *list, size_t count, int64_t *change) {
    for (size_t i = 0; i < count; i++) {
        change[list[i]->first + 1] += (int64_t)list[i]->bytes;
        change[list[i]->last + 2] -= (int64_t)list[i]->bytes;
    }
    int64_t alive = 0;
    for (size_t s = 0; s < plan->step_count + 3; s++) {
        alive += change[s];
        plan->stats.liveness_bytes = TM_MAX(plan->stats.liveness_bytes, (uint64_t)alive);
    }
}

tagmask_status tm_plan_place(tm_plan *plan, uint64_t alignment, tm_error *err) {
    tm_storage **list = tm_calloc(plan->storage_count, sizeof(tm_storage *));
    tm_storage **placed = tm_calloc(plan->storage_count, sizeof(tm_storage *));
    int64_t *change = tm_calloc(plan->step_count + 4, sizeof *change);
    if (!list || !placed || !change) {
        free(list);
        free(placed);
        free(change);
        return tm_memory_fail(err);
    }
    size_t count = 0;
    uint64_t total = 16;
    for (size_t i = 0; i < plan->storage_count; i++) {
        tm_storage *storage = &plan->storages[i];
        if (storage->merged < 0 && !storage->constant && storage->first != INT32_MAX) list[count++] = storage;
    }
    measure_liveness(plan, list, count, change);
    qsort(list, count, sizeof *list, larger_first);
    for (size_t i = 0; i < count; i++) {
        list[i]->offset = best_offset(placed, i, list[i], alignment);
        size_t at = i;
        while (at > 0 && placed[at - 1]->offset > list[i]->offset) at--;
        memmove(placed + at + 1, placed + at, (i - at) * sizeof *placed);
        placed[at] = list[i];
        total = TM_MAX(total, list[i]->offset + list[i]->bytes);
    }
    plan->stats.activation_bytes = total;
    free(list);
    free(placed);
    free(change);
    return TAGMASK_OK;
}

// ---- Uploads.
static tagmask_status make_words(const tm_plan *plan, const struct tm_upload *upload, uint32_t **words, size_t *bytes,
                                 tm_error *err) {
    const tm_host_tensor *host = &plan->values[upload->value].host;
    const tm_plan_tensor *tensor = &plan->tensors[upload->tensor];
    size_t linear_bytes = tm_layout_bytes(&host->shape, TM_LINEAR);
    *bytes = tm_align_up(TM_MAX(tm_layout_bytes(&host->shape, tensor->layout), (size_t)16), 16);
    uint32_t *linear = tm_calloc(tm_align_up(TM_MAX(linear_bytes, (size_t)16), 16), 1);
    if (!linear) return tm_memory_fail(err);
    tagmask_status status = tm_to_words(host, linear, plan->graph->values[upload->value].name, err);
    if (status == TAGMASK_OK && tensor->layout == TM_C4) {
        uint32_t *c4 = tm_calloc(*bytes, 1);
        if (c4)
            tm_words_to_c4(linear, c4, &host->shape);
        else
            status = tm_memory_fail(err);
        free(linear);
        linear = c4;
    }
    if (status != TAGMASK_OK)
        free(linear);
    else
        *words = linear;
    return status;
}

// Where the upload goes: constants of the graph to the pool, once; what this plan computed to a buffer of its own.
static tagmask_status find_places(tm_plan *plan, bool *fresh, tm_error *err) {
    tm_graph *graph = plan->graph;
    uint64_t alignment = TM_MAX(tm_gpu_get_info(graph->gpu)->buffer_alignment, (uint64_t)16), total = 0;
    for (size_t u = 0; u < plan->upload_count; u++) {
        const tm_plan_tensor *tensor = &plan->tensors[plan->uploads[u].tensor];
        tm_storage *storage = &plan->storages[tensor->storage];
        tm_value *value = &graph->values[plan->uploads[u].value];
        fresh[u] = true;
        if (value->data) {
            fresh[u] = !value->device[tensor->layout].buffer;
            if (fresh[u]) TM_TRY(tm_pool_alloc(graph, storage->bytes, &value->device[tensor->layout], err));
            storage->fixed = value->device[tensor->layout];
            storage->fixed.size = storage->bytes;
        } else {
            storage->fixed = (tm_slice){NULL, total, storage->bytes};
            total = tm_align_up(total + storage->bytes, alignment);
        }
    }
    if (!total) return TAGMASK_OK;
    TM_TRY(tm_buffer_create(graph->gpu, total, TM_MEMORY_DEVICE, &plan->constants, err));
    for (size_t u = 0; u < plan->upload_count; u++) {
        tm_storage *storage = &plan->storages[plan->tensors[plan->uploads[u].tensor].storage];
        if (!storage->fixed.buffer) storage->fixed.buffer = plan->constants;
    }
    return TAGMASK_OK;
}

static tagmask_status upload_fresh(tm_plan *plan, const bool *fresh, tm_error *err) {
    tm_recorder *recorder;
    TM_TRY(tm_recorder_begin(plan->graph->gpu, &recorder, err));
    for (size_t u = 0; u < plan->upload_count; u++) {
        if (!fresh[u]) continue;
        tm_slice to = plan->storages[plan->tensors[plan->uploads[u].tensor].storage].fixed;
        uint32_t *words = NULL;
        size_t bytes;
        tagmask_status status = make_words(plan, &plan->uploads[u], &words, &bytes, err);
        if (status == TAGMASK_OK) {
            to.size = bytes;
            status = tm_upload(recorder, to, words, err);
            free(words);
        }
        if (status != TAGMASK_OK) {
            tm_recorder_abandon(recorder);
            return status;
        }
    }
    return tm_recorder_finish(recorder, err);
}

tagmask_status tm_plan_upload(tm_plan *plan, tm_error *err) {
    if (!plan->upload_count) return TAGMASK_OK;
    bool *fresh = tm_calloc(plan->upload_count, sizeof *fresh);
    if (!fresh) return tm_memory_fail(err);
    tagmask_status status = find_places(plan, fresh, err);
    if (status == TAGMASK_OK) status = upload_fresh(plan, fresh, err);
    // A copy that was not filled must not be found by the next plan.
    for (size_t u = 0; status != TAGMASK_OK && u < plan->upload_count; u++) {
        if (fresh[u])
            plan->graph->values[plan->uploads[u].value].device[plan->tensors[plan->uploads[u].tensor].layout].buffer =
                NULL;
    }
    free(fresh);
    return status;
}
