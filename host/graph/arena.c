// Device memory that outlives one plan: the weight pool of a graph, and the activation arena of a device.
//
// All plans of one device lie in one buffer, because only one of them is at work at a time. It grows when a larger plan
// is made; a plan is bound to the current buffer whenever tm_graph_plan returns it. The buffer before lives until no
// plan is bound to it and no unfinished recording uses it.
#include <pthread.h>
#include <stdlib.h>

#include "graph/internal.h"

// ---- Weight pool.
tagmask_status tm_pool_alloc(tm_graph *graph, uint64_t size, tm_slice *slice, tm_error *err) {
    tm_weight_pool *pool = &graph->pool;
    uint64_t alignment = TM_MAX(tm_gpu_get_info(graph->gpu)->buffer_alignment, (uint64_t)16);
    if (size > (uint64_t)1 << 40) return tm_memory_fail(err);
    size = tm_align_up(TM_MAX(size, (uint64_t)16), alignment);
    uint64_t room = pool->count ? tm_buffer_size(pool->buffers[pool->count - 1]) - pool->used : 0;
    if (room < size) {
        void *buffers = pool->buffers;
        if (!tm_grow(&buffers, &pool->capacity, pool->count + 1, sizeof *pool->buffers)) return tm_memory_fail(err);
        pool->buffers = buffers;
        TM_TRY(tm_buffer_create(graph->gpu, TM_MAX(size, pool->chunk), TM_MEMORY_DEVICE, &pool->buffers[pool->count],
                                err));
        pool->count++;
        pool->used = 0;
    }
    *slice = (tm_slice){pool->buffers[pool->count - 1], pool->used, size};
    pool->used += size;
    pool->total += size;
    return TAGMASK_OK;
}

void tm_pool_free(tm_graph *graph) {
    for (size_t i = 0; i < graph->pool.count; i++) tm_buffer_destroy(graph->pool.buffers[i]);
    free(graph->pool.buffers);
    graph->pool = (tm_weight_pool){0};
}

// ---- Activation arena.
struct tm_arena_buffer {
    tm_buffer *buffer;
    size_t references;
};

struct tm_activations {
    tm_gpu *gpu;
    tm_arena_buffer *current;
    size_t references;  // graphs
    tm_activations *next;
};

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;  // guards the list and every reference count
static tm_activations *registry;

tagmask_status tm_activations_get(tm_gpu *gpu, tm_activations **activations, tm_error *err) {
    pthread_mutex_lock(&registry_lock);
    tm_activations *found = registry;
    while (found && found->gpu != gpu) found = found->next;
    if (!found && (found = tm_calloc(1, sizeof *found))) {
        found->gpu = gpu;
        found->next = registry;
        registry = found;
    }
    if (found) found->references++;
    pthread_mutex_unlock(&registry_lock);
    if (!found) return tm_memory_fail(err);
    *activations = found;
    return TAGMASK_OK;
}

static void drop_reference(tm_arena_buffer *buffer) {
    if (!buffer || --buffer->references) return;
    tm_buffer_destroy(buffer->buffer);
    free(buffer);
}

void tm_activations_release(tm_activations *activations) {
    if (!activations) return;
    pthread_mutex_lock(&registry_lock);
    if (--activations->references == 0) {
        tm_activations **link = &registry;
        while (*link != activations) link = &(*link)->next;
        *link = activations->next;
        drop_reference(activations->current);
        free(activations);
    }
    pthread_mutex_unlock(&registry_lock);
}

tagmask_status tm_activations_reserve(tm_activations *activations, uint64_t size, tm_arena_buffer **buffer,
                                      tm_error *err) {
    pthread_mutex_lock(&registry_lock);
    tm_arena_buffer *current = activations->current;
    tagmask_status status = TAGMASK_OK;
    if (!current || tm_buffer_size(current->buffer) < size) {
        // Let go of the old buffer first: without plans bound to it and work under way it makes room for the new one.
        activations->current = NULL;
        drop_reference(current);
        if (*buffer == current) {
            drop_reference(*buffer);
            *buffer = NULL;
        }
        current = tm_calloc(1, sizeof *current);
        status = current ? tm_buffer_create(activations->gpu, size, TM_MEMORY_DEVICE, &current->buffer, err)
                         : tm_memory_fail(err);
        if (status != TAGMASK_OK) {
            free(current);
            pthread_mutex_unlock(&registry_lock);
            return status;
        }
        current->references = 1;
        activations->current = current;
    }
    if (*buffer != current) {
        drop_reference(*buffer);
        current->references++;
        *buffer = current;
    }
    pthread_mutex_unlock(&registry_lock);
    return TAGMASK_OK;
}

tm_buffer *tm_arena_buffer_get(const tm_arena_buffer *buffer) {
    return buffer->buffer;
}

void tm_arena_buffer_release(tm_arena_buffer *buffer) {
    pthread_mutex_lock(&registry_lock);
    drop_reference(buffer);
    pthread_mutex_unlock(&registry_lock);
}

static void release_kept(void *user) {
    tm_arena_buffer_release(user);
}

tagmask_status tm_arena_buffer_keep(tm_arena_buffer *buffer, tm_recorder *recorder, tm_error *err) {
    tagmask_status status = tm_recorder_defer(recorder, release_kept, buffer, err);
    if (status != TAGMASK_OK) return status;
    pthread_mutex_lock(&registry_lock);
    buffer->references++;
    pthread_mutex_unlock(&registry_lock);
    return TAGMASK_OK;
}
