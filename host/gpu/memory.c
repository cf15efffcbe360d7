// Device memory: the budget, blocks shared by small buffers, buffers, views for texel fetches.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/platform.h"
#include "gpu/internal.h"

// Buffers up to an eighth of a block share it: drivers allow as few as 4096 allocations and round each up to pages.
#define BLOCK_SIZE ((uint64_t)8 << 20)
#define SHARED_FRACTION 8

static const VkBufferUsageFlags buffer_usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                                               VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT |
                                               VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;

static VkResult create_handle(tm_gpu *gpu, uint64_t size, VkBuffer *handle) {
    // Rounded up to whole texels, so that a view can cover the last bytes.
    VkBufferCreateInfo create = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                 .size = tm_align_up(size, TM_FLOAT_TEXEL),
                                 .usage = buffer_usage};
    return gpu->vk.vkCreateBuffer(gpu->device, &create, NULL, handle);
}

// ---- Memory types

static int bits_in(VkMemoryPropertyFlags flags) {
    int count = 0;
    for (; flags; flags &= flags - 1) count++;
    return count;
}

// The type with all of `required`, most of `preferred` and fewest of `avoided`; drivers list better ones first.
static bool choose_type(const tm_gpu *gpu, uint32_t allowed, VkMemoryPropertyFlags required,
                        VkMemoryPropertyFlags preferred, VkMemoryPropertyFlags avoided, tm_memory_pool *pool) {
    // Bits beyond these mark protected, lazily allocated and other memory that shaders cannot use freely.
    const VkMemoryPropertyFlags plain = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                        VK_MEMORY_PROPERTY_HOST_COHERENT_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    int best = -100;
    for (uint32_t i = 0; i < gpu->memory.memoryTypeCount; i++) {
        VkMemoryPropertyFlags flags = gpu->memory.memoryTypes[i].propertyFlags;
        if (!(allowed >> i & 1) || (flags & required) != required || (flags & ~plain)) continue;
        int score = bits_in(flags & preferred) - bits_in(flags & avoided);
        if (score <= best) continue;
        best = score;
        pool->type = i;
        pool->heap = gpu->memory.memoryTypes[i].heapIndex;
        pool->flags = flags;
    }
    return best > -100;
}

tagmask_status tm_memory_init(tm_gpu *gpu, tm_error *err) {
    const VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
                                mapped = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
                                cached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    vkGetPhysicalDeviceMemoryProperties(gpu->physical.handle, &gpu->memory);
    // Vulkan promises the same memoryTypeBits for every buffer of one usage, so one probe serves all.
    VkBuffer probe;
    VkResult result = create_handle(gpu, TM_FLOAT_TEXEL, &probe);
    if (result != VK_SUCCESS) return tm_vk_fail(gpu, err, result, "making a buffer");
    VkMemoryRequirements needs;
    gpu->vk.vkGetBufferMemoryRequirements(gpu->device, probe, &needs);
    gpu->vk.vkDestroyBuffer(gpu->device, probe, NULL);
    bool unified = gpu->physical.info.unified_memory;
    bool ok =
        choose_type(gpu, needs.memoryTypeBits, local, unified ? mapped | cached : 0, unified ? 0 : mapped,
                    &gpu->pools[TM_MEMORY_DEVICE]) &&
        choose_type(gpu, needs.memoryTypeBits, mapped, unified ? local : 0, unified ? 0 : local | cached,
                    &gpu->pools[TM_MEMORY_UPLOAD]) &&
        choose_type(gpu, needs.memoryTypeBits, mapped, cached, unified ? 0 : local, &gpu->pools[TM_MEMORY_READBACK]);
    if (!ok) {
        return tm_fail(err, TAGMASK_ERROR_NO_DEVICE,
                       "%s has no memory type for storage buffers that the host can map; choose another device",
                       gpu->physical.info.name);
    }
    gpu->block_size = gpu->memory_limit ? TM_MIN(BLOCK_SIZE, gpu->memory_limit / 8) : BLOCK_SIZE;
    return TAGMASK_OK;
}

// ---- Budget

static uint64_t heap_available(tm_gpu *gpu, uint32_t heap) {
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    uint64_t total, used;
    if (gpu->physical.info.memory_budget) {
        VkPhysicalDeviceMemoryProperties2 properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
                                                        .pNext = &budget};
        vkGetPhysicalDeviceMemoryProperties2(gpu->physical.handle, &properties);
        total = budget.heapBudget[heap];
        used = budget.heapUsage[heap];
    } else {
        // An eighth is left to the driver and to other programs.
        total = gpu->memory.memoryHeaps[heap].size - gpu->memory.memoryHeaps[heap].size / 8;
        used = gpu->heap_used[heap];
    }
    return used < total ? total - used : 0;
}

// Asked before every VkDeviceMemory: trying until it fails would slow down or crash other programs first.
static tagmask_status check_budget(tm_gpu *gpu, uint32_t heap, uint64_t size, tm_error *err) {
    const char *name = gpu->physical.info.name;
    uint64_t used = 0;
    for (uint32_t i = 0; i < gpu->memory.memoryHeapCount; i++) used += gpu->heap_used[i];
    if (gpu->memory_limit && (used > gpu->memory_limit || size > gpu->memory_limit - used)) {
        return tm_fail(
            err, TAGMASK_ERROR_DEVICE_MEMORY,
            "%.1f MiB more on %s would exceed TAGMASK_MEMORY_LIMIT=%llu (MiB), of which %.1f MiB are in use; "
            "raise the limit, or use a smaller input (the preset fast, a smaller working size)",
            (double)size / 1048576, name, (unsigned long long)(gpu->memory_limit >> 20), (double)used / 1048576);
    }
    uint64_t available = heap_available(gpu, heap);
    if (gpu->physical.on_cpu) {
        uint64_t host = tm_available_memory();
        // The heap of a driver for the CPU is a number in its source (2 GiB for lavapipe); a limit that is set knows
        // more of the machine.
        if (gpu->memory_limit) available = UINT64_MAX;
        if (host != UINT64_MAX) available = TM_MIN(available, host - host / 16);
    }
    if (size > available) {
        return tm_fail(
            err, TAGMASK_ERROR_DEVICE_MEMORY,
            "%.1f MiB of memory are needed on %s, which has %.1f MiB to spare; use a smaller input (the preset "
            "fast, a smaller working size) or another device",
            (double)size / 1048576, name, (double)available / 1048576);
    }
    if (size > gpu->physical.max_allocation || gpu->device_allocations >= gpu->physical.max_allocations) {
        return tm_fail(
            err, TAGMASK_ERROR_DEVICE_MEMORY,
            "%s allows %u allocations of at most %.1f MiB each; %u are in use and the next would have %.1f MiB", name,
            gpu->physical.max_allocations, (double)gpu->physical.max_allocation / 1048576, gpu->device_allocations,
            (double)size / 1048576);
    }
    return TAGMASK_OK;
}

// ---- Blocks; memory_lock is held

static void block_free(tm_gpu *gpu, tm_block *block) {
    if (block->memory) {
        gpu->vk.vkFreeMemory(gpu->device, block->memory, NULL);
        gpu->heap_used[block->heap] -= block->size;
        gpu->device_allocations--;
    }
    free(block->free_ranges);
    free(block);
}

static tagmask_status block_create(tm_gpu *gpu, const tm_memory_pool *pool, uint64_t size, tm_block **out,
                                   tm_error *err) {
    TM_TRY(check_budget(gpu, pool->heap, size, err));
    tm_block *block = tm_calloc(1, sizeof *block);
    if (!block) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory to describe a device allocation");
    VkMemoryAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = size, .memoryTypeIndex = pool->type};
    VkResult result = gpu->vk.vkAllocateMemory(gpu->device, &allocate, NULL, &block->memory);
    if (result == VK_SUCCESS) {
        block->size = size;
        block->heap = pool->heap;
        gpu->heap_used[pool->heap] += size;
        gpu->device_allocations++;
        if (pool->flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) {
            void *mapped;
            result = gpu->vk.vkMapMemory(gpu->device, block->memory, 0, VK_WHOLE_SIZE, 0, &mapped);
            block->mapped = mapped;
        }
    } else {
        block->memory = VK_NULL_HANDLE;
    }
    if (result != VK_SUCCESS) {
        block_free(gpu, block);
        char doing[80];
        snprintf(doing, sizeof doing, "allocating %.1f MiB of device memory", (double)size / 1048576);
        return tm_vk_fail(gpu, err, result, doing);
    }
    *out = block;
    return TAGMASK_OK;
}

// First fit. The range list keeps its size or shrinks here, except where an aligned start leaves a gap in front.
static bool block_take(tm_block *block, uint64_t size, uint64_t alignment, uint64_t *offset) {
    for (size_t i = 0; i < block->free_count; i++) {
        tm_range *range = &block->free_ranges[i];
        uint64_t start = tm_align_up(range->offset, alignment), gap = start - range->offset;
        if (range->size < gap || range->size - gap < size) continue;
        uint64_t rest = range->size - gap - size;
        if (gap && rest) {
            if (!tm_grow((void **)&block->free_ranges, &block->free_capacity, block->free_count + 1,
                         sizeof *block->free_ranges))
                return false;
            range = &block->free_ranges[i];
            memmove(range + 1, range, (block->free_count - i) * sizeof *range);
            block->free_count++;
            range[0].size = gap;
            range[1] = (tm_range){start + size, rest};
        } else if (gap) {
            range->size = gap;
        } else if (rest) {
            *range = (tm_range){start + size, rest};
        } else {
            memmove(range, range + 1, (--block->free_count - i) * sizeof *range);
        }
        *offset = start;
        block->users++;
        return true;
    }
    return false;
}

static void block_give(tm_block *block, uint64_t offset, uint64_t size) {
    if (!--block->users) {
        block->free_ranges[0] = (tm_range){0, block->size};
        block->free_count = 1;
        return;
    }
    size_t at = 0;
    while (at < block->free_count && block->free_ranges[at].offset < offset) at++;
    tm_range *next = &block->free_ranges[at];
    bool joins_next = at < block->free_count && offset + size == next->offset;
    bool joins_last = at > 0 && next[-1].offset + next[-1].size == offset;
    if (joins_last && joins_next) {
        next[-1].size += size + next->size;
        memmove(next, next + 1, (--block->free_count - at) * sizeof *next);
    } else if (joins_last) {
        next[-1].size += size;
    } else if (joins_next) {
        next->offset = offset;
        next->size += size;
    } else if (tm_grow((void **)&block->free_ranges, &block->free_capacity, block->free_count + 1,
                       sizeof *block->free_ranges)) {
        next = &block->free_ranges[at];
        memmove(next + 1, next, (block->free_count++ - at) * sizeof *next);
        *next = (tm_range){offset, size};
    }  // else: without host memory to note it, the range stays unused until the block is empty
}

// ---- Buffers

static tagmask_status take_memory(tm_gpu *gpu, tm_buffer *buffer, const VkMemoryRequirements *needs, tm_error *err) {
    tm_memory_pool *pool = &gpu->pools[buffer->kind];
    uint64_t alignment = TM_MAX(needs->alignment, gpu->physical.info.buffer_alignment);
    buffer->block_size = needs->size;
    if (needs->size > gpu->block_size / SHARED_FRACTION)
        return block_create(gpu, pool, needs->size, &buffer->block, err);
    for (tm_block *block = pool->blocks; block; block = block->next) {
        if (block_take(block, needs->size, alignment, &buffer->block_offset)) {
            buffer->block = block;
            return TAGMASK_OK;
        }
    }
    tm_block *block;
    TM_TRY(block_create(gpu, pool, gpu->block_size, &block, err));
    if (!tm_grow((void **)&block->free_ranges, &block->free_capacity, 8, sizeof *block->free_ranges)) {
        block_free(gpu, block);
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory to describe a device allocation");
    }
    block->free_ranges[0] = (tm_range){0, block->size};
    block->free_count = 1;
    block_take(block, needs->size, alignment, &buffer->block_offset);
    block->next = pool->blocks;
    pool->blocks = block;
    buffer->block = block;
    return TAGMASK_OK;
}

static void give_memory(tm_gpu *gpu, tm_buffer *buffer) {
    tm_memory_pool *pool = &gpu->pools[buffer->kind];
    tm_block **link = &pool->blocks;
    while (*link && *link != buffer->block) link = &(*link)->next;
    tm_block *block = *link;
    if (!block) {
        block_free(gpu, buffer->block);
        return;
    }
    block_give(block, buffer->block_offset, buffer->block_size);
    // One empty block stays, so that a buffer made and freed in a loop does not go to the driver each time.
    if (!block->users && (block->next || pool->blocks != block)) {
        *link = block->next;
        block_free(gpu, block);
    }
}

static void count_bytes(tm_gpu *gpu, uint64_t size) {
    uint64_t now = atomic_fetch_add(&gpu->bytes_now, size) + size;
    uint_fast64_t peak = atomic_load(&gpu->bytes_peak);
    while (now > peak && !atomic_compare_exchange_weak(&gpu->bytes_peak, &peak, now)) {
    }
    atomic_fetch_add(&gpu->allocations, 1);
}

static tagmask_status bind_memory(tm_gpu *gpu, tm_buffer *buffer, tm_error *err) {
    VkMemoryRequirements needs;
    gpu->vk.vkGetBufferMemoryRequirements(gpu->device, buffer->handle, &needs);
    pthread_mutex_lock(&gpu->memory_lock);
    tagmask_status status = take_memory(gpu, buffer, &needs, err);
    pthread_mutex_unlock(&gpu->memory_lock);
    if (status) return status;
    count_bytes(gpu, buffer->block_size);
    VkResult result =
        gpu->vk.vkBindBufferMemory(gpu->device, buffer->handle, buffer->block->memory, buffer->block_offset);
    if (result != VK_SUCCESS) return tm_vk_fail(gpu, err, result, "binding a buffer to its memory");
    // Without unified memory transfers take the way that discrete GPUs need, even where the host could reach further.
    bool reachable = buffer->kind != TM_MEMORY_DEVICE || gpu->physical.info.unified_memory;
    if (buffer->block->mapped && reachable) buffer->mapped = buffer->block->mapped + buffer->block_offset;
    buffer->cached = gpu->pools[buffer->kind].flags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    return TAGMASK_OK;
}

static void buffer_free(tm_buffer *buffer) {
    tm_gpu *gpu = buffer->gpu;
    for (size_t i = 0; i < buffer->view_capacity; i++) {
        if (buffer->views[i].handle) gpu->vk.vkDestroyBufferView(gpu->device, buffer->views[i].handle, NULL);
    }
    gpu->vk.vkDestroyBuffer(gpu->device, buffer->handle, NULL);
    if (buffer->block) {
        pthread_mutex_lock(&gpu->memory_lock);
        give_memory(gpu, buffer);
        pthread_mutex_unlock(&gpu->memory_lock);
        atomic_fetch_sub(&gpu->bytes_now, buffer->block_size);
        atomic_fetch_sub(&gpu->allocations, 1);
    }
    free(buffer->views);
    free(buffer);
}

tagmask_status tm_buffer_create(tm_gpu *gpu, uint64_t size, tm_memory memory, tm_buffer **out, tm_error *err) {
    // Far above any device; below it sums of sizes cannot overflow.
    if (!size || size > (uint64_t)1 << 48) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "a buffer of %llu bytes was asked for, expected 1 to 2^48",
                       (unsigned long long)size);
    }
    if (tm_fault_strikes(TM_FAULT_ALLOCATION))
        return tm_vk_fail(gpu, err, VK_ERROR_OUT_OF_DEVICE_MEMORY, "allocating a buffer");
    if (size > gpu->memory.memoryHeaps[gpu->pools[memory].heap].size) {
        return tm_fail(err, TAGMASK_ERROR_DEVICE_MEMORY,
                       "%.1f MiB of memory are needed on %s, whose memory has %.1f MiB; use a smaller input (the "
                       "preset fast, a smaller working size) or another device",
                       (double)size / 1048576, gpu->physical.info.name,
                       (double)gpu->memory.memoryHeaps[gpu->pools[memory].heap].size / 1048576);
    }
    tm_buffer *buffer = tm_calloc(1, sizeof *buffer);
    if (!buffer) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory to describe a buffer");
    buffer->gpu = gpu;
    buffer->size = size;
    buffer->kind = memory;
    VkResult result = create_handle(gpu, size, &buffer->handle);
    if (result != VK_SUCCESS) {
        free(buffer);
        return tm_vk_fail(gpu, err, result, "making a buffer");
    }
    tagmask_status status = bind_memory(gpu, buffer, err);
    if (status) {
        buffer_free(buffer);
        return status;
    }
    *out = buffer;
    return TAGMASK_OK;
}

void tm_buffer_destroy(tm_buffer *buffer) {
    if (!buffer) return;
    tm_gpu *gpu = buffer->gpu;
    if (atomic_load(&gpu->hung)) {  // the device may still work on it
        pthread_mutex_lock(&gpu->memory_lock);
        buffer->next_doomed = gpu->doomed;
        gpu->doomed = buffer;
        pthread_mutex_unlock(&gpu->memory_lock);
        return;
    }
    buffer_free(buffer);
}

void tm_memory_free(tm_gpu *gpu) {
    while (gpu->doomed) {
        tm_buffer *next = gpu->doomed->next_doomed;
        buffer_free(gpu->doomed);
        gpu->doomed = next;
    }
    for (int kind = 0; kind < TM_MEMORY_KINDS; kind++) {
        while (gpu->pools[kind].blocks) {
            tm_block *next = gpu->pools[kind].blocks->next;
            block_free(gpu, gpu->pools[kind].blocks);
            gpu->pools[kind].blocks = next;
        }
    }
}

uint64_t tm_buffer_size(const tm_buffer *buffer) {
    return buffer->size;
}

void *tm_buffer_mapped(tm_buffer *buffer) {
    return buffer->kind == TM_MEMORY_DEVICE ? NULL : buffer->mapped;
}

// ---- Views

static tm_view *view_slot(tm_view *views, size_t capacity, const tm_view *key) {
    size_t at = (size_t)((key->offset / TM_FLOAT_TEXEL * 0x9e3779b97f4a7c15u ^ key->range * 0xc2b2ae3d27d4eb4fu ^
                          (uint64_t)key->format) >>
                         20);
    for (at &= capacity - 1; views[at].handle; at = (at + 1) & (capacity - 1)) {
        if (views[at].offset == key->offset && views[at].range == key->range && views[at].format == key->format) break;
    }
    return &views[at];
}

static bool grow_views(tm_buffer *buffer) {
    size_t capacity = buffer->view_capacity ? 2 * buffer->view_capacity : 8;
    tm_view *views = tm_calloc(capacity, sizeof *views);
    if (!views) return false;
    for (size_t i = 0; i < buffer->view_capacity; i++) {
        if (buffer->views[i].handle) *view_slot(views, capacity, &buffer->views[i]) = buffer->views[i];
    }
    free(buffer->views);
    buffer->views = views;
    buffer->view_capacity = capacity;
    return true;
}

tagmask_status tm_buffer_view(tm_buffer *buffer, uint64_t offset, uint64_t size, VkFormat format, VkBufferView *view,
                              tm_error *err) {
    tm_gpu *gpu = buffer->gpu;
    uint64_t texel = format == VK_FORMAT_R32G32_UINT ? TM_HALF_TEXEL : TM_FLOAT_TEXEL;
    tm_view key = {.offset = offset, .range = tm_align_up(size, texel), .format = format};
    if (key.range / texel > gpu->physical.info.max_texel_elements) {
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "a texel buffer of %llu texels is bound, but %s allows %llu: bind a shorter slice",
                       (unsigned long long)(key.range / texel), gpu->physical.info.name,
                       (unsigned long long)gpu->physical.info.max_texel_elements);
    }
    tagmask_status status = TAGMASK_OK;
    pthread_mutex_lock(&gpu->memory_lock);
    if (2 * (buffer->view_count + 1) > buffer->view_capacity && !grow_views(buffer)) {
        status = tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory to describe a buffer view");
        goto done;
    }
    tm_view *slot = view_slot(buffer->views, buffer->view_capacity, &key);
    if (!slot->handle) {
        VkBufferViewCreateInfo create = {.sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
                                         .buffer = buffer->handle,
                                         .format = format,
                                         .offset = key.offset,
                                         .range = key.range};
        VkResult result = gpu->vk.vkCreateBufferView(gpu->device, &create, NULL, &key.handle);
        if (result != VK_SUCCESS) {
            status = tm_vk_fail(gpu, err, result, "making a buffer view");
            goto done;
        }
        *slot = key;
        buffer->view_count++;
    }
    *view = slot->handle;
done:
    pthread_mutex_unlock(&gpu->memory_lock);
    return status;
}
