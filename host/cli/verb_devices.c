#include <stdlib.h>

#include "cli/verbs.h"

static void print_device(const tagmask_device_info *info) {
    printf("%u: %s (%s)\n", info->index, info->name, info->type);
    printf("   driver %s, Vulkan %u.%u.%u, kernels %s, %.1f GiB of device memory\n", info->driver, info->api_major,
           info->api_minor, info->api_patch, info->kernels, (double)info->memory_bytes / (1u << 30));
}

static cli_exit run_devices(void *options, int argument_count, char **arguments) {
    (void)options;
    (void)argument_count;
    (void)arguments;
    tm_error err = TAGMASK_ERROR_INIT;
    size_t count = 0;
    if (tagmask_devices(NULL, 0, &count, &err) != TAGMASK_OK) return cli_fail(&err);
    tagmask_device_info *infos = tm_calloc(count, sizeof *infos);
    if (!infos) {
        cli_message("no memory for the list of devices");
        return CLI_FAILED;
    }
    for (size_t i = 0; i < count; i++) infos[i].struct_size = sizeof infos[i];
    size_t found = 0;
    tagmask_status status = tagmask_devices(infos, count, &found, &err);
    for (size_t i = 0; status == TAGMASK_OK && i < TM_MIN(found, count); i++) print_device(&infos[i]);
    free(infos);
    return status == TAGMASK_OK ? CLI_DONE : cli_fail(&err);
}

static const cli_option rows[] = {{0}};

const cli_verb cli_verb_devices = {
    .name = "devices",
    .arguments = "",
    .summary = "lists the Vulkan devices, the preferred one first",
    .details =
        "Order of preference: discrete, integrated and virtual GPUs, then CPUs. The number or a part of the name\n"
        "chooses a device for the other verbs: --device 1, --device llvmpipe, or the variable TAGMASK_DEVICE.",
    .options = rows,
    .run = run_devices,
};
