// Recording: dispatches, copies, fills and transfers, with the barriers they need. submit.c runs what is recorded.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gpu/internal.h"

#define STAGING_CHUNK ((uint64_t)1 << 20)
#define STAGING_ALIGNMENT 16
// Beyond this much staging the recorder waits for the device and starts over.
#define STAGING_LIMIT ((uint64_t)64 << 20)
#define STAGING_PIECE ((uint64_t)16 << 20)

static const VkPipelineStageFlags work_stages = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;

tm_gpu *tm_recorder_gpu(tm_recorder *recorder) {
    return recorder->gpu;
}

tagmask_status tm_recorder_fail(tm_recorder *recorder, tagmask_status status, const tm_error *reason) {
    if (!recorder->failure.status) recorder->failure = *reason;
    return status;
}

// Every entry point starts here: after a failure nothing more is recorded, and finish reports the first reason.
static tagmask_status check_usable(tm_recorder *recorder, tm_error *err) {
    if (!recorder->failure.status) return TAGMASK_OK;
    if (err) *err = recorder->failure;
    return recorder->failure.status;
}

// A failure after something was recorded spoils the whole recording.
static tagmask_status spoil(tm_recorder *recorder, tagmask_status status, const tm_error *reason, tm_error *err) {
    tm_recorder_fail(recorder, status, reason);
    if (err) *err = recorder->failure;
    return status;
}

static tagmask_status check_slice(const char *what, tm_slice slice, tm_error *err) {
    if (!slice.buffer) return tm_fail(err, TAGMASK_ERROR_INTERNAL, "%s: no buffer is given", what);
    uint64_t size = tm_buffer_size(slice.buffer);
    if (!slice.size || slice.offset > size || slice.size > size - slice.offset) {
        return tm_fail(err, TAGMASK_ERROR_INTERNAL, "%s: bytes %llu to %llu + %llu are outside a buffer of %llu bytes",
                       what, (unsigned long long)slice.offset, (unsigned long long)slice.offset,
                       (unsigned long long)slice.size, (unsigned long long)size);
    }
    return TAGMASK_OK;
}

static bool is_touched(const tm_recorder *recorder, const tm_buffer *buffer) {
    if (recorder->touched_count == TM_TOUCHED_BUFFERS) return true;
    for (size_t i = recorder->touched_count; i-- > 0;) {
        if (recorder->touched[i] == buffer) return true;
    }
    return false;
}

static void touch(tm_recorder *recorder, const tm_buffer *buffer) {
    if (!is_touched(recorder, buffer)) recorder->touched[recorder->touched_count++] = buffer;
}

tagmask_status tm_recorder_defer(tm_recorder *recorder, void (*release)(void *user), void *user, tm_error *err) {
    return tm_recorder_check(recorder, NULL, release, user, err);
}

tagmask_status tm_recorder_check(tm_recorder *recorder, tagmask_status (*check)(void *user, tm_error *err),
                                 void (*release)(void *user), void *user, tm_error *err) {
    void *list = recorder->deferred;
    if (!tm_grow(&list, &recorder->deferred_capacity, recorder->deferred_count + 1, sizeof *recorder->deferred))
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory to note what a recording uses");
    recorder->deferred = list;
    recorder->deferred[recorder->deferred_count++] = (tm_deferred){check, release, user};
    return TAGMASK_OK;
}

// ---- Barriers

static void record_barrier(tm_recorder *recorder, const tm_batch *batch) {
    tm_gpu *gpu = recorder->gpu;
    recorder->hazards.read_count = recorder->hazards.write_count = 0;
    if (atomic_load_explicit(&gpu->skip_barriers, memory_order_relaxed)) return;
    // One global barrier: drivers gain nothing from ranges, and it lets the lists start anew.
    VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                               .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                               .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                                                VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT};
    gpu->vk.vkCmdPipelineBarrier(batch->commands, work_stages, work_stages, 0, 1, &barrier, 0, NULL, 0, NULL);
    atomic_fetch_add_explicit(&gpu->barriers, 1, memory_order_relaxed);
}

typedef struct use {
    tm_slice slice;
    bool reads, writes;
} use;

static tagmask_status save_direct_reads(tm_recorder *recorder, const use *uses, size_t count);

// Puts a barrier before the command that makes these uses, if it needs one. NULL on failure.
static tm_batch *order(tm_recorder *recorder, const use *uses, size_t count) {
    if (recorder->direct_reads && save_direct_reads(recorder, uses, count)) return NULL;
    tm_batch *batch = tm_batch_get(recorder);
    if (!batch) return NULL;
    bool conflict = false;
    for (size_t i = 0; i < count && !conflict; i++)
        conflict = tm_hazards_conflict(&recorder->hazards, uses[i].slice, uses[i].reads, uses[i].writes);
    if (conflict) record_barrier(recorder, batch);
    for (size_t i = 0; i < count; i++) {
        tm_hazards_add(&recorder->hazards, uses[i].slice, uses[i].reads, uses[i].writes);
        touch(recorder, uses[i].slice.buffer);
    }
    return batch;
}

// ---- Dispatches

static tagmask_status new_pool(tm_recorder *recorder, tm_error *err) {
    tm_gpu *gpu = recorder->gpu;
    if (!tm_grow((void **)&recorder->pools, &recorder->pool_capacity, recorder->pool_count + 1,
                 sizeof *recorder->pools))
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for descriptor sets");
    VkDescriptorPoolSize sizes[] = {{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, TM_POOL_SETS * TM_MAX_BINDINGS},
                                    {VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, TM_POOL_SETS * TM_MAX_BINDINGS}};
    VkDescriptorPoolCreateInfo create = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                         .maxSets = TM_POOL_SETS,
                                         .poolSizeCount = TM_ARRAY_LEN(sizes),
                                         .pPoolSizes = sizes};
    tm_descriptor_pool *pool = &recorder->pools[recorder->pool_count];
    VkResult result = gpu->vk.vkCreateDescriptorPool(gpu->device, &create, NULL, &pool->handle);
    if (result != VK_SUCCESS) return tm_vk_fail(gpu, err, result, "making a descriptor pool");
    pool->sets = TM_POOL_SETS;
    recorder->pool_count++;
    return TAGMASK_OK;
}

static tagmask_status allocate_set(tm_recorder *recorder, VkDescriptorSetLayout layout, VkDescriptorSet *set,
                                   tm_error *err) {
    while (recorder->pool_at < recorder->pool_count && !recorder->pools[recorder->pool_at].sets) recorder->pool_at++;
    if (recorder->pool_at == recorder->pool_count) TM_TRY(new_pool(recorder, err));
    tm_descriptor_pool *pool = &recorder->pools[recorder->pool_at];
    VkDescriptorSetAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                            .descriptorPool = pool->handle,
                                            .descriptorSetCount = 1,
                                            .pSetLayouts = &layout};
    VkResult result = recorder->gpu->vk.vkAllocateDescriptorSets(recorder->gpu->device, &allocate, set);
    if (result != VK_SUCCESS) return tm_vk_fail(recorder->gpu, err, result, "making a descriptor set");
    pool->sets--;
    return TAGMASK_OK;
}

static VkFormat texel_format(tm_binding_kind kind, bool half) {
    if (kind == TM_BINDING_TEXEL_INT) return VK_FORMAT_R32G32B32A32_SINT;
    if (half) return VK_FORMAT_R32G32_UINT;
    if (kind == TM_BINDING_TEXEL_UINT) return VK_FORMAT_R32G32B32A32_UINT;
    return VK_FORMAT_R32G32B32A32_SFLOAT;
}

static tagmask_status check_binding(const tm_gpu *gpu, const tm_pipeline *pipeline, uint32_t index, tm_slice slice,
                                    tm_error *err) {
    char what[200];
    const tm_gpu_info *info = &gpu->physical.info;
    uint64_t largest = info->max_storage_range;
    bool storage = pipeline->program->reflection.bindings[index].kind == TM_BINDING_STORAGE;
    // The common case first: formatting a name for every binding would cost more than the dispatch.
    if (slice.buffer && slice.size && slice.offset <= slice.buffer->size &&
        slice.size <= slice.buffer->size - slice.offset && slice.offset % info->buffer_alignment == 0 &&
        (!storage || slice.size <= largest))
        return TAGMASK_OK;
    snprintf(what, sizeof what, "shader %s, binding %u", pipeline->name, index);
    TM_TRY(check_slice(what, slice, err));
    if (slice.offset % info->buffer_alignment) {
        return tm_fail(err, TAGMASK_ERROR_INTERNAL, "%s: offset %llu is no multiple of %llu", what,
                       (unsigned long long)slice.offset, (unsigned long long)info->buffer_alignment);
    }
    return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "%s: %llu bytes are bound, but %s allows %llu: bind a shorter slice",
                   what, (unsigned long long)slice.size, info->name, (unsigned long long)largest);
}

static tagmask_status check_dispatch(const tm_gpu *gpu, const tm_dispatch_info *info, tm_error *err) {
    const tm_pipeline *pipeline = info->pipeline;
    if (!pipeline) return tm_fail(err, TAGMASK_ERROR_INTERNAL, "a dispatch without a pipeline was recorded");
    const tm_reflection *reflection = &pipeline->program->reflection;
    if (reflection->push_size && (info->push_size != reflection->push_size || !info->push)) {
        return tm_fail(err, TAGMASK_ERROR_INTERNAL, "shader %s: %u bytes of push constants, expected %u",
                       pipeline->name, info->push_size, reflection->push_size);
    }
    for (int i = 0; i < 3; i++) {
        if (info->groups[i] <= gpu->physical.info.max_groups[i]) continue;
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "shader %s: %u workgroups in dimension %d, but %s allows %u; use a smaller input",
                       pipeline->name, info->groups[i], i, gpu->physical.info.name, gpu->physical.info.max_groups[i]);
    }
    for (uint32_t i = 0; i < TM_MAX_BINDINGS; i++) {
        if (reflection->bindings[i].kind) TM_TRY(check_binding(gpu, pipeline, i, info->bindings[i], err));
    }
    return TAGMASK_OK;
}

// Writes a descriptor set for the dispatch and lists what it reads and writes.
static tagmask_status make_set(tm_recorder *recorder, const tm_dispatch_info *info, VkDescriptorSet *set, use *uses,
                               size_t *use_count, tm_error *err) {
    tm_gpu *gpu = recorder->gpu;
    const tm_program *program = info->pipeline->program;
    VkWriteDescriptorSet writes[TM_MAX_BINDINGS];
    VkDescriptorBufferInfo buffers[TM_MAX_BINDINGS];
    VkBufferView views[TM_MAX_BINDINGS];
    uint32_t count = 0;
    TM_TRY(allocate_set(recorder, program->set_layout, set, err));
    for (uint32_t i = 0; i < TM_MAX_BINDINGS; i++) {
        const tm_binding *binding = &program->reflection.bindings[i];
        tm_slice slice = info->bindings[i];
        if (!binding->kind) continue;
        VkWriteDescriptorSet write = {
            .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET, .dstSet = *set, .dstBinding = i, .descriptorCount = 1};
        if (binding->kind == TM_BINDING_STORAGE) {
            buffers[count] = (VkDescriptorBufferInfo){slice.buffer->handle, slice.offset, slice.size};
            write.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
            write.pBufferInfo = &buffers[count];
        } else {
            VkFormat format = texel_format(binding->kind, info->half >> i & 1u);
            TM_TRY(tm_buffer_view(slice.buffer, slice.offset, slice.size, format, &views[count], err));
            write.descriptorType = VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
            write.pTexelBufferView = &views[count];
        }
        uses[count] = (use){slice, binding->reads, binding->writes};
        writes[count++] = write;
    }
    if (count) gpu->vk.vkUpdateDescriptorSets(gpu->device, count, writes, 0, NULL);
    *use_count = count;
    return TAGMASK_OK;
}

// A range of workgroups along one dimension of a dispatch.
typedef struct range {
    int axis;
    uint32_t first, count;
    tm_cost cost;
} range;

static void record_part(tm_recorder *recorder, tm_batch *batch, const tm_dispatch_info *info, VkDescriptorSet set,
                        const range *part) {
    tm_gpu *gpu = recorder->gpu;
    const tm_program *program = info->pipeline->program;
    if (recorder->bound != info->pipeline) {
        gpu->vk.vkCmdBindPipeline(batch->commands, VK_PIPELINE_BIND_POINT_COMPUTE, info->pipeline->handle);
        recorder->bound = info->pipeline;
    }
    gpu->vk.vkCmdBindDescriptorSets(batch->commands, VK_PIPELINE_BIND_POINT_COMPUTE, program->layout, 0, 1, &set, 0,
                                    NULL);
    if (program->reflection.push_size) {
        gpu->vk.vkCmdPushConstants(batch->commands, program->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, info->push_size,
                                   info->push);
    }
    const char *label = info->label ? info->label : info->pipeline->name;
    tm_batch_command_begin(recorder, batch, label);
    uint32_t base[3] = {0}, groups[3] = {info->groups[0], info->groups[1], info->groups[2]};
    base[part->axis] = part->first;
    groups[part->axis] = part->count;
    if (part->first)
        gpu->vk.vkCmdDispatchBase(batch->commands, base[0], base[1], base[2], groups[0], groups[1], groups[2]);
    else
        gpu->vk.vkCmdDispatch(batch->commands, groups[0], groups[1], groups[2]);
    tm_batch_command_end(recorder, batch, label, &part->cost);
}

static double bytes_of(const tm_dispatch_info *info) {
    if (info->bytes > 0) return info->bytes;
    double bytes = 0;
    for (uint32_t i = 0; i < TM_MAX_BINDINGS; i++) {
        if (info->pipeline->program->reflection.bindings[i].kind) bytes += (double)info->bindings[i].size;
    }
    return bytes;
}

tagmask_status tm_dispatch(tm_recorder *recorder, const tm_dispatch_info *info, tm_error *err) {
    tm_gpu *gpu = recorder->gpu;
    use uses[TM_MAX_BINDINGS];
    size_t use_count = 0;
    VkDescriptorSet set;
    TM_TRY(check_usable(recorder, err));
    TM_TRY(check_dispatch(gpu, info, err));
    if (!info->groups[0] || !info->groups[1] || !info->groups[2]) return TAGMASK_OK;
    const tm_cost whole = {&info->pipeline->program->pace, info->flops, bytes_of(info)};
    range part = {.axis = info->groups[2] > 1 ? 2 : info->groups[1] > 1 ? 1 : 0};
    uint32_t total = info->groups[part.axis];
    double pieces = info->divisible ? ceil(tm_pace_estimate(gpu, &whole) / gpu->pace.submit_ms) : 1;
    uint32_t parts = (uint32_t)TM_MIN(pieces, (double)total);
    uint32_t step = (total + parts - 1) / parts;
    for (; part.first < total; part.first += step) {
        part.count = TM_MIN(step, total - part.first);
        double share = (double)part.count / total;
        part.cost = (tm_cost){whole.pace, whole.flops * share, whole.bytes * share};
        if (tm_batch_make_room(recorder, &part.cost)) return check_usable(recorder, err);
        if (!part.first) TM_TRY(make_set(recorder, info, &set, uses, &use_count, err));
        // Parts write apart from each other, but synchronization validation sees one range: a barrier, of a cost that
        // does not show beside a part's, keeps it silent.
        tm_batch *batch = order(recorder, uses, use_count);
        if (!batch) return check_usable(recorder, err);
        record_part(recorder, batch, info, set, &part);
    }
    atomic_fetch_add_explicit(&gpu->dispatches, 1, memory_order_relaxed);
    return TAGMASK_OK;
}

// ---- Copies and fills

static tagmask_status record_copy(tm_recorder *recorder, tm_slice from, tm_slice to, const char *label) {
    tm_gpu *gpu = recorder->gpu;
    const use uses[] = {{from, true, false}, {to, false, true}};
    const tm_cost cost = {.bytes = 2.0 * (double)from.size};
    if (tm_batch_make_room(recorder, &cost)) return recorder->failure.status;
    tm_batch *batch = order(recorder, uses, 2);
    if (!batch) return recorder->failure.status;
    VkBufferCopy region = {from.offset, to.offset, from.size};
    tm_batch_command_begin(recorder, batch, label);
    gpu->vk.vkCmdCopyBuffer(batch->commands, from.buffer->handle, to.buffer->handle, 1, &region);
    tm_batch_command_end(recorder, batch, label, &cost);
    return TAGMASK_OK;
}

tagmask_status tm_copy(tm_recorder *recorder, tm_slice from, tm_slice to, tm_error *err) {
    TM_TRY(check_usable(recorder, err));
    TM_TRY(check_slice("copy, source", from, err));
    TM_TRY(check_slice("copy, target", to, err));
    bool overlap = from.buffer == to.buffer && from.offset < to.offset + to.size && to.offset < from.offset + from.size;
    if (from.size != to.size || overlap || from.offset % 4 || to.offset % 4 || from.size % 4) {
        return tm_fail(err, TAGMASK_ERROR_INTERNAL,
                       "copy of %llu bytes from offset %llu to %llu bytes at %llu: expected equal sizes and offsets in "
                       "multiples of 4, and ranges apart",
                       (unsigned long long)from.size, (unsigned long long)from.offset, (unsigned long long)to.size,
                       (unsigned long long)to.offset);
    }
    if (record_copy(recorder, from, to, "copy")) return check_usable(recorder, err);
    return TAGMASK_OK;
}

tagmask_status tm_fill(tm_recorder *recorder, tm_slice to, uint32_t word, tm_error *err) {
    tm_gpu *gpu = recorder->gpu;
    const use uses[] = {{to, false, true}};
    TM_TRY(check_usable(recorder, err));
    TM_TRY(check_slice("fill", to, err));
    if (to.offset % 4 || to.size % 4) {
        return tm_fail(err, TAGMASK_ERROR_INTERNAL, "fill of %llu bytes at offset %llu: expected multiples of 4",
                       (unsigned long long)to.size, (unsigned long long)to.offset);
    }
    const tm_cost cost = {.bytes = (double)to.size};
    if (tm_batch_make_room(recorder, &cost)) return check_usable(recorder, err);
    tm_batch *batch = order(recorder, uses, 1);
    if (!batch) return check_usable(recorder, err);
    tm_batch_command_begin(recorder, batch, "fill");
    gpu->vk.vkCmdFillBuffer(batch->commands, to.buffer->handle, to.offset, to.size, word);
    tm_batch_command_end(recorder, batch, "fill", &cost);
    return TAGMASK_OK;
}

// ---- Transfers

static tagmask_status stage(tm_recorder *recorder, tm_staging *staging, uint64_t size, tm_slice *out, tm_error *err) {
    tm_buffer *last = staging->count ? staging->chunks[staging->count - 1] : NULL;
    uint64_t offset = tm_align_up(staging->used, STAGING_ALIGNMENT);
    if (!last || offset > last->size || last->size - offset < size) {
        if (!tm_grow((void **)&staging->chunks, &staging->capacity, staging->count + 1, sizeof *staging->chunks))
            return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory to describe staging memory");
        TM_TRY(tm_buffer_create(recorder->gpu, TM_MAX(size, STAGING_CHUNK), staging->kind, &last, err));
        staging->chunks[staging->count++] = last;
        offset = 0;
    }
    *out = (tm_slice){last, offset, size};
    staging->used = offset + size;
    staging->total += size;
    return TAGMASK_OK;
}

tagmask_status tm_upload(tm_recorder *recorder, tm_slice to, const void *data, tm_error *err) {
    tm_error reason = TAGMASK_ERROR_INIT;
    TM_TRY(check_usable(recorder, err));
    TM_TRY(check_slice("upload", to, err));
    // No command recorded so far uses the buffer, and the host reaches it: nothing has to wait for the device.
    if (to.buffer->mapped && !is_touched(recorder, to.buffer)) {
        memcpy(to.buffer->mapped + to.offset, data, to.size);
        return TAGMASK_OK;
    }
    for (uint64_t done = 0; done < to.size;) {
        uint64_t piece = TM_MIN(to.size - done, STAGING_PIECE);
        tm_slice from, part = {to.buffer, to.offset + done, piece};
        if (recorder->upload.total + piece > STAGING_LIMIT) {
            if (tm_batch_submit(recorder) || tm_batch_wait(recorder)) return check_usable(recorder, err);
            tm_staging_reset(&recorder->upload);
        }
        tagmask_status status = stage(recorder, &recorder->upload, piece, &from, &reason);
        if (status) return spoil(recorder, status, &reason, err);
        memcpy(from.buffer->mapped + from.offset, (const uint8_t *)data + done, piece);
        if (record_copy(recorder, from, part, "upload")) return check_usable(recorder, err);
        done += piece;
    }
    return TAGMASK_OK;
}

static tagmask_status read_staged(tm_recorder *recorder, tm_pending_read *read, tm_error *err) {
    tm_slice to;
    TM_TRY(stage(recorder, &recorder->readback, read->from.size, &to, err));
    tm_slice from = read->from;
    read->from = to;
    if (record_copy(recorder, from, to, "readback")) return check_usable(recorder, err);
    return TAGMASK_OK;
}

static bool overlap(tm_slice a, tm_slice b) {
    return a.buffer == b.buffer && a.offset < b.offset + b.size && b.offset < a.offset + a.size;
}

static tagmask_status save_direct_reads(tm_recorder *recorder, const use *uses, size_t count) {
    for (size_t i = 0; i < recorder->read_count; i++) {
        bool written = false;
        for (size_t k = 0; k < count && recorder->reads[i].direct; k++)
            written |= uses[k].writes && overlap(uses[k].slice, recorder->reads[i].from);
        if (!written) continue;
        tm_error reason = TAGMASK_ERROR_INIT;
        recorder->reads[i].direct = false;
        recorder->direct_reads--;
        tagmask_status status = read_staged(recorder, &recorder->reads[i], &reason);
        if (status) return tm_recorder_fail(recorder, status, &reason);
    }
    return TAGMASK_OK;
}

tagmask_status tm_readback(tm_recorder *recorder, tm_slice from, void *data, tm_error *err) {
    TM_TRY(check_usable(recorder, err));
    TM_TRY(check_slice("read-back", from, err));
    if (!tm_grow((void **)&recorder->reads, &recorder->read_capacity, recorder->read_count + 1,
                 sizeof *recorder->reads))
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory to describe a read-back");
    tm_pending_read *read = &recorder->reads[recorder->read_count++];
    *read = (tm_pending_read){from, data, from.buffer->mapped && from.buffer->cached};
    atomic_fetch_add(&recorder->gpu->readbacks, 1);
    atomic_fetch_add(&recorder->gpu->readback_bytes, from.size);
    if (read->direct) {
        recorder->direct_reads++;
        touch(recorder, from.buffer);  // a later upload into it must not overtake this
        return TAGMASK_OK;
    }
    tm_error reason = TAGMASK_ERROR_INIT;
    tagmask_status status = read_staged(recorder, read, &reason);
    return status ? spoil(recorder, status, &reason, err) : TAGMASK_OK;
}
