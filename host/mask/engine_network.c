// The classifier's network as the methods want it: with the features of one layer or another as an output.
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "mask/engine.h"
#include "mask/tokens.h"

size_t tm_engine_find_output(const tm_graph *graph, const char *name) {
    const tm_value_info *outputs;
    size_t count = tm_graph_outputs(graph, &outputs);
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(outputs[i].name, name)) return i;
    }
    return SIZE_MAX;
}

static tagmask_status usual_plan(const tm_pack *pack, tm_graph *graph, tm_plan **plan, tm_error *err) {
    int64_t side = (int64_t)tm_align_up(TM_USUAL_SIDE, pack->multiple_of);
    const tm_host_tensor input = {
        TM_FLOAT32, {4, {1, 3, pack->width ? pack->height : side, pack->width ? pack->width : side}}, NULL};
    return tm_graph_plan(graph, &input, 1, plan, err);
}

static tagmask_status last_features(tagmask_engine *engine, tm_graph *graph, char **features, tm_error *err) {
    tm_pack *pack = &engine->classifier;
    tm_plan *plan;
    TM_TRY(tm_engine_check_network(pack, graph, 0, err));
    tm_engine_settle_size(pack, graph);
    TM_TRY(usual_plan(pack, graph, &plan, err));
    const char *last = tm_plan_last_features(plan, &engine->features_unclear);
    if (!last)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "%s: no layer has shape 1 x channels x height x width, and no attention block tokens, so no map "
                       "can be made of the network",
                       pack->model_path);
    *features = tm_strdup(last);
    return *features ? TAGMASK_OK : tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory", pack->model_path);
}

static tagmask_status choose_features(tagmask_engine *engine, char **features, tm_error *err) {
    const tm_pack *pack = &engine->classifier;
    tm_graph *graph = NULL;
    tm_cam_head head;
    if (pack->cam_layer) {
        *features = tm_strdup(pack->cam_layer);
        return *features ? TAGMASK_OK : tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory", pack->model_path);
    }
    TM_TRY(tm_graph_load(engine->device ? engine->device->gpu : NULL, pack->model_path, NULL, 0, &graph, err));
    tagmask_status status = TAGMASK_OK;
    if (tm_graph_cam_head(graph, (size_t)pack->output, &head, NULL)) {
        status = last_features(engine, graph, features, err);
    } else if (!(*features = tm_strdup(head.features))) {
        status = tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory", pack->model_path);
    }
    tm_graph_free(graph);
    return status;
}

static tagmask_status load_features(const tagmask_engine *engine, const char *layer, tm_engine_network *network,
                                    tm_error *err) {
    const tm_pack *pack = &engine->classifier;
    const char *outputs[2] = {layer, pack->affinity_layer};
    size_t count = pack->affinity_layer ? 2 : 1;
    TM_TRY(tm_graph_load_as(engine->device ? engine->device->gpu : NULL, engine->precision, pack->model_path, outputs,
                            count, &network->graph, err));
    TM_TRY(tm_engine_check_network(pack, network->graph, count, err));
    network->affinity_output =
        pack->affinity_layer ? tm_engine_find_output(network->graph, pack->affinity_layer) : SIZE_MAX;
    return TAGMASK_OK;
}

static tagmask_status find_gradient(const tm_graph *graph, const char *tensor, size_t *output, tm_error *err) {
    char *name = tm_format("gradient of %s", tensor);
    if (!name) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for a tensor's name");
    *output = tm_engine_find_output(graph, name);
    free(name);
    return TAGMASK_OK;
}

static tagmask_status load_gradients(const tagmask_engine *engine, const char *layer, tm_engine_network *network,
                                     tm_error *err) {
    const tm_pack *pack = &engine->classifier;
    const char *scores = tm_graph_logits(engine->network.graph, (size_t)pack->output);
    const tm_gradient gradient = {scores, &layer, 1, engine->precision};
    TM_TRY(tm_graph_load_gradient(engine->device ? engine->device->gpu : NULL, pack->model_path, &gradient, &layer, 1,
                                  &network->graph, err));
    return find_gradient(network->graph, layer, &network->gradient_output, err);
}

// ---- Attention blocks

static tagmask_status choose_blocks(const tagmask_engine *engine, tm_network_kind kind, const char *layer,
                                    const char *const **names, size_t *count, tm_error *err) {
    *count = tm_graph_attentions(engine->network.graph, names);
    if (!*count)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "%s: no attention was found: no operator Attention, and no softmax between two products of "
                       "computed matrices",
                       engine->classifier.model_path);
    if (kind != TM_NETWORK_ATTENTION) return TAGMASK_OK;
    size_t at = *layer ? 0 : *count - 1;
    tm_nearest nearest;
    tm_nearest_begin(&nearest, layer, 3);
    for (; at < *count && *layer && !tm_attention_is_of((*names)[at], layer); at++)
        tm_nearest_offer(&nearest, (*names)[at], (*names)[at]);
    if (at == *count) {
        char text[600];
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT,
                       "%s: '%.200s' is no attention block%s%.500s%s 'tagmask layers' marks those that there are",
                       engine->classifier.model_path, layer, nearest.count ? "; did you mean " : "",
                       tm_nearest_text(&nearest, text, sizeof text), nearest.count ? "?" : ";");
    }
    *names += at;
    *count = 1;
    return TAGMASK_OK;
}

static tagmask_status load_blocks(const tagmask_engine *engine, tm_network_kind kind, const char *layer,
                                  tm_engine_network *network, tm_error *err) {
    const tm_pack *pack = &engine->classifier;
    tm_gpu *gpu = engine->device ? engine->device->gpu : NULL;
    const char *const *names;
    size_t count;
    TM_TRY(choose_blocks(engine, kind, layer, &names, &count, err));
    bool gradients = kind == TM_NETWORK_ATTENTION_GRADIENTS;
    const tm_gradient gradient = {tm_graph_logits(engine->network.graph, (size_t)pack->output), names, count,
                                  engine->precision};
    TM_TRY(gradients ? tm_graph_load_gradient(gpu, pack->model_path, &gradient, names, count, &network->graph, err)
                     : tm_graph_load_as(gpu, engine->precision, pack->model_path, names, count, &network->graph, err));
    for (size_t i = 0; i < count; i++) {
        network->blocks[i].probabilities = tm_engine_find_output(network->graph, names[i]);
        if (gradients) TM_TRY(find_gradient(network->graph, names[i], &network->blocks[i].gradient, err));
    }
    network->block_count = count;
    return TAGMASK_OK;
}

static tagmask_status load_biases(const tagmask_engine *engine, tm_engine_network *network, tm_error *err) {
    const tm_pack *pack = &engine->classifier;
    const tm_bias *biases;
    const tm_value_info *inputs;
    const char *names[TM_MAX_BIASES + 1];
    size_t count = tm_graph_biases(engine->network.graph, &biases);
    (void)tm_graph_inputs(engine->network.graph, &inputs);
    if (count > TM_MAX_BIASES)
        return tm_fail(
            err, TAGMASK_ERROR_UNSUPPORTED,
            "%s: has %zu convolutions and batch normalizations with biases; the method fullgrad takes at most "
            "%d",
            pack->model_path, count, TM_MAX_BIASES);
    for (size_t i = 0; i < count; i++) names[i] = biases[i].tensor;
    names[count] = inputs[0].name;
    const tm_gradient gradient = {tm_graph_logits(engine->network.graph, (size_t)pack->output), names, count + 1,
                                  engine->precision};
    TM_TRY(tm_graph_load_gradient(engine->device ? engine->device->gpu : NULL, pack->model_path, &gradient, NULL, 0,
                                  &network->graph, err));
    for (size_t i = 0; i < count; i++)
        TM_TRY(find_gradient(network->graph, names[i], &network->blocks[i].gradient, err));
    network->block_count = count;
    return find_gradient(network->graph, names[count], &network->gradient_output, err);
}

static tagmask_status load_tail(const tagmask_engine *engine, const char *layer, tm_engine_network *network,
                                tm_error *err) {
    const tm_tail tail = {layer, 1, false, engine->precision, (size_t)engine->classifier.output};
    return tm_graph_load_tail(engine->device ? engine->device->gpu : NULL, engine->classifier.model_path, &tail, NULL,
                              0, &network->graph, err);
}

static tagmask_status load(const tagmask_engine *engine, tm_network_kind kind, const char *layer,
                           tm_engine_network *network, tm_error *err) {
    network->kind = kind;
    network->features_output = network->affinity_output = SIZE_MAX;
    switch (kind) {
        case TM_NETWORK_FEATURES:
            TM_TRY(load_features(engine, layer, network, err));
            break;
        case TM_NETWORK_GRADIENTS:
            TM_TRY(load_gradients(engine, layer, network, err));
            break;
        case TM_NETWORK_BIASES:
            TM_TRY(load_biases(engine, network, err));
            break;
        case TM_NETWORK_TAIL:
            TM_TRY(load_tail(engine, layer, network, err));
            break;
        default:
            TM_TRY(load_blocks(engine, kind, layer, network, err));
    }
    if (!network->block_count) network->features_output = tm_engine_find_output(network->graph, layer);
    network->layer = tm_strdup(layer);
    return network->layer ? TAGMASK_OK
                          : tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory", engine->classifier.model_path);
}

// One score a class, or one map a class.
static tagmask_status count_classes(tagmask_engine *engine, tm_error *err) {
    const tm_pack *pack = &engine->classifier;
    tm_plan *plan;
    TM_TRY(usual_plan(pack, engine->network.graph, &plan, err));
    tm_tensor scores = tm_plan_output(plan, (size_t)pack->output);
    size_t count = 0;
    if (!tm_shape_count(&scores.shape, &count) || !count)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "%s: output %d is empty; expected class scores",
                       pack->model_path, (int)pack->output);
    engine->class_count = scores.shape.rank == 4 ? scores.shape.dim[1] : (int64_t)count;
    return TAGMASK_OK;
}

const char *tm_engine_features(const tagmask_engine *engine) {
    return engine->network.layer;
}

// The layer's features for a picture of usual size, and how they lie.
static tagmask_status look_at_features(const tm_pack *pack, tm_engine_network *network, tm_plan **plan,
                                       tm_tensor *features, tm_error *err) {
    TM_TRY(usual_plan(pack, network->graph, plan, err));
    *features = tm_plan_output(*plan, network->features_output);
    network->form = tm_graph_form(network->graph, network->features_output, &features->shape);
    return TAGMASK_OK;
}

// That a layer was named is no promise that it is one of a map.
static tagmask_status check_places(const tm_pack *pack, tm_engine_network *network, tm_error *err) {
    tm_plan *plan;
    tm_tensor features, places;
    char text[128];
    TM_TRY(look_at_features(pack, network, &plan, &features, err));
    tm_shape picture = tm_plan_input(plan, 0).shape;
    const tm_token_source source = {pack, (uint32_t)picture.dim[3], (uint32_t)picture.dim[2]};
    if (tm_has_features(features.dtype, &features.shape, network->form))
        return tm_token_places(&source, &features, network->form, &places, err);
    return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                   "%s: layer '%.200s' has shape %s; expected 1 x channels x height x width (or channels last) with "
                   "more than one place, or 1 x tokens x channels: 'tagmask layers' lists the layers with their shapes",
                   pack->model_path, network->layer, tm_shape_text(&features.shape, text, sizeof text));
}

// The head found by its operators, if the features have the shape that it takes them for.
static tagmask_status find_head(tagmask_engine *engine, tm_cam_head *head, tm_error *err) {
    const tm_pack *pack = &engine->classifier;
    tm_plan *plan;
    tm_tensor features;
    tm_error unused = TAGMASK_ERROR_INIT;
    char text[128];
    bool looked = !look_at_features(pack, &engine->network, &plan, &features, &unused);
    TM_TRY(tm_graph_cam_head(engine->network.graph, (size_t)pack->output, head, err));
    bool same = !looked || engine->network.form == head->form;
    if (same) return head->form && looked ? check_places(pack, &engine->network, err) : TAGMASK_OK;
    return tm_fail(
        err, TAGMASK_ERROR_UNSUPPORTED,
        "%s: no CAM can be made: the mean before the classes is of '%.200s', whose shape is %s; expected 1 x "
        "channels x height x width, 1 x height x width x channels or 1 x tokens x channels",
        pack->model_path, head->features, tm_shape_text(&features.shape, text, sizeof text));
}

static void clear(tm_engine_network *network) {
    tm_graph_free(network->graph);
    free(network->layer);
    *network = (tm_engine_network){0};
}

// Features before a pooling that are none of places are not those of other methods either.
static tagmask_status take_last_features(tagmask_engine *engine, tm_error *err) {
    tm_gpu *gpu = engine->device ? engine->device->gpu : NULL;
    tm_graph *plain = NULL;  // in which no layer is an output because it was asked for
    char *features = NULL;
    TM_TRY(tm_graph_load(gpu, engine->classifier.model_path, NULL, 0, &plain, err));
    tagmask_status status = last_features(engine, plain, &features, err);
    tm_graph_free(plain);
    if (status) return status;
    clear(&engine->network);
    status = load(engine, TM_NETWORK_FEATURES, features, &engine->network, err);
    free(features);
    return status;
}

tagmask_status tm_engine_load_classifier(tagmask_engine *engine, tm_cam_head *head, tm_error *err) {
    char *features = NULL;
    TM_TRY(choose_features(engine, &features, err));
    tagmask_status status = load(engine, TM_NETWORK_FEATURES, features, &engine->network, err);
    free(features);
    if (status) return tm_engine_name_layer(&engine->classifier, status, err);
    tm_engine_settle_size(&engine->classifier, engine->network.graph);
    *head = (tm_cam_head){0};
    if (find_head(engine, head, &engine->no_cam)) {
        if (head->features && !engine->classifier.cam_layer) TM_TRY(take_last_features(engine, err));
        *head = (tm_cam_head){0};
        return count_classes(engine, err);
    }
    engine->class_count = head->classes;
    engine->channels = head->channels;
    return TAGMASK_OK;
}

static bool is_wanted(const tm_engine_network *network, tm_network_kind kind, const char *layer) {
    return network->layer && network->kind == kind && !strcmp(network->layer, layer);
}

static tagmask_status check_blocks(const tm_pack *pack, const tm_engine_network *network, tm_error *err) {
    tm_plan *plan;
    uint32_t heads, tokens;
    TM_TRY(usual_plan(pack, network->graph, &plan, err));
    for (size_t i = 0; i < network->block_count; i++) {
        tm_tensor block = tm_plan_output(plan, network->blocks[i].probabilities);
        TM_TRY(tm_attention_shape(pack, i, &block.shape, &heads, &tokens, err));
    }
    return TAGMASK_OK;
}

// A network with other inputs than the picture is planned where it is used; its layer was looked at in one without.
static tagmask_status load_checked(tagmask_engine *engine, tm_network_kind kind, const char *layer,
                                   tm_engine_network *network, tm_error *err) {
    TM_TRY(load(engine, kind, layer, network, err));
    if (kind == TM_NETWORK_FEATURES) return check_places(&engine->classifier, network, err);
    bool blocks = kind == TM_NETWORK_ATTENTION || kind == TM_NETWORK_ALL_ATTENTION;
    return blocks ? check_blocks(&engine->classifier, network, err) : TAGMASK_OK;
}

tagmask_status tm_engine_network_get(tagmask_engine *engine, tm_network_kind kind, const char *layer,
                                     const tm_engine_network **network, tm_error *err) {
    bool of_layer = kind == TM_NETWORK_FEATURES || kind == TM_NETWORK_GRADIENTS || kind == TM_NETWORK_TAIL;
    if (!*layer && of_layer) layer = engine->network.layer;
    *network = &engine->network;
    if (is_wanted(&engine->network, kind, layer)) return TAGMASK_OK;
    tm_engine_network *place = &engine->networks[0];
    for (size_t i = 0; i < TM_MAX_NETWORKS; i++) {
        tm_engine_network *other = &engine->networks[i];
        bool wanted = is_wanted(other, kind, layer);
        if (wanted || other->used < place->used) place = other;
        if (wanted) break;
    }
    if (!is_wanted(place, kind, layer)) {
        tm_engine_network made = {0};
        tagmask_status status = load_checked(engine, kind, layer, &made, err);
        if (status) {
            clear(&made);
            return status;
        }
        clear(place);
        *place = made;
    }
    place->used = ++engine->network_uses;
    *network = place;
    return TAGMASK_OK;
}

static tagmask_status check_head(tagmask_engine *engine, const char *layer, uint32_t head, tm_error *err) {
    const tm_engine_network *network;
    tm_plan *plan;
    tm_error unused = TAGMASK_ERROR_INIT;
    uint32_t heads, tokens;
    TM_TRY(tm_engine_network_get(engine, TM_NETWORK_ATTENTION, layer, &network, err));
    if (usual_plan(&engine->classifier, network->graph, &plan, &unused)) return TAGMASK_OK;
    tm_shape shape = tm_plan_output(plan, network->blocks[0].probabilities).shape;
    TM_TRY(tm_attention_shape(&engine->classifier, 0, &shape, &heads, &tokens, err));
    if (head <= heads) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "preset head: %u; the attention block has %u heads", head, heads);
}

tagmask_status tm_engine_check_head(tagmask_engine *engine, const char *layer, uint32_t head, tm_error *err) {
    if (engine->device) pthread_mutex_lock(&engine->device->lock);
    tagmask_status status = check_head(engine, layer, head, err);
    if (engine->device) pthread_mutex_unlock(&engine->device->lock);
    return status;
}

void tm_engine_free_networks(tagmask_engine *engine) {
    clear(&engine->network);
    for (size_t i = 0; i < TM_MAX_NETWORKS; i++) clear(&engine->networks[i]);
}
