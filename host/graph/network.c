// The public tagmask_network: a tm_graph with descriptions in the ABI's terms.
#include <stdlib.h>
#include <string.h>

#include "gpu/handle.h"
#include "graph/internal.h"

struct tagmask_network {
    tagmask_device *device;
    tm_graph *graph;
    tagmask_tensor *inputs, *outputs;
    tagmask_layer *layers;
};

_Static_assert(TM_MAX_RANK == TM_ARRAY_LEN(((tagmask_tensor *)0)->dims), "the ABI's rank");

static void describe(const tm_value_info *info, tagmask_tensor *tensor) {
    *tensor = (tagmask_tensor){.struct_size = sizeof *tensor,
                               .name = info->name,
                               .dtype = (tagmask_dtype)info->dtype,
                               .rank = info->shape.rank};
    for (int32_t d = 0; d < info->shape.rank; d++) tensor->dims[d] = info->shape.dim[d];
}

static tagmask_status describe_all(tagmask_network *network, tm_error *err) {
    const tm_value_info *inputs, *outputs;
    size_t n = tm_graph_inputs(network->graph, &inputs), m = tm_graph_outputs(network->graph, &outputs);
    network->inputs = tm_calloc(n, sizeof *network->inputs);
    network->outputs = tm_calloc(m, sizeof *network->outputs);
    if (!network->inputs || !network->outputs) return tm_memory_fail(err);
    for (size_t i = 0; i < n; i++) describe(&inputs[i], &network->inputs[i]);
    for (size_t i = 0; i < m; i++) describe(&outputs[i], &network->outputs[i]);
    return TAGMASK_OK;
}

tagmask_status tagmask_network_load(tagmask_device *device, const char *path, const char *const *outputs,
                                    size_t output_count, tagmask_network **network, tagmask_error *error) {
    return tagmask_network_load_with(device, path, outputs, output_count, NULL, network, error);
}

tagmask_status tagmask_network_load_with(tagmask_device *device, const char *path, const char *const *outputs,
                                         size_t output_count, const tagmask_load_options *options,
                                         tagmask_network **network, tagmask_error *error) {
    tm_precision precision;
    tagmask_load_options own;
    if (!device || !path || !network || (output_count && !outputs))
        return tm_fail(error, TAGMASK_ERROR_ARGUMENT, "tagmask_network_load: device, path, network or outputs is NULL");
    TM_TRY(tm_load_options_read(options, &own, &precision, error));
    tagmask_network *loaded = tm_calloc(1, sizeof *loaded);
    if (!loaded) return tm_memory_fail(error);
    loaded->device = device;
    tagmask_status status =
        tm_graph_load_as(device->gpu, precision, path, outputs, output_count, &loaded->graph, error);
    if (status == TAGMASK_OK) status = describe_all(loaded, error);
    if (status != TAGMASK_OK) {
        tagmask_network_free(loaded);
        return status;
    }
    *network = loaded;
    return TAGMASK_OK;
}

void tagmask_network_free(tagmask_network *network) {
    if (!network) return;
    if (network->graph) {
        pthread_mutex_lock(&network->device->lock);
        tm_graph_free(network->graph);
        pthread_mutex_unlock(&network->device->lock);
    }
    free(network->inputs);
    free(network->outputs);
    free(network->layers);
    free(network);
}

size_t tagmask_network_inputs(const tagmask_network *network, const tagmask_tensor **tensors) {
    const tm_value_info *infos;
    if (tensors) *tensors = network->inputs;
    return tm_graph_inputs(network->graph, &infos);
}

size_t tagmask_network_outputs(const tagmask_network *network, const tagmask_tensor **tensors) {
    const tm_value_info *infos;
    if (tensors) *tensors = network->outputs;
    return tm_graph_outputs(network->graph, &infos);
}

static tagmask_status take_inputs(const tagmask_tensor *inputs, size_t count, tm_host_tensor *taken, tm_error *err) {
    for (size_t i = 0; i < count; i++) {
        if (inputs[i].struct_size < offsetof(tagmask_tensor, data) + sizeof inputs[i].data)
            return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "input %zu: struct_size is not set", i);
        if (inputs[i].rank < 0 || inputs[i].rank > TM_MAX_RANK)
            return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "input %zu has rank %d; expected 0 to %d", i, inputs[i].rank,
                           TM_MAX_RANK);
        taken[i] = (tm_host_tensor){(tm_dtype)inputs[i].dtype, {.rank = inputs[i].rank}, inputs[i].data};
        for (int32_t d = 0; d < inputs[i].rank; d++) taken[i].shape.dim[d] = inputs[i].dims[d];
    }
    return TAGMASK_OK;
}

static tagmask_status run_locked(tagmask_network *network, const tm_host_tensor *inputs, size_t count,
                                 tm_host_tensor *made, tm_error *err) {
    pthread_mutex_lock(&network->device->lock);
    tagmask_status status = tm_graph_run(network->graph, inputs, count, made, err);
    pthread_mutex_unlock(&network->device->lock);
    return status;
}

tagmask_status tagmask_network_run(tagmask_network *network, const tagmask_tensor *inputs, size_t input_count,
                                   tagmask_tensor *outputs, tagmask_error *error) {
    if (!network || (input_count && !inputs) || !outputs)
        return tm_fail(error, TAGMASK_ERROR_ARGUMENT, "tagmask_network_run: network, inputs or outputs is NULL");
    const tm_value_info *infos;
    size_t output_count = tm_graph_outputs(network->graph, &infos);
    tm_host_tensor *taken = tm_calloc(input_count, sizeof *taken), *made = tm_calloc(output_count, sizeof *made);
    tagmask_status status = taken && made ? take_inputs(inputs, input_count, taken, error) : tm_memory_fail(error);
    if (status == TAGMASK_OK) status = run_locked(network, taken, input_count, made, error);
    for (size_t i = 0; status == TAGMASK_OK && i < output_count; i++) {
        tm_value_info info = {infos[i].name, made[i].dtype, made[i].shape};
        describe(&info, &outputs[i]);
        outputs[i].data = made[i].data;
    }
    free(taken);
    free(made);
    return status;
}

void tagmask_tensor_release(tagmask_tensor *tensor) {
    if (!tensor) return;
    free(tensor->data);
    tensor->data = NULL;
}

tagmask_status tagmask_network_get_stats(const tagmask_network *network, tagmask_network_stats *stats) {
    if (!network || !stats) return TAGMASK_ERROR_ARGUMENT;
    tagmask_network_stats full = {.struct_size = sizeof full};
    if (network->graph->plans) {
        tm_plan_stats plan = tm_plan_get_stats(network->graph->plans);
        full.activation_bytes = plan.activation_bytes;
        full.liveness_bytes = plan.liveness_bytes;
        full.weight_bytes = plan.weight_bytes;
        full.flops = plan.flops;
        full.dispatches = plan.dispatches;
    }
    return tm_struct_write(stats, &full, sizeof full) ? TAGMASK_OK : TAGMASK_ERROR_ARGUMENT;
}

// ---- Layers.
static bool layer_at(const tm_graph *graph, size_t i, tm_layer_info *layer) {
    if (graph->plans) return tm_plan_layer(graph->plans, i, layer);
    for (size_t n = 0; n < graph->node_count; n++) {
        const tm_node *node = &graph->nodes[n];
        for (size_t o = 0; o < node->output_count; o++) {
            if (node->outputs[o] < 0 || i--) continue;
            *layer = (tm_layer_info){graph->values[node->outputs[o]].name, node->op_type, TM_DTYPE_NONE, {.rank = -1}};
            return true;
        }
    }
    return false;
}

size_t tagmask_network_layers(const tagmask_network *network, const tagmask_layer **layers) {
    tm_layer_info info;
    size_t count = 0;
    while (layer_at(network->graph, count, &info)) count++;
    tm_cam_head head = {0};
    for (size_t i = 0; i < TM_MAX_HEADS && !head.features; i++) tm_graph_cam_head(network->graph, i, &head, NULL);
    bool unclear = false, other = false;  // than the head takes them for
    for (size_t i = 0; head.features && network->graph->plans && layer_at(network->graph, i, &info); i++)
        other |= !strcmp(head.features, info.name) && info.form != head.form;
    const char *map = head.features && !other ? head.features
                      : network->graph->plans ? tm_plan_last_features(network->graph->plans, &unclear)
                                              : NULL;
    tagmask_network *owner = (tagmask_network *)(uintptr_t)network;  // the list is a cache of what the graph says
    const char *const *names;
    size_t attentions = tm_graph_attentions(network->graph, &names);
    free(owner->layers);
    owner->layers = tm_calloc(count, sizeof *owner->layers);
    if (!owner->layers) count = 0;
    for (size_t i = 0; i < count && layer_at(network->graph, i, &info); i++) {
        tagmask_layer *layer = &owner->layers[i];
        *layer = (tagmask_layer){.struct_size = sizeof *layer, .name = info.name, .op = info.op_type};
        layer->rank = info.shape.rank;
        for (int32_t d = 0; d < info.shape.rank; d++) layer->dims[d] = info.shape.dim[d];
        layer->cam = head.features && !other && !strcmp(head.features, info.name);
        layer->map = map && !unclear && !strcmp(map, info.name);
        for (size_t a = 0; a < attentions; a++) layer->attention |= tm_attention_is_of(names[a], info.name);
    }
    if (layers) *layers = owner->layers;
    return count;
}
