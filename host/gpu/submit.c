// Batches: command buffers that are submitted one by one so that each keeps the device busy for about 100 ms, below the
// time after which desktop watchdogs reset a GPU. Recorders and what they own are reused.
#include <stdlib.h>
#include <string.h>

#include "base/platform.h"
#include "gpu/internal.h"

#define PROFILE_QUERIES 1024
#define KEPT_STAGING ((uint64_t)4 << 20)

// ---- Making and freeing

static void fail_vk(tm_recorder *recorder, VkResult result, const char *doing) {
    tm_error reason = TAGMASK_ERROR_INIT;
    tm_recorder_fail(recorder, tm_vk_fail(recorder->gpu, &reason, result, doing), &reason);
}

static VkResult make_queries(tm_gpu *gpu, tm_batch *batch) {
    VkQueryPoolCreateInfo create = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                    .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                    .queryCount = PROFILE_QUERIES};
    VkResult result = gpu->vk.vkCreateQueryPool(gpu->device, &create, NULL, &batch->queries);
    if (result != VK_SUCCESS) batch->queries = VK_NULL_HANDLE;
    return result;
}

static VkResult make_batch(tm_recorder *recorder, tm_batch *batch) {
    tm_gpu *gpu = recorder->gpu;
    VkCommandBufferAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                            .commandPool = recorder->command_pool,
                                            .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                            .commandBufferCount = 1};
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    VkResult result = gpu->vk.vkAllocateCommandBuffers(gpu->device, &allocate, &batch->commands);
    if (result != VK_SUCCESS) return result;
    result = gpu->vk.vkCreateFence(gpu->device, &fence, NULL, &batch->fence);
    if (result != VK_SUCCESS) gpu->vk.vkFreeCommandBuffers(gpu->device, recorder->command_pool, 1, &batch->commands);
    return result;
}

tagmask_status tm_recorder_begin(tm_gpu *gpu, tm_recorder **out, tm_error *err) {
    if (atomic_load(&gpu->lost)) return tm_vk_fail(gpu, err, VK_ERROR_DEVICE_LOST, "recording");
    pthread_mutex_lock(&gpu->recorder_lock);
    tm_recorder *recorder = gpu->free_recorders;
    if (recorder) gpu->free_recorders = recorder->next;
    pthread_mutex_unlock(&gpu->recorder_lock);
    if (recorder) {
        *out = recorder;
        return TAGMASK_OK;
    }
    recorder = tm_calloc(1, sizeof *recorder);
    if (!recorder) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for a recorder");
    recorder->gpu = gpu;
    recorder->upload.kind = TM_MEMORY_UPLOAD;
    recorder->readback.kind = TM_MEMORY_READBACK;
    VkCommandPoolCreateInfo create = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                      .flags = VK_COMMAND_POOL_CREATE_TRANSIENT_BIT,
                                      .queueFamilyIndex = gpu->physical.queue_family};
    VkResult result = gpu->vk.vkCreateCommandPool(gpu->device, &create, NULL, &recorder->command_pool);
    if (result != VK_SUCCESS) {
        free(recorder);
        return tm_vk_fail(gpu, err, result, "making a command pool");
    }
    *out = recorder;
    return TAGMASK_OK;
}

static void staging_free(tm_staging *staging) {
    for (size_t i = 0; i < staging->count; i++) tm_buffer_destroy(staging->chunks[i]);
    free(staging->chunks);
}

// Keeps one chunk of moderate size for the next recording.
void tm_staging_reset(tm_staging *staging) {
    size_t keep = 0;
    for (size_t i = 0; i < staging->count; i++) {
        if (keep == 0 && tm_buffer_size(staging->chunks[i]) <= KEPT_STAGING)
            staging->chunks[keep++] = staging->chunks[i];
        else
            tm_buffer_destroy(staging->chunks[i]);
    }
    staging->count = keep;
    staging->used = staging->total = 0;
}

static void recorder_free(tm_recorder *recorder) {
    tm_gpu *gpu = recorder->gpu;
    for (size_t i = 0; i < recorder->batch_count; i++) {
        gpu->vk.vkDestroyFence(gpu->device, recorder->batches[i].fence, NULL);
        gpu->vk.vkDestroyQueryPool(gpu->device, recorder->batches[i].queries, NULL);
        free(recorder->batches[i].entries);
    }
    for (size_t i = 0; i < recorder->pool_count; i++)
        gpu->vk.vkDestroyDescriptorPool(gpu->device, recorder->pools[i].handle, NULL);
    gpu->vk.vkDestroyCommandPool(gpu->device, recorder->command_pool, NULL);
    staging_free(&recorder->upload);
    staging_free(&recorder->readback);
    free(recorder->batches);
    free(recorder->pools);
    free(recorder->reads);
    free(recorder->deferred);
    free(recorder);
}

void tm_recorder_free_all(tm_gpu *gpu) {
    tm_recorder **lists[] = {&gpu->free_recorders, &gpu->hung_recorders};
    for (size_t i = 0; i < TM_ARRAY_LEN(lists); i++) {
        while (*lists[i]) {
            tm_recorder *recorder = *lists[i];
            *lists[i] = recorder->next;
            recorder_free(recorder);
        }
    }
}

static VkResult reset_objects(tm_recorder *recorder) {
    tm_gpu *gpu = recorder->gpu;
    VkFence fences[16];
    for (size_t i = 0; i < recorder->used_batches;) {
        uint32_t count = 0;
        for (; count < TM_ARRAY_LEN(fences) && i < recorder->used_batches; i++)
            fences[count++] = recorder->batches[i].fence;
        VkResult result = gpu->vk.vkResetFences(gpu->device, count, fences);
        if (result != VK_SUCCESS) return result;
    }
    for (size_t i = 0; i < recorder->pool_count; i++) {
        if (recorder->pools[i].sets == TM_POOL_SETS) continue;
        VkResult result = gpu->vk.vkResetDescriptorPool(gpu->device, recorder->pools[i].handle, 0);
        if (result != VK_SUCCESS) return result;
        recorder->pools[i].sets = TM_POOL_SETS;
    }
    return gpu->vk.vkResetCommandPool(gpu->device, recorder->command_pool, 0);
}

// Everything submitted is done: command buffers, fences and descriptor sets are free again.
static void recycle_batches(tm_recorder *recorder) {
    if (!recorder->used_batches) return;
    VkResult result = recorder->broken ? VK_SUCCESS : reset_objects(recorder);
    if (result != VK_SUCCESS) {
        recorder->broken = true;
        fail_vk(recorder, result, "making a recording ready for the next");
    }
    recorder->pool_at = 0;
    recorder->used_batches = 0;
    recorder->bound = NULL;
}

// ---- Batches

static tm_batch *open_batch(tm_recorder *recorder) {
    tm_batch *batch = recorder->used_batches ? &recorder->batches[recorder->used_batches - 1] : NULL;
    return batch && batch->open ? batch : NULL;
}

// The host waited for earlier recordings, but a fence alone does not make what they wrote visible to this one.
static void record_first_barrier(tm_gpu *gpu, const tm_batch *batch) {
    const VkPipelineStageFlags work = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                               .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                               .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                                                VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT};
    gpu->vk.vkCmdPipelineBarrier(batch->commands, work, work, 0, 1, &barrier, 0, NULL, 0, NULL);
}

static VkResult start_batch(tm_recorder *recorder, tm_batch *batch) {
    tm_gpu *gpu = recorder->gpu;
    batch->profiled = gpu->physical.info.timestamps && atomic_load(&gpu->profiling);
    batch->query_count = 0;
    batch->entry_count = 0;
    batch->command_count = 0;
    batch->estimate = 0;
    batch->share_count = 0;
    batch->unknown = batch->submitted = false;
    VkResult result = VK_SUCCESS;
    // Time stamps only while profiling: each makes lavapipe drain its queue, which costs as much as many dispatches.
    if (batch->profiled && !batch->queries) result = make_queries(gpu, batch);
    if (result != VK_SUCCESS) return result;
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                      .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    result = gpu->vk.vkBeginCommandBuffer(batch->commands, &begin);
    if (result != VK_SUCCESS) return result;
    if (batch->profiled) {
        gpu->vk.vkCmdResetQueryPool(batch->commands, batch->queries, 0, PROFILE_QUERIES);
        gpu->vk.vkCmdWriteTimestamp(batch->commands, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, batch->queries,
                                    batch->query_count++);
    }
    batch->open = true;
    recorder->bound = NULL;
    return VK_SUCCESS;
}

tm_batch *tm_batch_get(tm_recorder *recorder) {
    tm_batch *batch = open_batch(recorder);
    if (batch) return batch;
    tm_error reason = TAGMASK_ERROR_INIT;
    if (recorder->used_batches == recorder->batch_count) {
        if (!tm_grow((void **)&recorder->batches, &recorder->batch_capacity, recorder->batch_count + 1,
                     sizeof *recorder->batches)) {
            tm_recorder_fail(recorder, tm_fail(&reason, TAGMASK_ERROR_MEMORY, "no memory for a batch"), &reason);
            return NULL;
        }
        tm_batch made = {0};
        VkResult result = make_batch(recorder, &made);
        if (result != VK_SUCCESS) {
            fail_vk(recorder, result, "making a command buffer");
            return NULL;
        }
        recorder->batches[recorder->batch_count++] = made;
    }
    batch = &recorder->batches[recorder->used_batches];
    VkResult result = start_batch(recorder, batch);
    if (result != VK_SUCCESS) {
        fail_vk(recorder, result, "starting a command buffer");
        return NULL;
    }
    if (!recorder->used_batches++) record_first_barrier(recorder->gpu, batch);
    return batch;
}

void tm_batch_command_begin(tm_recorder *recorder, tm_batch *batch, const char *label) {
    if (!recorder->gpu->instance->begin_label) return;
    VkDebugUtilsLabelEXT mark = {.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_LABEL_EXT, .pLabelName = label};
    recorder->gpu->instance->begin_label(batch->commands, &mark);
}

void tm_batch_command_end(tm_recorder *recorder, tm_batch *batch, const char *label, const tm_cost *cost) {
    tm_gpu *gpu = recorder->gpu;
    if (gpu->instance->end_label) gpu->instance->end_label(batch->commands);
    tm_pace_add(gpu, batch, cost);
    if (!batch->profiled) return;
    if (!tm_grow((void **)&batch->entries, &batch->entry_capacity, batch->entry_count + 1, sizeof *batch->entries))
        return;
    batch->entries[batch->entry_count++] = (tm_profile_entry){label, cost->flops, cost->bytes};
    gpu->vk.vkCmdWriteTimestamp(batch->commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, batch->queries,
                                batch->query_count++);
}

tagmask_status tm_batch_make_room(tm_recorder *recorder, const tm_cost *cost) {
    tm_batch *batch = open_batch(recorder);
    if (!batch || !(batch->estimate > 0)) return TAGMASK_OK;
    bool no_query = batch->profiled && batch->query_count == PROFILE_QUERIES;
    if (!no_query && batch->estimate + tm_pace_estimate(recorder->gpu, cost) <= recorder->gpu->pace.submit_ms)
        return TAGMASK_OK;
    TM_TRY(tm_batch_submit(recorder));
    return tm_batch_poll(recorder);
}

// What shaders and copies wrote becomes visible to the host once the fence is signalled.
static void record_host_barrier(tm_gpu *gpu, const tm_batch *batch) {
    VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                               .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                               .dstAccessMask = VK_ACCESS_HOST_READ_BIT | VK_ACCESS_HOST_WRITE_BIT};
    gpu->vk.vkCmdPipelineBarrier(batch->commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                                 VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, NULL, 0, NULL);
}

tagmask_status tm_batch_submit(tm_recorder *recorder) {
    tm_gpu *gpu = recorder->gpu;
    tm_batch *batch = open_batch(recorder);
    if (recorder->failure.status) return recorder->failure.status;
    if (!batch) return TAGMASK_OK;
    record_host_barrier(gpu, batch);
    batch->open = false;
    VkResult result = gpu->vk.vkEndCommandBuffer(batch->commands);
    if (result == VK_SUCCESS && (atomic_load(&gpu->lost) || tm_fault_strikes(TM_FAULT_SUBMIT)))
        result = VK_ERROR_DEVICE_LOST;
    if (result == VK_SUCCESS) {
        VkSubmitInfo submit = {
            .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &batch->commands};
        pthread_mutex_lock(&gpu->queue_lock);
        batch->submit_ms = tm_now_ms();
        result = gpu->vk.vkQueueSubmit(gpu->queue, 1, &submit, batch->fence);
        pthread_mutex_unlock(&gpu->queue_lock);
    }
    if (result != VK_SUCCESS) {
        fail_vk(recorder, result, "submitting work");
        return recorder->failure.status;
    }
    batch->submitted = true;
    batch->done = false;
    atomic_fetch_add(&gpu->submits, 1);
    return TAGMASK_OK;
}

// ---- Waiting

static void collect(tm_recorder *recorder, tm_batch *batch, bool awaited) {
    tm_gpu *gpu = recorder->gpu;
    uint64_t ticks[PROFILE_QUERIES];
    double now = tm_now_ms();
    batch->done = true;
    double ms = now - TM_MAX(batch->submit_ms, recorder->last_done_ms);
    // The batch may have run for long when the one before it was found done.
    if (recorder->last_awaited || batch->submit_ms >= recorder->last_done_ms) {
        tm_pace_learn(gpu, batch, ms, awaited);
        if (awaited) recorder->longest_ms = TM_MAX(recorder->longest_ms, ms);
    }
    recorder->last_done_ms = now;
    recorder->last_awaited = awaited;
    if (batch->profiled &&
        gpu->vk.vkGetQueryPoolResults(gpu->device, batch->queries, 0, batch->query_count, sizeof ticks, ticks,
                                      sizeof *ticks, VK_QUERY_RESULT_64_BIT) == VK_SUCCESS)
        tm_profile_batch(gpu, batch, ticks);
}

tagmask_status tm_batch_poll(tm_recorder *recorder) {
    tm_gpu *gpu = recorder->gpu;
    for (size_t i = 0; i < recorder->used_batches; i++) {
        tm_batch *batch = &recorder->batches[i];
        if (!batch->submitted || batch->done) continue;
        VkResult result = gpu->vk.vkGetFenceStatus(gpu->device, batch->fence);
        if (result == VK_NOT_READY) break;
        if (result != VK_SUCCESS) {
            fail_vk(recorder, result, "asking for progress");
            return recorder->failure.status;
        }
        collect(recorder, batch, false);
    }
    return TAGMASK_OK;
}

tagmask_status tm_batch_wait(tm_recorder *recorder) {
    tm_gpu *gpu = recorder->gpu;
    for (size_t i = 0; i < recorder->used_batches; i++) {
        tm_batch *batch = &recorder->batches[i];
        if (!batch->submitted || batch->done) continue;
        bool awaited = gpu->vk.vkGetFenceStatus(gpu->device, batch->fence) == VK_NOT_READY;
        VkResult result = gpu->vk.vkWaitForFences(gpu->device, 1, &batch->fence, VK_TRUE, gpu->timeout_ns);
        if (result == VK_SUCCESS && tm_fault_strikes(TM_FAULT_WAIT)) result = VK_ERROR_DEVICE_LOST;
        if (result == VK_SUCCESS) {
            collect(recorder, batch, awaited);
            continue;
        }
        fail_vk(recorder, result, "waiting for work");
        if (result == VK_ERROR_DEVICE_LOST) continue;  // its other batches are over, too
        // Whether it is late or could not be asked: what the device works on must outlive the work.
        atomic_store(&gpu->lost, true);
        atomic_store(&gpu->hung, true);
        break;
    }
    if (!atomic_load(&gpu->hung)) recycle_batches(recorder);
    return recorder->failure.status;
}

static void give_back(tm_recorder *recorder) {
    tm_gpu *gpu = recorder->gpu;
    bool hung = atomic_load(&gpu->hung);
    // Right for a hung device too: buffers destroyed then wait for it (tm_buffer_destroy).
    for (size_t i = 0; i < recorder->deferred_count; i++) recorder->deferred[i].release(recorder->deferred[i].user);
    recorder->deferred_count = 0;
    if (!hung) {
        for (size_t i = 0; i < recorder->batch_count; i++) recorder->batches[i].open = false;
        recycle_batches(recorder);
        tm_staging_reset(&recorder->upload);
        tm_staging_reset(&recorder->readback);
    }
    recorder->read_count = recorder->direct_reads = recorder->touched_count = 0;
    recorder->hazards.read_count = recorder->hazards.write_count = 0;
    recorder->failure.status = TAGMASK_OK;
    pthread_mutex_lock(&gpu->recorder_lock);
    gpu->longest_submit_ms = recorder->longest_ms;
    pthread_mutex_unlock(&gpu->recorder_lock);
    recorder->last_done_ms = recorder->longest_ms = 0;
    recorder->last_awaited = false;
    if (recorder->broken) {
        recorder_free(recorder);
        return;
    }
    pthread_mutex_lock(&gpu->recorder_lock);
    tm_recorder **list = hung ? &gpu->hung_recorders : &gpu->free_recorders;
    recorder->next = *list;
    *list = recorder;
    pthread_mutex_unlock(&gpu->recorder_lock);
}

tagmask_status tm_recorder_finish(tm_recorder *recorder, tm_error *err) {
    tm_batch_submit(recorder);
    tagmask_status status = tm_batch_wait(recorder);
    if (status && err) *err = recorder->failure;
    for (size_t i = 0; !status && i < recorder->read_count; i++) {
        const tm_pending_read *read = &recorder->reads[i];
        memcpy(read->to, read->from.buffer->mapped + read->from.offset, read->from.size);
    }
    for (size_t i = 0; !status && i < recorder->deferred_count; i++) {
        const tm_deferred *deferred = &recorder->deferred[i];
        if (deferred->check) status = deferred->check(deferred->user, err);
    }
    give_back(recorder);
    return status;
}

void tm_recorder_abandon(tm_recorder *recorder) {
    if (!recorder) return;
    tm_batch_wait(recorder);
    give_back(recorder);
}
