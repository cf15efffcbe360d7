// The public network handle: a graph with its descriptions, run on host tensors.
#include <stdlib.h>
#include <string.h>

#include "gpu/handle.h"
#include "graph/plan.h"

struct tagmask_network {
    tagmask_device *device;
    tm_graph *graph;
    tagmask_tensor *inputs, *outputs;
    size_t input_count, output_count;
    char *cam;              // name of the layer that a CAM takes; NULL: the network has no such head
    tagmask_layer *layers;  // of `plan`, made when asked for
    size_t layer_count;
    const tm_plan *plan;  // that ran last
};

static tagmask_tensor *describe(const tm_value_info *infos, size_t count) {
    tagmask_tensor *tensors = tm_calloc(count, sizeof *tensors);
    for (size_t i = 0; tensors && i < count; i++) {
        tensors[i] = (tagmask_tensor){.struct_size = sizeof tensors[i],
                                      .name = infos[i].name,
                                      .dtype = (tagmask_dtype)infos[i].dtype,
                                      .rank = infos[i].shape.rank};
        for (int32_t d = 0; d < infos[i].shape.rank; d++) tensors[i].dims[d] = infos[i].shape.dim[d];
    }
    return tensors;
}

tagmask_status tagmask_network_load(tagmask_device *device, const char *path, const char *const *outputs,
                                    size_t output_count, tagmask_network **network, tagmask_error *error) {
    if (!device || !path || !network || (output_count && !outputs))
        return tm_fail(error, TAGMASK_ERROR_ARGUMENT,
                       "tagmask_network_load needs device, path and network, and outputs when output_count is not 0");
    tagmask_network *made = tm_calloc(1, sizeof *made);
    if (!made) return tm_fail(error, TAGMASK_ERROR_MEMORY, "%s: no memory for a network", path);
    made->device = device;
    pthread_mutex_lock(&device->lock);
    tagmask_status status = tm_graph_load(device->gpu, path, outputs, output_count, &made->graph, error);
    pthread_mutex_unlock(&device->lock);
    if (status == TAGMASK_OK) {
        const tm_value_info *infos;
        tm_cam_head head;
        made->input_count = tm_graph_inputs(made->graph, &infos);
        made->inputs = describe(infos, made->input_count);
        made->output_count = tm_graph_outputs(made->graph, &infos);
        made->outputs = describe(infos, made->output_count);
        if (tm_graph_cam_head(made->graph, &head, NULL) == TAGMASK_OK) made->cam = tm_strdup(head.features);
        if (!made->inputs || !made->outputs)
            status = tm_fail(error, TAGMASK_ERROR_MEMORY, "%s: no memory for its descriptions", path);
    }
    if (status != TAGMASK_OK) {
        tagmask_network_free(made);
        return status;
    }
    *network = made;
    return TAGMASK_OK;
}

void tagmask_network_free(tagmask_network *network) {
    if (!network) return;
    tm_graph_free(network->graph);
    free(network->inputs);
    free(network->outputs);
    free(network->layers);
    free(network->cam);
    free(network);
}

size_t tagmask_network_inputs(const tagmask_network *network, const tagmask_tensor **tensors) {
    if (!network) return 0;
    if (tensors) *tensors = network->inputs;
    return network->input_count;
}

size_t tagmask_network_outputs(const tagmask_network *network, const tagmask_tensor **tensors) {
    if (!network) return 0;
    if (tensors) *tensors = network->outputs;
    return network->output_count;
}

// The caller's tensor without trust in any member.
static tagmask_status check_input(const tagmask_network *network, const tagmask_tensor *input, size_t i,
                                  tm_host_tensor *tensor, tm_error *err) {
    const char *name = network->inputs[i].name;
    size_t count;
    if (input->struct_size < sizeof *input)
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "input '%.200s': struct_size is %zu; expected at least %zu", name,
                       input->struct_size, sizeof *input);
    if (input->rank < 0 || input->rank > TM_MAX_RANK)
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "input '%.200s': rank %d; expected 0..%d", name, input->rank,
                       TM_MAX_RANK);
    if (input->dtype != network->inputs[i].dtype)
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "input '%.200s': data type %d; the network takes %d", name,
                       (int)input->dtype, (int)network->inputs[i].dtype);
    *tensor = (tm_host_tensor){.dtype = (tm_dtype)input->dtype, .shape = {.rank = input->rank}, .data = input->data};
    for (int32_t d = 0; d < input->rank; d++) tensor->shape.dim[d] = input->dims[d];
    if (!tm_shape_count(&tensor->shape, &count))
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "input '%.200s': a dimension is negative or all are too large",
                       name);
    if (count && !input->data) return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "input '%.200s': has no data", name);
    return TAGMASK_OK;
}

tagmask_status tagmask_network_run(tagmask_network *network, const tagmask_tensor *inputs, size_t input_count,
                                   tagmask_tensor *outputs, tagmask_error *error) {
    if (!network || (input_count && !inputs) || !outputs)
        return tm_fail(error, TAGMASK_ERROR_ARGUMENT, "tagmask_network_run needs network, inputs and outputs");
    if (input_count != network->input_count)
        return tm_fail(error, TAGMASK_ERROR_ARGUMENT, "%zu inputs; the network takes %zu", input_count,
                       network->input_count);
    tm_host_tensor *in = tm_calloc(input_count, sizeof *in), *out = tm_calloc(network->output_count, sizeof *out);
    tagmask_status status = TAGMASK_OK;
    if (!in || !out) status = tm_fail(error, TAGMASK_ERROR_MEMORY, "no memory for the network's tensors");
    for (size_t i = 0; status == TAGMASK_OK && i < input_count; i++)
        status = check_input(network, &inputs[i], i, &in[i], error);
    if (status == TAGMASK_OK) {
        pthread_mutex_lock(&network->device->lock);
        status = tm_graph_run(network->graph, in, input_count, out, error);
        pthread_mutex_unlock(&network->device->lock);
    }
    for (size_t i = 0; status == TAGMASK_OK && i < network->output_count; i++) {
        outputs[i] = (tagmask_tensor){.struct_size = sizeof outputs[i],
                                      .name = network->outputs[i].name,
                                      .dtype = (tagmask_dtype)out[i].dtype,
                                      .rank = out[i].shape.rank,
                                      .data = out[i].data};
        for (int32_t d = 0; d < out[i].shape.rank; d++) outputs[i].dims[d] = out[i].shape.dim[d];
    }
    if (status == TAGMASK_OK) {
        network->plan = network->graph->plans;  // the one used last is the first
        free(network->layers);
        network->layers = NULL;
        network->layer_count = 0;
    }
    free(in);
    free(out);
    return status;
}

void tagmask_tensor_release(tagmask_tensor *tensor) {
    if (!tensor) return;
    free(tensor->data);
    tensor->data = NULL;
}

tagmask_status tagmask_network_get_stats(const tagmask_network *network, tagmask_network_stats *stats) {
    if (!network || !stats || !network->plan) return TAGMASK_ERROR_ARGUMENT;
    tm_plan_stats from = tm_plan_get_stats(network->plan);
    tagmask_network_stats made = {.struct_size = TM_MIN(stats->struct_size, sizeof made),
                                  .activation_bytes = from.activation_bytes,
                                  .liveness_bytes = from.liveness_bytes,
                                  .weight_bytes = from.weight_bytes,
                                  .flops = from.flops,
                                  .dispatches = from.dispatches};
    memcpy(stats, &made, made.struct_size);
    return TAGMASK_OK;
}

// Layers are made when first asked for, behind a const handle: they are a view of the plan, not a change of it.
static void make_layers(tagmask_network *network) {
    tm_layer_info info;
    size_t count = 0;
    while (tm_plan_layer(network->plan, count, &info)) count++;
    network->layers = tm_calloc(count, sizeof *network->layers);
    for (size_t i = 0; network->layers && i < count; i++) {
        tm_plan_layer(network->plan, i, &info);
        tagmask_layer *layer = &network->layers[i];
        *layer = (tagmask_layer){.struct_size = sizeof *layer,
                                 .name = info.name,
                                 .op = info.op_type,
                                 .rank = info.shape.rank,
                                 .cam = network->cam && !strcmp(network->cam, info.name)};
        for (int32_t d = 0; d < info.shape.rank; d++) layer->dims[d] = info.shape.dim[d];
    }
    network->layer_count = network->layers ? count : 0;
}

size_t tagmask_network_layers(const tagmask_network *network, const tagmask_layer **layers) {
    if (!network || !network->plan) return 0;
    if (!network->layers) make_layers((tagmask_network *)network);
    if (layers) *layers = network->layers;
    return network->layer_count;
}
