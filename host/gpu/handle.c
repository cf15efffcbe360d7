#include "gpu/handle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool fill_info(const tm_gpu_info *from, tagmask_device_info *info) {
    static const char *const classes[] = {"gpu", "lavapipe", "swiftshader"};
    tagmask_device_info made = {.struct_size = sizeof made, .index = from->index, .memory_bytes = from->device_memory};
    snprintf(made.name, sizeof made.name, "%s", from->name);
    snprintf(made.driver, sizeof made.driver, "%s", from->driver);
    snprintf(made.type, sizeof made.type, "%s", from->type);
    snprintf(made.kernels, sizeof made.kernels, "%s", classes[from->gpu_class]);
    made.api_major = (from->api_version >> 22) & 0x7f;
    made.api_minor = (from->api_version >> 12) & 0x3ff;
    made.api_patch = from->api_version & 0xfff;
    return tm_struct_write(info, &made, sizeof made);
}

tagmask_status tagmask_devices(tagmask_device_info *infos, size_t capacity, size_t *count, tagmask_error *error) {
    if (!count || (!infos && capacity))
        return tm_fail(error, TAGMASK_ERROR_ARGUMENT, "tagmask_devices needs count, and infos when capacity is not 0");
    tm_gpu_info *list = NULL;
    size_t found = 0;
    TM_TRY(tm_gpu_list(&list, &found, error));
    size_t filled = 0, wanted = TM_MIN(found, capacity);
    while (filled < wanted && fill_info(&list[filled], &infos[filled])) filled++;
    free(list);
    if (filled < wanted)
        return tm_fail(error, TAGMASK_ERROR_ARGUMENT, "tagmask_devices: struct_size of entry %zu is not set", filled);
    *count = found;
    return TAGMASK_OK;
}

tagmask_status tagmask_device_open(const char *selector, tagmask_device **device, tagmask_error *error) {
    if (!device) return tm_fail(error, TAGMASK_ERROR_ARGUMENT, "tagmask_device_open needs device");
    tagmask_device *made = tm_calloc(1, sizeof *made);
    if (!made) return tm_fail(error, TAGMASK_ERROR_MEMORY, "no memory for a device handle");
    tagmask_status status = tm_gpu_open(selector, &made->gpu, error);
    if (status) {
        free(made);
        return status;
    }
    pthread_mutex_init(&made->lock, NULL);
    *device = made;
    return TAGMASK_OK;
}

void tagmask_device_close(tagmask_device *device) {
    if (!device) return;
    tm_gpu_close(device->gpu);
    pthread_mutex_destroy(&device->lock);
    free(device);
}

tagmask_status tagmask_device_get_info(const tagmask_device *device, tagmask_device_info *info) {
    if (!device || !info) return TAGMASK_ERROR_ARGUMENT;
    return fill_info(tm_gpu_get_info(device->gpu), info) ? TAGMASK_OK : TAGMASK_ERROR_ARGUMENT;
}

tagmask_status tagmask_device_get_stats(const tagmask_device *device, tagmask_device_stats *stats) {
    if (!device || !stats) return TAGMASK_ERROR_ARGUMENT;
    tm_gpu_stats from = tm_gpu_get_stats(device->gpu);
    tagmask_device_stats made = {.struct_size = sizeof made,
                                 .memory_now = from.bytes_now,
                                 .memory_peak = from.bytes_peak,
                                 .allocations = from.allocations,
                                 .dispatches = from.dispatches,
                                 .submits = from.submits,
                                 .pipelines = from.pipelines_created,
                                 .pipeline_ms = from.pipeline_ms,
                                 .validation_errors = tm_gpu_validation_errors(device->gpu),
                                 .longest_submit_ms = from.longest_submit_ms};
    return tm_struct_write(stats, &made, sizeof made) ? TAGMASK_OK : TAGMASK_ERROR_ARGUMENT;
}
