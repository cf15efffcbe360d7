#include <stdlib.h>

#include "cli/noise.h"
#include "cli/verbs.h"

typedef struct layers_options {
    const char *device;
    uint32_t size;
} layers_options;

static void print_layers(const tagmask_network *network) {
    const tagmask_layer *layers;
    size_t count = tagmask_network_layers(network, &layers);
    for (size_t i = 0; i < count; i++) {
        char shape[200] = "?";
        for (int32_t d = 0, used = 0; d < layers[i].rank && used < 170; d++) {
            used += snprintf(shape + used, sizeof shape - (size_t)used, "%s%lld", d ? "x" : "",
                             (long long)layers[i].dims[d]);
        }
        const char *mark = layers[i].cam         ? "  <- CAM"
                           : layers[i].map       ? "  <- map"
                           : layers[i].attention ? "  <- attention"
                                                 : "";
        printf("%-20s %-18s %s%s\n", layers[i].op, shape, layers[i].name, mark);
    }
}

static cli_exit run_layers(void *data, int count, char **arguments) {
    (void)count;
    const layers_options *options = data;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_device *device = NULL;
    tagmask_network *network = NULL;
    tagmask_tensor input = {0};
    tagmask_status status = tagmask_device_open(options->device, &device, &err);
    if (status == TAGMASK_OK) status = tagmask_network_load(device, arguments[0], NULL, 0, &network, &err);
    if (status == TAGMASK_OK) {
        status = cli_noise_input(network, arguments[0], options->size, &input, &err);
    }
    if (status == TAGMASK_OK) status = cli_run_once(network, &input, &err);
    if (status == TAGMASK_OK) print_layers(network);
    free(input.data);
    tagmask_network_free(network);
    tagmask_device_close(device);
    return status == TAGMASK_OK ? CLI_DONE : cli_fail(&err);
}

static const cli_option rows[] = {
    {"size", "N", CLI_UINT, offsetof(layers_options, size), 1, 8192,
     .help = "show shapes for a picture of N x N pixels (default: as the model declares, else 224)"},
    CLI_OPTION_DEVICE(layers_options),
    {0},
};

const cli_verb cli_verb_layers = {
    .name = "layers",
    .arguments = "MODEL.onnx",
    .summary = "lists a network's layers with their shapes",
    .details =
        "One layer a line: operator, shape (batch x channels x height x width), name. '<- CAM' marks the layer whose\n"
        "map 'tagmask propose' takes unless --layer names another; in a network that no CAM can be made of, '<- map'\n"
        "marks the one that other methods take, of transformers a layer of tokens (batch x tokens x channels).\n"
        "'<- attention' marks the blocks of transformers. Layers that are\n"
        "merged into their neighbours (batch normalization, activations) are not listed.",
    .options = rows,
    .options_size = sizeof(layers_options),
    .min_args = 1,
    .max_args = 1,
    .run = run_layers,
};
