// The Vulkan loader, one VkInstance for each tm_gpu, messages of validation layers, and the choice of a device.
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/internal.h"

// Newer than any extension of this project needs; drivers of 1.1 take it too.
#define WANTED_API VK_API_VERSION_1_3
#ifdef _WIN32
#define NO_LOADER "(vulkan-1.dll): install the graphics card's driver, which brings it"
#define NEWER_LOADER "update the graphics card's driver"
#else
#define NO_LOADER "(libvulkan.so.1): install libvulkan1 and a driver, for example mesa-vulkan-drivers"
#define NEWER_LOADER "update libvulkan1"
#endif

static pthread_mutex_t loader_lock = PTHREAD_MUTEX_INITIALIZER;

static tagmask_status open_loader(tm_error *err) {
    static bool opened;
    pthread_mutex_lock(&loader_lock);
    if (!opened) opened = volkInitialize() == VK_SUCCESS;
    bool ok = opened;
    pthread_mutex_unlock(&loader_lock);
    if (!ok) {
        return tm_fail(err, TAGMASK_ERROR_NO_DEVICE, "there is no Vulkan loader on this machine " NO_LOADER);
    }
    uint32_t version = VK_API_VERSION_1_0;
    if (vkEnumerateInstanceVersion) vkEnumerateInstanceVersion(&version);
    if (version < VK_API_VERSION_1_1) {
        return tm_fail(err, TAGMASK_ERROR_NO_DEVICE,
                       "the Vulkan loader is of version 1.0, expected 1.1 or newer: " NEWER_LOADER);
    }
    return TAGMASK_OK;
}

// volk's instance-level pointers lead into the loader and serve every instance: they are set once, so that no thread
// reads them while another writes.
static void load_instance_functions(VkInstance instance) {
    static bool loaded;
    pthread_mutex_lock(&loader_lock);
    if (!loaded) volkLoadInstanceOnly(instance);
    loaded = true;
    pthread_mutex_unlock(&loader_lock);
}

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                 VkDebugUtilsMessageTypeFlagsEXT types,
                                                 const VkDebugUtilsMessengerCallbackDataEXT *data, void *user) {
    (void)types;
    tm_instance *instance = user;
    if (severity & VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT) {
        // The loader reports drivers that it cannot open (for hardware that is not there) as errors of its own.
        bool loader = data->pMessageIdName && strstr(data->pMessageIdName, "Loader Message");
        if (!loader) atomic_fetch_add(&instance->errors, 1);
        tm_log(loader ? TAGMASK_LOG_DEBUG : TAGMASK_LOG_ERROR, "Vulkan: %s", data->pMessage);
    } else {
        tm_log(TAGMASK_LOG_DEBUG, "Vulkan: %s", data->pMessage);
    }
    return VK_FALSE;
}

static bool is_set(const char *variable) {
    const char *value = getenv(variable);
    return value && *value && strcmp(value, "0") != 0;
}

static bool has_layer(const char *name) {
    uint32_t count = 0;
    VkLayerProperties *layers = NULL;
    bool found = false;
    if (vkEnumerateInstanceLayerProperties(&count, NULL) == VK_SUCCESS && (layers = tm_calloc(count, sizeof *layers)) &&
        vkEnumerateInstanceLayerProperties(&count, layers) >= VK_SUCCESS) {
        for (uint32_t i = 0; i < count; i++) found |= strcmp(layers[i].layerName, name) == 0;
    }
    free(layers);
    return found;
}

static bool has_instance_extension(const char *layer, const char *name) {
    uint32_t count = 0;
    VkExtensionProperties *extensions = NULL;
    bool found = false;
    if (vkEnumerateInstanceExtensionProperties(layer, &count, NULL) == VK_SUCCESS &&
        (extensions = tm_calloc(count, sizeof *extensions)) &&
        vkEnumerateInstanceExtensionProperties(layer, &count, extensions) >= VK_SUCCESS) {
        for (uint32_t i = 0; i < count; i++) found |= strcmp(extensions[i].extensionName, name) == 0;
    }
    free(extensions);
    return found;
}

#define VALIDATION_LAYER "VK_LAYER_KHRONOS_validation"

// The last instance is kept for the next device instead of being destroyed: drivers take tens of milliseconds to load,
// and lavapipe loses a little memory each time it is unloaded.
static tm_instance *idle_instance;

static tm_instance *take_idle(bool validate, bool messages) {
    pthread_mutex_lock(&loader_lock);
    tm_instance *instance = idle_instance;
    if (instance && (instance->validate != validate || instance->messages != messages)) instance = NULL;
    if (instance) idle_instance = NULL;
    pthread_mutex_unlock(&loader_lock);
    if (instance) atomic_store(&instance->errors, 0);
    return instance;
}

static VkResult create_handle(tm_instance *instance) {
    const bool validate = instance->validate, messages = instance->messages;
    static const VkValidationFeatureEnableEXT enabled[] = {VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
    VkDebugUtilsMessengerCreateInfoEXT messenger = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity =
            VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_GENERAL_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
        .pfnUserCallback = on_message,
        .pUserData = instance};
    VkValidationFeaturesEXT features = {.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
                                        .enabledValidationFeatureCount = TM_ARRAY_LEN(enabled),
                                        .pEnabledValidationFeatures = enabled};
    VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                     .pApplicationName = "tagmask",
                                     .pEngineName = "tagmask",
                                     .apiVersion = WANTED_API};
    const char *layers[] = {VALIDATION_LAYER};
    const char *extensions[2];
    uint32_t extension_count = 0;
    if (messages) extensions[extension_count++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    bool synchronization =
        validate && has_instance_extension(VALIDATION_LAYER, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME);
    if (synchronization) extensions[extension_count++] = VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME;
    VkInstanceCreateInfo create = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                   .pNext = synchronization ? &features : NULL,
                                   .pApplicationInfo = &application,
                                   .enabledLayerCount = validate ? 1 : 0,
                                   .ppEnabledLayerNames = layers,
                                   .enabledExtensionCount = extension_count,
                                   .ppEnabledExtensionNames = extensions};
    VkResult result = vkCreateInstance(&create, NULL, &instance->handle);
    if (result != VK_SUCCESS) return result;
    load_instance_functions(instance->handle);
    if (messages) {
        PFN_vkCreateDebugUtilsMessengerEXT create_messenger = (PFN_vkCreateDebugUtilsMessengerEXT)vkGetInstanceProcAddr(
            instance->handle, "vkCreateDebugUtilsMessengerEXT");
        if (create_messenger) create_messenger(instance->handle, &messenger, NULL, &instance->messenger);
        instance->begin_label =
            (PFN_vkCmdBeginDebugUtilsLabelEXT)vkGetInstanceProcAddr(instance->handle, "vkCmdBeginDebugUtilsLabelEXT");
        instance->end_label =
            (PFN_vkCmdEndDebugUtilsLabelEXT)vkGetInstanceProcAddr(instance->handle, "vkCmdEndDebugUtilsLabelEXT");
    }
    return VK_SUCCESS;
}

tagmask_status tm_instance_create(tm_instance **out, tm_error *err) {
    TM_TRY(open_loader(err));
    bool wanted = is_set("TAGMASK_VALIDATION"), validate = wanted && has_layer(VALIDATION_LAYER);
    if (wanted && !validate) {
        tm_log(TAGMASK_LOG_WARNING,
               "TAGMASK_VALIDATION is set but %s is not installed: install vulkan-validationlayers", VALIDATION_LAYER);
    }
    bool messages =
        (wanted || is_set("VK_INSTANCE_LAYERS")) && has_instance_extension(NULL, VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
    tm_instance *instance = take_idle(validate, messages);
    if (instance) {
        *out = instance;
        return TAGMASK_OK;
    }
    instance = tm_calloc(1, sizeof *instance);
    if (!instance) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for a Vulkan instance");
    instance->validate = validate;
    instance->messages = messages;
    VkResult result = create_handle(instance);
    if (result != VK_SUCCESS) {
        free(instance);
        if (result == VK_ERROR_OUT_OF_HOST_MEMORY)
            return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for a Vulkan instance");
        return tm_fail(err, TAGMASK_ERROR_NO_DEVICE,
                       "no Vulkan driver could be started (vkCreateInstance: %d): install a driver, for example "
                       "mesa-vulkan-drivers",
                       (int)result);
    }
    *out = instance;
    return TAGMASK_OK;
}

void tm_instance_destroy(tm_instance *instance) {
    if (!instance) return;
    pthread_mutex_lock(&loader_lock);
    bool keep = !idle_instance;
    if (keep) idle_instance = instance;
    pthread_mutex_unlock(&loader_lock);
    if (keep) return;
    if (instance->messenger) {
        PFN_vkDestroyDebugUtilsMessengerEXT destroy = (PFN_vkDestroyDebugUtilsMessengerEXT)vkGetInstanceProcAddr(
            instance->handle, "vkDestroyDebugUtilsMessengerEXT");
        if (destroy) destroy(instance->handle, instance->messenger, NULL);
    }
    vkDestroyInstance(instance->handle, NULL);
    free(instance);
}

// ---- The list of devices

static int preference(const tm_physical *physical) {
    static const char *const order[] = {"discrete", "integrated", "virtual", "cpu"};
    for (int i = 0; i < (int)TM_ARRAY_LEN(order); i++) {
        if (strcmp(physical->info.type, order[i]) == 0) return i;
    }
    return (int)TM_ARRAY_LEN(order);
}

// Insertion sort: few devices, and equal ones keep the loader's order.
static void sort_by_preference(tm_physical *list, size_t count) {
    for (size_t i = 1; i < count; i++) {
        tm_physical moved = list[i];
        size_t at = i;
        for (; at > 0 && preference(&list[at - 1]) > preference(&moved); at--) list[at] = list[at - 1];
        list[at] = moved;
    }
    for (size_t i = 0; i < count; i++) list[i].info.index = (uint32_t)i;
}

tagmask_status tm_physical_list(tm_instance *instance, tm_physical **out, size_t *out_count, tm_error *err) {
    uint32_t count = 0;
    VkPhysicalDevice *handles = NULL;
    tm_physical *list = NULL;
    tagmask_status status = TAGMASK_OK;
    VkResult result = vkEnumeratePhysicalDevices(instance->handle, &count, NULL);
    if (result == VK_SUCCESS && count) {
        handles = tm_calloc(count, sizeof *handles);
        list = tm_calloc(count, sizeof *list);
        if (!handles || !list) {
            status = tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the list of %u Vulkan devices", count);
            goto done;
        }
        // A device plugged in meanwhile gives VK_INCOMPLETE: those that fit are listed.
        result = vkEnumeratePhysicalDevices(instance->handle, &count, handles);
    }
    size_t usable = 0;
    for (uint32_t i = 0; result >= VK_SUCCESS && i < count; i++) usable += tm_physical_query(handles[i], &list[usable]);
    if (!usable) {
        status =
            tm_fail(err, TAGMASK_ERROR_NO_DEVICE,
                    "no Vulkan device with compute and version 1.1 or newer was found: install a driver, for example "
                    "mesa-vulkan-drivers, whose lavapipe runs on any processor");
        goto done;
    }
    sort_by_preference(list, usable);
    *out = list;
    *out_count = usable;
    list = NULL;
done:
    free(handles);
    free(list);
    return status;
}

static bool contains_ignoring_case(const char *text, const char *part) {
    size_t length = strlen(part);
    for (; *text; text++) {
        size_t i = 0;
        while (i < length && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i])) i++;
        if (i == length) return true;
    }
    return false;
}

tagmask_status tm_physical_select(const tm_physical *list, size_t count, const char *selector, size_t *chosen,
                                  tm_error *err) {
    if (!selector || !*selector) selector = getenv("TAGMASK_DEVICE");
    if (!selector || !*selector) {
        *chosen = 0;
        return TAGMASK_OK;
    }
    char *end;
    unsigned long index = strtoul(selector, &end, 10);
    if (isdigit((unsigned char)selector[0]) && *end == 0 && index < count) {
        *chosen = index;
        return TAGMASK_OK;
    }
    for (size_t i = 0; i < count; i++) {  // a number beyond the list may still be a name's part: "4090"
        if (contains_ignoring_case(list[i].info.name, selector)) {
            *chosen = i;
            return TAGMASK_OK;
        }
    }
    char names[700] = "";
    size_t used = 0;
    for (size_t i = 0; i < count && used < sizeof names; i++) {
        int wrote = snprintf(names + used, sizeof names - used, "%s%zu: %s", i ? "; " : "", i, list[i].info.name);
        used += wrote > 0 ? (size_t)wrote : 0;
    }
    return tm_fail(err, TAGMASK_ERROR_NO_DEVICE, "no Vulkan device matches \"%.80s\"; there is %s", selector, names);
}

tagmask_status tm_gpu_list(tm_gpu_info **out, size_t *out_count, tm_error *err) {
    tm_instance *instance = NULL;
    tm_physical *list = NULL;
    tm_gpu_info *infos = NULL;
    size_t count = 0;
    TM_TRY(tm_instance_create(&instance, err));
    tagmask_status status = tm_physical_list(instance, &list, &count, err);
    if (status) goto done;
    infos = tm_calloc(count, sizeof *infos);
    if (!infos) {
        status = tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the list of %zu Vulkan devices", count);
        goto done;
    }
    for (size_t i = 0; i < count; i++) infos[i] = list[i].info;
    *out = infos;
    *out_count = count;
done:
    free(list);
    tm_instance_destroy(instance);
    return status;
}
