// Instance, device, and what lives as long as they do.
#include "gpu.h"

#define GLFW_INCLUDE_NONE
#include <GLFW/glfw3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEVICES = 16, MAX_FAMILIES = 32, MAX_LAYERS = 64, MAX_TEXTURES = 64 };

#define VALIDATION_LAYER "VK_LAYER_KHRONOS_validation"

bool gpu_check(gpu *g, VkResult result, const char *what) {
    if (result == VK_SUCCESS) return true;
    const char *hint = "";
    if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY)
        hint = ": memory is exhausted; close other programs or open a smaller photo";
    if (result == VK_ERROR_DEVICE_LOST) hint = ": the device stopped working; start the viewer again";
    snprintf(g->why, sizeof g->why, "%s failed (VkResult %d)%s", what, (int)result, hint);
    return false;
}

static bool fail(gpu *g, const char *sentence) {
    snprintf(g->why, sizeof g->why, "%s", sentence);
    return false;
}

// ---- Instance

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                 VkDebugUtilsMessageTypeFlagsEXT types,
                                                 const VkDebugUtilsMessengerCallbackDataEXT *data, void *user) {
    (void)severity, (void)types;
    gpu *g = user;
    // The loader reports drivers for hardware that is not there as errors of its own.
    if (data->pMessageIdName && strstr(data->pMessageIdName, "Loader Message")) return VK_FALSE;
    g->validation_errors++;
    fprintf(stderr, "tagmask-viewer: Vulkan: %s\n", data->pMessage);
    return VK_FALSE;
}

static bool wants_validation(void) {
    const char *value = getenv("TAGMASK_VALIDATION");
    VkLayerProperties layers[MAX_LAYERS];
    uint32_t count = MAX_LAYERS;
    bool found = false;
    if (!value || !*value || !strcmp(value, "0")) return false;
    if (vkEnumerateInstanceLayerProperties(&count, layers) < VK_SUCCESS) count = 0;
    for (uint32_t i = 0; i < count; i++) found |= !strcmp(layers[i].layerName, VALIDATION_LAYER);
    if (!found) fputs("tagmask-viewer: TAGMASK_VALIDATION is set, but " VALIDATION_LAYER " is not installed\n", stderr);
    return found;
}

static bool open_instance(gpu *g) {
    uint32_t count = 0;
    const char *layers[] = {VALIDATION_LAYER}, *extensions[8];
    const char **needed = glfwGetRequiredInstanceExtensions(&count);
    if (!needed || count > 6) {
        return fail(g,
                    "no Vulkan driver on this machine can show a window: install one, for example "
                    "mesa-vulkan-drivers");
    }
    bool validate = wants_validation();
    memcpy(extensions, needed, count * sizeof *needed);
    if (validate) extensions[count++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    VkDebugUtilsMessengerCreateInfoEXT messages = {.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
                                                   .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT |
                                                                      VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT,
                                                   .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
                                                   .pfnUserCallback = on_message,
                                                   .pUserData = g};
    VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                     .pApplicationName = "tagmask-viewer",
                                     .apiVersion = VK_API_VERSION_1_1};
    VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                 .pNext = validate ? &messages : NULL,
                                 .pApplicationInfo = &application,
                                 .enabledLayerCount = validate,
                                 .ppEnabledLayerNames = layers,
                                 .enabledExtensionCount = count,
                                 .ppEnabledExtensionNames = extensions};
    if (!gpu_check(g, vkCreateInstance(&info, NULL, &g->instance), "vkCreateInstance")) return false;
    PFN_vkCreateDebugUtilsMessengerEXT create =
        (PFN_vkCreateDebugUtilsMessengerEXT)vkGetInstanceProcAddr(g->instance, "vkCreateDebugUtilsMessengerEXT");
    if (validate && create) create(g->instance, &messages, NULL, &g->messenger);
    return true;
}

// ---- Device

// A queue family that draws and shows; -1: none.
static int family_of(gpu *g, VkPhysicalDevice physical) {
    VkQueueFamilyProperties families[MAX_FAMILIES];
    uint32_t count = MAX_FAMILIES;
    vkGetPhysicalDeviceQueueFamilyProperties(physical, &count, families);
    for (uint32_t i = 0; i < count; i++) {
        VkBool32 shows = VK_FALSE;
        if (!(families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT)) continue;
        if (vkGetPhysicalDeviceSurfaceSupportKHR(physical, i, g->surface, &shows) == VK_SUCCESS && shows) return (int)i;
    }
    return -1;
}

static int rank_of(VkPhysicalDeviceType type) {
    static const int ranks[] = {[VK_PHYSICAL_DEVICE_TYPE_OTHER] = 1,
                                [VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU] = 4,
                                [VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU] = 5,
                                [VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU] = 3,
                                [VK_PHYSICAL_DEVICE_TYPE_CPU] = 2};
    return (size_t)type < sizeof ranks / sizeof ranks[0] ? ranks[type] : 1;
}

static bool choose_device(gpu *g) {
    VkPhysicalDevice devices[MAX_DEVICES];
    uint32_t count = MAX_DEVICES;
    int best = 0;
    if (vkEnumeratePhysicalDevices(g->instance, &count, devices) < VK_SUCCESS) count = 0;
    for (uint32_t i = 0; i < count; i++) {
        VkPhysicalDeviceProperties properties;
        vkGetPhysicalDeviceProperties(devices[i], &properties);
        int family = family_of(g, devices[i]), rank = rank_of(properties.deviceType);
        if (family < 0 || rank <= best) continue;
        best = rank;
        g->physical = devices[i];
        g->family = (uint32_t)family;
        g->max_side = properties.limits.maxImageDimension2D;
    }
    return best || fail(g,
                        "no Vulkan device of this machine can show a picture on this display: use a local display, "
                        "or install mesa-vulkan-drivers");
}

static bool open_device(gpu *g) {
    float priority = 1;
    const char *extensions[] = {VK_KHR_SWAPCHAIN_EXTENSION_NAME};
    VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                     .queueFamilyIndex = g->family,
                                     .queueCount = 1,
                                     .pQueuePriorities = &priority};
    VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                               .queueCreateInfoCount = 1,
                               .pQueueCreateInfos = &queue,
                               .enabledExtensionCount = 1,
                               .ppEnabledExtensionNames = extensions};
    if (!gpu_check(g, vkCreateDevice(g->physical, &info, NULL, &g->device), "vkCreateDevice")) return false;
    vkGetDeviceQueue(g->device, g->family, 0, &g->queue);
    vkGetPhysicalDeviceMemoryProperties(g->physical, &g->memory);
    return true;
}

static bool open_frames(gpu *g) {
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                    .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                    .queueFamilyIndex = g->family};
    VkSemaphoreCreateInfo semaphore = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO, .flags = VK_FENCE_CREATE_SIGNALED_BIT};
    if (!gpu_check(g, vkCreateCommandPool(g->device, &pool, NULL, &g->pool), "vkCreateCommandPool")) return false;
    for (uint32_t i = 0; i < GPU_FRAMES; i++) {
        gpu_frame *frame = &g->frames[i];
        VkCommandBufferAllocateInfo buffer = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                              .commandPool = g->pool,
                                              .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                              .commandBufferCount = 1};
        VkResult result = vkAllocateCommandBuffers(g->device, &buffer, &frame->commands);
        if (!result) result = vkCreateSemaphore(g->device, &semaphore, NULL, &frame->acquired);
        if (!result) result = vkCreateFence(g->device, &fence, NULL, &frame->done);
        if (!gpu_check(g, result, "preparing the frames")) return false;
    }
    return true;
}

static bool open_descriptors(gpu *g) {
    VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER, MAX_TEXTURES};
    VkDescriptorPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                       .flags = VK_DESCRIPTOR_POOL_CREATE_FREE_DESCRIPTOR_SET_BIT,
                                       .maxSets = MAX_TEXTURES,
                                       .poolSizeCount = 1,
                                       .pPoolSizes = &size};
    VkSamplerCreateInfo sampler = {.sType = VK_STRUCTURE_TYPE_SAMPLER_CREATE_INFO,
                                   .magFilter = VK_FILTER_LINEAR,
                                   .minFilter = VK_FILTER_LINEAR,
                                   .mipmapMode = VK_SAMPLER_MIPMAP_MODE_LINEAR,
                                   .addressModeU = VK_SAMPLER_ADDRESS_MODE_CLAMP_TO_EDGE,
                                   .addressModeV = VK_SAMPLER_ADDRESS_MODE_CLAMP_TO_EDGE,
                                   .addressModeW = VK_SAMPLER_ADDRESS_MODE_CLAMP_TO_EDGE,
                                   .maxLod = VK_LOD_CLAMP_NONE};
    VkResult result = vkCreateDescriptorPool(g->device, &pool, NULL, &g->descriptors);
    if (!result) result = vkCreateSampler(g->device, &sampler, NULL, &g->sampler);
    return gpu_check(g, result, "preparing the textures");
}

gpu_opened gpu_open(gpu *g, GLFWwindow *window) {
    *g = (gpu){.window = window, .stale = true};
    if (!glfwVulkanSupported()) {
        fail(g,
             "there is no Vulkan loader or driver on this machine: install libvulkan1 and a driver, for example "
             "mesa-vulkan-drivers");
        return GPU_OPEN_NO_DRIVER;
    }
    if (!open_instance(g)) return GPU_OPEN_NO_DRIVER;
    VkResult result = glfwCreateWindowSurface(g->instance, window, NULL, &g->surface);
    if (!gpu_check(g, result, "making a Vulkan surface of the window")) return GPU_OPEN_NO_DRIVER;
    if (!choose_device(g)) return GPU_OPEN_NO_DRIVER;
    bool ok = open_device(g) && open_frames(g) && open_descriptors(g) && gpu_swapchain_open(g) && gpu_quads_open(g);
    return ok ? GPU_OPEN_OK : GPU_OPEN_FAILED;
}

void gpu_close(gpu *g) {
    if (g->device) {
        vkDeviceWaitIdle(g->device);
        gpu_quads_close(g);
        gpu_swapchain_close(g);
        vkDestroySampler(g->device, g->sampler, NULL);
        vkDestroyDescriptorPool(g->device, g->descriptors, NULL);
        for (uint32_t i = 0; i < GPU_FRAMES; i++) {
            vkDestroySemaphore(g->device, g->frames[i].acquired, NULL);
            vkDestroyFence(g->device, g->frames[i].done, NULL);
        }
        vkDestroyCommandPool(g->device, g->pool, NULL);
        vkDestroyDevice(g->device, NULL);
    }
    if (!g->instance) return;
    PFN_vkDestroyDebugUtilsMessengerEXT destroy =
        (PFN_vkDestroyDebugUtilsMessengerEXT)vkGetInstanceProcAddr(g->instance, "vkDestroyDebugUtilsMessengerEXT");
    if (g->messenger && destroy) destroy(g->instance, g->messenger, NULL);
    vkDestroySurfaceKHR(g->instance, g->surface, NULL);
    vkDestroyInstance(g->instance, NULL);
}

// ---- Commands outside of a frame

VkCommandBuffer gpu_begin_once(gpu *g) {
    VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                        .commandPool = g->pool,
                                        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                        .commandBufferCount = 1};
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                      .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    VkCommandBuffer commands = VK_NULL_HANDLE;
    VkResult result = vkAllocateCommandBuffers(g->device, &info, &commands);
    if (!result) result = vkBeginCommandBuffer(commands, &begin);
    return gpu_check(g, result, "vkBeginCommandBuffer") ? commands : VK_NULL_HANDLE;
}

bool gpu_end_once(gpu *g, VkCommandBuffer commands) {
    VkSubmitInfo submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &commands};
    VkResult result = vkEndCommandBuffer(commands);
    if (!result) result = vkQueueSubmit(g->queue, 1, &submit, VK_NULL_HANDLE);
    if (!result) result = vkQueueWaitIdle(g->queue);
    vkFreeCommandBuffers(g->device, g->pool, 1, &commands);
    return gpu_check(g, result, "vkQueueSubmit");
}
