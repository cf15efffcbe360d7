// Places storages in the arena: greedily, best fit among those alive at the same time (Pisarchyk and Lee, "Efficient
// Memory Management for Deep Neural Net Inference", 2020), in several orders of which the best result counts; and
// uploads host values that the device reads.
#include <stdlib.h>
#include <string.h>

#include "graph/plan.h"
#include "ops/host_eval.h"

int32_t tm_plan_root(const tm_plan *plan, int32_t storage) {
    while (plan->storages[storage].merged >= 0) storage = plan->storages[storage].merged;
    return storage;
}

// Orders, each total so that the same plan comes out every time. By size serves networks with a few large tensors; by
// time is optimal where all have one size; by area and by breadth lie between.
static int compare(uint64_t a, uint64_t b) {
    return a < b ? -1 : a > b;
}

static int by_time(const void *a, const void *b) {
    const tm_storage *x = *(const tm_storage *const *)a, *y = *(const tm_storage *const *)b;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x->bytes != y->bytes ? compare(y->bytes, x->bytes) : x < y ? -1 : x > y;
}

static int by_size(const void *a, const void *b) {
    const tm_storage *x = *(const tm_storage *const *)a, *y = *(const tm_storage *const *)b;
    return x->bytes != y->bytes ? compare(y->bytes, x->bytes) : by_time(a, b);
}

// The busiest moment of its life decides; within it, the larger first.
static int by_breadth(const void *a, const void *b) {
    const tm_storage *x = *(const tm_storage *const *)a, *y = *(const tm_storage *const *)b;
    return x->breadth != y->breadth ? compare(y->breadth, x->breadth) : by_size(a, b);
}

static uint64_t area(const tm_storage *storage) {
    return storage->bytes / 16 * (uint64_t)(storage->last - storage->first + 1);
}

static int by_area(const void *a, const void *b) {
    const tm_storage *x = *(const tm_storage *const *)a, *y = *(const tm_storage *const *)b;
    return area(x) != area(y) ? compare(area(y), area(x)) : by_time(a, b);
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
    for (size_t s = 1; s < plan->step_count + 3; s++) change[s] += change[s - 1];
    for (size_t s = 0; s < plan->step_count + 3; s++)
        plan->stats.liveness_bytes = TM_MAX(plan->stats.liveness_bytes, (uint64_t)change[s]);
    for (size_t i = 0; i < count; i++) {
        list[i]->breadth = 0;
        for (int32_t s = list[i]->first; s <= list[i]->last; s++)
            list[i]->breadth = TM_MAX(list[i]->breadth, (uint64_t)change[s + 1]);
    }
}

// Places the list in its order; returns the bytes needed. placed: room for as many, by offset.
static uint64_t place_in_order(tm_storage *const *list, size_t count, tm_storage **placed, uint64_t alignment) {
    uint64_t total = 16;
    for (size_t i = 0; i < count; i++) {
        list[i]->offset = best_offset(placed, i, list[i], alignment);
        size_t at = i;
        while (at > 0 && placed[at - 1]->offset > list[i]->offset) at--;
        memmove(placed + at + 1, placed + at, (i - at) * sizeof *placed);
        placed[at] = list[i];
        total = TM_MAX(total, list[i]->offset + list[i]->bytes);
    }
    return total;
}

static void keep_if_better(tm_plan *plan, tm_storage *const *list, size_t count, uint64_t total) {
    if (total >= plan->stats.activation_bytes) return;
    plan->stats.activation_bytes = total;
    for (size_t i = 0; i < count; i++) list[i]->best = list[i]->offset;
}

static void place_best(tm_plan *plan, tm_storage **list, size_t count, tm_storage **placed, uint64_t alignment) {
    static int (*const orders[])(const void *, const void *) = {by_size, by_time, by_breadth, by_area};
    // Placing is quadratic: networks of unusual length get one order.
    size_t tries = count > 8192 ? 1 : TM_ARRAY_LEN(orders), bumps = count > 2048 ? 0 : 48;
    uint64_t enough = TM_MAX(plan->stats.liveness_bytes, (uint64_t)16);
    plan->stats.activation_bytes = UINT64_MAX;
    for (size_t k = 0; k < tries && plan->stats.activation_bytes > enough; k++) {
        qsort(list, count, sizeof *list, orders[k]);
        uint64_t total = place_in_order(list, count, placed, alignment);
        keep_if_better(plan, list, count, total);
        // Whatever sticks out at the end gets to choose earlier.
        for (size_t b = 0; b < bumps && plan->stats.activation_bytes > enough; b++) {
            size_t worst = 0;
            for (size_t i = 0; i < count; i++)
                if (list[i]->offset + list[i]->bytes == total) worst = i;
            tm_storage *bumped = list[worst];
            size_t to = worst / 2;
            memmove(list + to + 1, list + to, (worst - to) * sizeof *list);
            list[to] = bumped;
            total = place_in_order(list, count, placed, alignment);
            keep_if_better(plan, list, count, total);
        }
    }
    for (size_t i = 0; i < count; i++) list[i]->offset = list[i]->best;
}

tagmask_status tm_plan_place(tm_plan *plan, uint64_t alignment, tm_error *err) {
    tm_storage **list = tm_calloc(plan->storage_count, sizeof(tm_storage *));
    tm_storage **placed = tm_calloc(plan->storage_count, sizeof(tm_storage *));
    int64_t *change = tm_calloc(plan->step_count + 4, sizeof *change);
    size_t count = 0;
    tagmask_status status = list && placed && change ? TAGMASK_OK : tm_memory_fail(err);
    for (size_t i = 0; status == TAGMASK_OK && i < plan->storage_count; i++) {
        tm_storage *storage = &plan->storages[i];
        if (storage->merged < 0 && !storage->constant && storage->first != INT32_MAX) list[count++] = storage;
    }
    if (status == TAGMASK_OK) {
        measure_liveness(plan, list, count, change);
        place_best(plan, list, count, placed, alignment);
    }
    free(list);
    free(placed);
    free(change);
    return status;
}

// ---- Uploads.
static tagmask_status make_words(const tm_plan *plan, const struct tm_upload *upload, uint32_t **words, size_t *bytes,
                                 tm_error *err) {
    const tm_value *constant = &plan->graph->values[upload->value];
    const tm_host_tensor kept = {constant->dtype, constant->shape, constant->data};
    const tm_host_tensor *host = constant->data ? &kept : &plan->values[upload->value].host;
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
