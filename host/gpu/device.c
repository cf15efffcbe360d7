// tm_gpu: the logical device and its statistics.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/internal.h"
#include "gpu/tune.h"

static const char *reason_of(VkResult result) {
    switch (result) {
        case VK_ERROR_OUT_OF_HOST_MEMORY:
            return "the host's memory is exhausted";
        case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        case VK_ERROR_OUT_OF_POOL_MEMORY:
            return "the device's memory is exhausted; use a smaller input (the preset fast, a smaller working size) or "
                   "another device";
        case VK_ERROR_DEVICE_LOST:
            return "the device was lost (driver reset, watchdog or unplugged); open it again";
        case VK_TIMEOUT:
            return "the device did not answer in time; choose another device or raise TAGMASK_TIMEOUT (ms)";
        case VK_ERROR_INITIALIZATION_FAILED:
            return "the driver could not be initialized";
        case VK_ERROR_TOO_MANY_OBJECTS:
            return "too many objects of this kind exist";
        default:
            return "the driver reported a failure";
    }
}

static tagmask_status status_of(VkResult result) {
    switch (result) {
        case VK_ERROR_OUT_OF_HOST_MEMORY:
            return TAGMASK_ERROR_MEMORY;
        case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        case VK_ERROR_OUT_OF_POOL_MEMORY:
        case VK_ERROR_TOO_MANY_OBJECTS:
            return TAGMASK_ERROR_DEVICE_MEMORY;
        case VK_TIMEOUT:
            return TAGMASK_ERROR_TIMEOUT;
        case VK_ERROR_DEVICE_LOST:
            return TAGMASK_ERROR_DEVICE_LOST;
        default:
            return TAGMASK_ERROR_INTERNAL;
    }
}

tagmask_status tm_vk_fail(tm_gpu *gpu, tm_error *err, VkResult result, const char *doing) {
    if (result == VK_ERROR_DEVICE_LOST) atomic_store(&gpu->lost, true);
    return tm_fail(err, status_of(result), "%s on %s: %s (VkResult %d)", doing, gpu->physical.info.name,
                   reason_of(result), (int)result);
}

static void log_device(const tm_gpu_info *info) {
    static const char *const classes[] = {"gpu", "lavapipe", "swiftshader"};
    tm_log(TAGMASK_LOG_INFO, "device %u: %s (%s, %s, Vulkan %u.%u.%u, %llu MiB), %s kernels, subgroup %u%s%s%s%s%s%s%s",
           info->index, info->name, info->type, info->driver, VK_API_VERSION_MAJOR(info->api_version),
           VK_API_VERSION_MINOR(info->api_version), VK_API_VERSION_PATCH(info->api_version),
           (unsigned long long)(info->device_memory >> 20), classes[info->gpu_class], info->subgroup_size,
           info->unified_memory ? ", unified memory" : "", info->fp16_storage ? ", fp16 storage" : "",
           info->fp16_arithmetic ? ", fp16 arithmetic" : "", info->int8_storage ? ", int8 storage" : "",
           info->memory_budget ? ", memory budget" : "", info->cooperative_matrix ? ", cooperative matrices" : "",
           info->timestamps ? ", timestamps" : "");
}

static VkResult create_device(tm_gpu *gpu) {
    const tm_physical *physical = &gpu->physical;
    const tm_gpu_info *info = &physical->info;
    const char *extensions[8];
    uint32_t count = 0;
    VkPhysicalDeviceCooperativeMatrixFeaturesNV cooperative = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_NV, .cooperativeMatrix = VK_TRUE};
    VkPhysicalDevice8BitStorageFeatures storage8 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES,
                                                    .storageBuffer8BitAccess = VK_TRUE};
    VkPhysicalDeviceShaderFloat16Int8Features float16 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES, .shaderFloat16 = VK_TRUE};
    VkPhysicalDevice16BitStorageFeatures storage16 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES,
                                                      .storageBuffer16BitAccess = VK_TRUE};
    void *chain = NULL;
    if (info->cooperative_matrix) {
        extensions[count++] = VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME;
        cooperative.pNext = chain;
        chain = &cooperative;
    }
    if (info->int8_storage) {
        extensions[count++] = VK_KHR_8BIT_STORAGE_EXTENSION_NAME;
        storage8.pNext = chain;
        chain = &storage8;
    }
    if (info->fp16_arithmetic) {
        extensions[count++] = VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME;
        float16.pNext = chain;
        chain = &float16;
    }
    if (info->fp16_storage) {
        storage16.pNext = chain;
        chain = &storage16;
    }
    if (info->memory_budget) extensions[count++] = VK_EXT_MEMORY_BUDGET_EXTENSION_NAME;
    const float priority = 0.5f;
    VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                     .queueFamilyIndex = physical->queue_family,
                                     .queueCount = 1,
                                     .pQueuePriorities = &priority};
    VkDeviceCreateInfo create = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                 .pNext = chain,
                                 .queueCreateInfoCount = 1,
                                 .pQueueCreateInfos = &queue,
                                 .enabledExtensionCount = count,
                                 .ppEnabledExtensionNames = extensions};
    return vkCreateDevice(physical->handle, &create, NULL, &gpu->device);
}

static uint64_t number_from_environment(const char *name, uint64_t otherwise, uint64_t largest) {
    const char *text = getenv(name);
    if (!text || !*text) return otherwise;
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (*end || !value || value > largest || text[0] == '-') {
        tm_log(TAGMASK_LOG_WARNING, "%s=%s is ignored: expected a whole number from 1 to %llu", name, text,
               (unsigned long long)largest);
        return otherwise;
    }
    return value;
}

static void init_plain_members(tm_gpu *gpu) {
    tm_pace_init(gpu, 1e-3 * (double)number_from_environment("TAGMASK_SUBMIT_US", 100000, 1000000000));
    gpu->memory_limit = number_from_environment("TAGMASK_MEMORY_LIMIT", 0, UINT64_MAX >> 20) << 20;
    gpu->timeout_ns = number_from_environment("TAGMASK_TIMEOUT", 120000, 1000000000) * 1000000;
    tm_gpu_info *info = &gpu->physical.info;
    uint64_t range = number_from_environment("TAGMASK_STORAGE_RANGE", info->max_storage_range, UINT64_MAX);
    info->max_storage_range = TM_MIN(info->max_storage_range, TM_MAX(range / 16 * 16, (uint64_t)256));
    uint64_t alignment = number_from_environment("TAGMASK_BUFFER_ALIGNMENT", 1, 4096);
    // A multiple of the device's own, which is a power of two.
    info->buffer_alignment = tm_align_up(TM_MAX(alignment, info->buffer_alignment), info->buffer_alignment);
    const char *profile = getenv("TAGMASK_PROFILE");
    tm_gpu_profile(gpu, profile && *profile && strcmp(profile, "0") != 0);
    pthread_mutex_init(&gpu->memory_lock, NULL);
    pthread_mutex_init(&gpu->pipeline_lock, NULL);
    pthread_mutex_init(&gpu->queue_lock, NULL);
    pthread_mutex_init(&gpu->recorder_lock, NULL);
    pthread_cond_init(&gpu->pipeline_done, NULL);
}

tagmask_status tm_gpu_open(const char *selector, tm_gpu **out, tm_error *err) {
    tm_physical *list = NULL;
    size_t count = 0, chosen = 0;
    tm_gpu *gpu = tm_calloc(1, sizeof *gpu);
    if (!gpu) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory to open a device");
    tm_fault_read_environment();
    tagmask_status status = tm_instance_create(&gpu->instance, err);
    if (!status) status = tm_physical_list(gpu->instance, &list, &count, err);
    if (!status) status = tm_physical_select(list, count, selector, &chosen, err);
    if (status) goto fail;
    gpu->physical = list[chosen];
    init_plain_members(gpu);
    VkResult result = create_device(gpu);
    if (result != VK_SUCCESS) {
        gpu->device = VK_NULL_HANDLE;
        status = tm_vk_fail(gpu, err, result, "opening a logical device");
        goto fail;
    }
    volkLoadDeviceTable(&gpu->vk, gpu->device);
    gpu->vk.vkGetDeviceQueue(gpu->device, gpu->physical.queue_family, 0, &gpu->queue);
    status = tm_memory_init(gpu, err);
    if (!status) status = tm_pipelines_init(gpu, err);
    if (!status) status = tm_tune_open(gpu, err);
    if (status) goto fail;
    log_device(&gpu->physical.info);
    free(list);
    *out = gpu;
    return TAGMASK_OK;
fail:
    free(list);
    tm_gpu_close(gpu);
    return status;
}

void tm_gpu_close(tm_gpu *gpu) {
    if (!gpu) return;
    if (gpu->device) {
        gpu->vk.vkDeviceWaitIdle(gpu->device);
        tm_profile_log(gpu);
        tm_recorder_free_all(gpu);
        tm_tune_close(gpu);
        tm_pipelines_free(gpu);
        tm_memory_free(gpu);
        gpu->vk.vkDestroyDevice(gpu->device, NULL);
    }
    if (gpu->physical.handle) {
        pthread_mutex_destroy(&gpu->memory_lock);
        pthread_mutex_destroy(&gpu->pipeline_lock);
        pthread_mutex_destroy(&gpu->queue_lock);
        pthread_mutex_destroy(&gpu->recorder_lock);
        pthread_cond_destroy(&gpu->pipeline_done);
    }
    tm_instance_destroy(gpu->instance);
    free(gpu->profile.rows);
    free(gpu);
}

const tm_gpu_info *tm_gpu_get_info(const tm_gpu *gpu) {
    return &gpu->physical.info;
}

tm_gpu_stats tm_gpu_get_stats(const tm_gpu *gpu) {
    tm_gpu *unlocked = (tm_gpu *)gpu;  // the lock is no part of what the caller sees
    pthread_mutex_lock(&unlocked->pipeline_lock);
    double pipeline_ms = gpu->pipeline_ms;
    pthread_mutex_unlock(&unlocked->pipeline_lock);
    pthread_mutex_lock(&unlocked->recorder_lock);
    double longest_submit_ms = gpu->longest_submit_ms;
    pthread_mutex_unlock(&unlocked->recorder_lock);
    tm_gpu_stats stats = {.bytes_now = atomic_load(&gpu->bytes_now),
                          .bytes_peak = atomic_load(&gpu->bytes_peak),
                          .allocations = atomic_load(&gpu->allocations),
                          .dispatches = atomic_load(&gpu->dispatches),
                          .submits = atomic_load(&gpu->submits),
                          .barriers = atomic_load(&gpu->barriers),
                          .pipelines_created = atomic_load(&gpu->pipelines_created),
                          .pipeline_ms = pipeline_ms,
                          .readbacks = atomic_load(&gpu->readbacks),
                          .readback_bytes = atomic_load(&gpu->readback_bytes),
                          .longest_submit_ms = longest_submit_ms};
    return stats;
}

uint64_t tm_gpu_validation_errors(const tm_gpu *gpu) {
    return atomic_load(&gpu->instance->errors);
}

void tm_gpu_test_skip_barriers(tm_gpu *gpu, bool skip) {
    atomic_store(&gpu->skip_barriers, skip);
}
