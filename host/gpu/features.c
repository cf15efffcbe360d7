// What a device offers, and which kernels suit it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gpu/internal.h"

bool tm_feature_disabled(const char *name) {
    const char *at = getenv("TAGMASK_DISABLE");
    size_t length = strlen(name);
    while (at && *at) {
        size_t word = strcspn(at, ", ");
        if (word == length && strncasecmp(at, name, length) == 0) return true;
        at += word;
        at += strspn(at, ", ");
    }
    return false;
}

static const char *type_name(VkPhysicalDeviceType type) {
    switch (type) {
        case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
            return "discrete";
        case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
            return "integrated";
        case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
            return "virtual";
        case VK_PHYSICAL_DEVICE_TYPE_CPU:
            return "cpu";
        default:
            return "other";
    }
}

static tm_gpu_class choose_class(VkDriverId driver) {
    static const struct {
        const char *name;
        tm_gpu_class gpu_class;
    } names[] = {
        {"gpu", TM_GPU_CLASS_GPU}, {"lavapipe", TM_GPU_CLASS_LAVAPIPE}, {"swiftshader", TM_GPU_CLASS_SWIFTSHADER}};
    const char *wanted = getenv("TAGMASK_GPU_CLASS");
    if (wanted && *wanted) {
        for (size_t i = 0; i < TM_ARRAY_LEN(names); i++) {
            if (strcasecmp(wanted, names[i].name) == 0) return names[i].gpu_class;
        }
        tm_log(TAGMASK_LOG_WARNING, "TAGMASK_GPU_CLASS=%s is ignored: expected gpu, lavapipe or swiftshader", wanted);
    }
    if (driver == VK_DRIVER_ID_MESA_LLVMPIPE) return TM_GPU_CLASS_LAVAPIPE;
    if (driver == VK_DRIVER_ID_GOOGLE_SWIFTSHADER) return TM_GPU_CLASS_SWIFTSHADER;
    return TM_GPU_CLASS_GPU;
}

typedef struct extension_list {
    VkExtensionProperties *items;
    uint32_t count;
} extension_list;

static extension_list list_extensions(VkPhysicalDevice handle) {
    extension_list list = {NULL, 0};
    if (vkEnumerateDeviceExtensionProperties(handle, NULL, &list.count, NULL) != VK_SUCCESS) list.count = 0;
    list.items = tm_calloc(list.count, sizeof *list.items);
    if (!list.items || vkEnumerateDeviceExtensionProperties(handle, NULL, &list.count, list.items) < VK_SUCCESS)
        list.count = 0;
    return list;
}

static bool has_extension(const extension_list *list, const char *name) {
    for (uint32_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].extensionName, name) == 0) return true;
    }
    return false;
}

// A family without graphics keeps the user's desktop responsive while tagmask computes.
static bool choose_queue_family(VkPhysicalDevice handle, uint32_t *family, uint32_t *timestamp_bits) {
    VkQueueFamilyProperties families[32];
    uint32_t count = TM_ARRAY_LEN(families);
    int best = -1;
    vkGetPhysicalDeviceQueueFamilyProperties(handle, &count, families);
    for (uint32_t i = 0; i < count; i++) {
        if (!families[i].queueCount || !(families[i].queueFlags & VK_QUEUE_COMPUTE_BIT)) continue;
        if (best < 0 || (!(families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT) &&
                         (families[best].queueFlags & VK_QUEUE_GRAPHICS_BIT))) {
            best = (int)i;
        }
    }
    if (best < 0) return false;
    *family = (uint32_t)best;
    *timestamp_bits = families[best].timestampValidBits;
    return true;
}

static void query_limits(tm_physical *physical, const VkPhysicalDeviceLimits *limits, uint32_t timestamp_bits) {
    tm_gpu_info *info = &physical->info;
    info->max_storage_range = limits->maxStorageBufferRange;
    info->max_texel_elements = limits->maxTexelBufferElements;
    // At least the 16 bytes of an RGBA32F texel, so that a texel view never starts inside one.
    info->buffer_alignment =
        TM_MAX(16, TM_MAX(limits->minStorageBufferOffsetAlignment, limits->minTexelBufferOffsetAlignment));
    info->max_invocations = limits->maxComputeWorkGroupInvocations;
    memcpy(info->max_groups, limits->maxComputeWorkGroupCount, sizeof info->max_groups);
    memcpy(info->max_group_size, limits->maxComputeWorkGroupSize, sizeof info->max_group_size);
    info->shared_memory = limits->maxComputeSharedMemorySize;
    info->timestamps = timestamp_bits > 0 && limits->timestampPeriod > 0 && !tm_feature_disabled("timestamps");
    physical->timestamp_ns = limits->timestampPeriod;
    physical->timestamp_mask = timestamp_bits >= 64 ? UINT64_MAX : ((uint64_t)1 << timestamp_bits) - 1;
    physical->max_allocations = limits->maxMemoryAllocationCount;
    physical->max_push = limits->maxPushConstantsSize;
    physical->max_storage = TM_MIN(limits->maxPerStageDescriptorStorageBuffers, limits->maxDescriptorSetStorageBuffers);
    physical->max_texel = TM_MIN(limits->maxPerStageDescriptorSampledImages, limits->maxDescriptorSetSampledImages);
}

static void query_features(tm_physical *physical, const extension_list *extensions) {
    tm_gpu_info *info = &physical->info;
    physical->has_float16_int8 = has_extension(extensions, VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME);
    physical->has_8bit_storage = has_extension(extensions, VK_KHR_8BIT_STORAGE_EXTENSION_NAME);
    bool matrix = has_extension(extensions, VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME);
    VkPhysicalDeviceCooperativeMatrixFeaturesNV cooperative = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_NV};
    VkPhysicalDevice8BitStorageFeatures storage8 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES,
                                                    .pNext = matrix ? &cooperative : NULL};
    VkPhysicalDeviceShaderFloat16Int8Features float16 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES,
        .pNext = physical->has_8bit_storage ? (void *)&storage8 : storage8.pNext};
    VkPhysicalDevice16BitStorageFeatures storage16 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES,
        .pNext = physical->has_float16_int8 ? (void *)&float16 : float16.pNext};
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &storage16};
    vkGetPhysicalDeviceFeatures2(physical->handle, &features);
    bool fp16 = !tm_feature_disabled("fp16"), int8 = !tm_feature_disabled("int8");
    info->fp16_storage = fp16 && storage16.storageBuffer16BitAccess;
    info->fp16_arithmetic = fp16 && float16.shaderFloat16;
    info->int8_storage = int8 && storage8.storageBuffer8BitAccess;
    info->cooperative_matrix = !tm_feature_disabled("coopmat") && cooperative.cooperativeMatrix;
    info->memory_budget =
        !tm_feature_disabled("budget") && has_extension(extensions, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
}

static void query_formats(tm_physical *physical) {
    VkFormatProperties half;
    vkGetPhysicalDeviceFormatProperties(physical->handle, VK_FORMAT_R32G32_UINT, &half);
    physical->info.half_texels =
        !tm_feature_disabled("fp16") && half.bufferFeatures & VK_FORMAT_FEATURE_UNIFORM_TEXEL_BUFFER_BIT;
}

bool tm_gpu_by_texels(const tm_gpu_info *info, tm_slice slice, bool half) {
    if (info->gpu_class != TM_GPU_CLASS_LAVAPIPE || (half && !info->half_texels)) return false;
    uint64_t texel = half ? TM_HALF_TEXEL : TM_FLOAT_TEXEL;
    return (slice.size + texel - 1) / texel <= info->max_texel_elements;
}

static void query_memory(tm_physical *physical) {
    VkPhysicalDeviceMemoryProperties memory;
    vkGetPhysicalDeviceMemoryProperties(physical->handle, &memory);
    tm_gpu_info *info = &physical->info;
    for (uint32_t i = 0; i < memory.memoryHeapCount; i++) {
        if (memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT)
            info->device_memory = TM_MAX(info->device_memory, memory.memoryHeaps[i].size);
    }
    // A discrete GPU may show a window of its memory to the host, but that is not memory both reach at full speed.
    bool shared = strcmp(info->type, "integrated") == 0 || strcmp(info->type, "cpu") == 0;
    const VkMemoryPropertyFlags both = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                       VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    for (uint32_t i = 0; i < memory.memoryTypeCount; i++) {
        if (shared && (memory.memoryTypes[i].propertyFlags & both) == both) info->unified_memory = true;
    }
    if (tm_feature_disabled("unified")) info->unified_memory = false;
}

bool tm_physical_query(VkPhysicalDevice handle, tm_physical *physical) {
    memset(physical, 0, sizeof *physical);
    physical->handle = handle;
    VkPhysicalDeviceProperties basic;
    uint32_t timestamp_bits;
    vkGetPhysicalDeviceProperties(handle, &basic);
    if (basic.apiVersion < VK_API_VERSION_1_1) return false;
    if (!choose_queue_family(handle, &physical->queue_family, &timestamp_bits)) return false;

    extension_list extensions = list_extensions(handle);
    VkPhysicalDeviceDriverProperties driver = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES};
    bool has_driver =
        basic.apiVersion >= VK_API_VERSION_1_2 || has_extension(&extensions, VK_KHR_DRIVER_PROPERTIES_EXTENSION_NAME);
    VkPhysicalDeviceMaintenance3Properties maintenance = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES, .pNext = has_driver ? &driver : NULL};
    VkPhysicalDeviceSubgroupProperties subgroup = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES,
                                                   .pNext = &maintenance};
    VkPhysicalDeviceProperties2 properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                              .pNext = &subgroup};
    vkGetPhysicalDeviceProperties2(handle, &properties);

    tm_gpu_info *info = &physical->info;
    snprintf(info->name, sizeof info->name, "%s", basic.deviceName);
    if (has_driver && driver.driverName[0])
        snprintf(info->driver, sizeof info->driver, "%.120s %.120s", driver.driverName, driver.driverInfo);
    else
        snprintf(info->driver, sizeof info->driver, "driver version 0x%x", basic.driverVersion);
    info->type = type_name(basic.deviceType);
    info->gpu_class = choose_class(has_driver ? driver.driverID : 0);
    info->api_version = basic.apiVersion;
    info->subgroup_size = subgroup.subgroupSize;
    memcpy(info->cache_key, basic.pipelineCacheUUID, sizeof info->cache_key);
    physical->vendor_id = basic.vendorID;
    physical->device_id = basic.deviceID;
    physical->driver_version = basic.driverVersion;
    physical->max_allocation = maintenance.maxMemoryAllocationSize;
    physical->on_cpu = basic.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    query_limits(physical, &basic.limits, timestamp_bits);
    query_features(physical, &extensions);
    query_formats(physical);
    query_memory(physical);
    free(extensions.items);
    return true;
}
