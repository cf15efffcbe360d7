// What a session does for methods that make maps of views: for each view of a tag's map, the view that is that map.
#include <string.h>

#include "mask/map_table.h"
#include "mask/session.h"

bool tm_layer_at(const char *layers, size_t position, char layer[TM_LAYER_LENGTH]) {
    for (size_t i = 0; i < position; i++) {
        layers = strchr(layers, ',');
        if (!layers) return false;
        layers++;
    }
    layers += strspn(layers, " ");
    size_t length = strcspn(layers, ",");
    while (length && layers[length - 1] == ' ') length--;
    if (length >= TM_LAYER_LENGTH || position >= TM_MAX_LAYERS) return false;
    memcpy(layer, layers, length);
    layer[length] = 0;
    return true;
}

// The same picture of the photo, nothing of it run yet.
static tm_view same_picture(const tm_view *base) {
    return (tm_view){.role = base->role,
                     .width = base->width,
                     .height = base->height,
                     .mirror = base->mirror,
                     .box = base->box,
                     .edit = base->edit,
                     .mask = base->mask};
}

static tm_view map_request(const tm_settings *settings, const tm_view *base, uint32_t row, const char *layer) {
    const tm_map_method *method = tm_map_method_at(settings->method);
    tm_view request = same_picture(base);
    request.tail_dilation = base->tail_dilation;
    request.tail_dense = base->tail_dense;
    request.method = method;
    request.row = method->of_class ? row : 0;
    request.source = base;
    if (method->of_layer) strcpy(request.layer, layer);
    if (method->needs & TM_MAP_ATTENTION) request.option = settings->head;
    if (method->needs & TM_MAP_RERUNS) request.option = settings->tried_channels;
    return request;
}

// The view whose features of the layer the method reads; those that run the network again read none.
static tagmask_status layer_view(tagmask_session *session, const tm_settings *settings, const tm_view *base,
                                 const char *layer, const tm_view **view, tm_error *err) {
    uint32_t needs = tm_map_method_at(settings->method)->needs;
    *view = base;
    if (!(needs & TM_MAP_FEATURES) || needs & TM_MAP_GRADIENTS || !strcmp(base->layer, layer)) return TAGMASK_OK;
    tm_view request = same_picture(base);
    strcpy(request.layer, layer);
    tm_view *own = tm_session_view(session, &request);
    if (!own) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for views");
    *view = own;
    return tm_session_run_views(session, settings, &own, 1, (tm_progress_span){"maps", 0.6f, 0.75f}, err);
}

tagmask_status tm_session_add_part(tagmask_session *session, const tm_settings *settings, const tm_cam_part *part,
                                   tm_tag_cam *cam, tm_error *err) {
    char layer[TM_LAYER_LENGTH];
    if (!tm_map_method_at(settings->method)->make) {
        cam->parts[cam->part_count++] = *part;
        return TAGMASK_OK;
    }
    for (size_t i = 0; tm_layer_at(settings->layer, i, layer); i++) {
        const tm_view *base;
        TM_TRY(layer_view(session, settings, part->view, layer, &base, err));
        tm_view request = map_request(settings, base, cam->rows.rows[0], layer);
        tm_view *view = tm_session_view(session, &request);
        if (!view) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for views");
        cam->parts[cam->part_count++] = (tm_cam_part){view, part->role, part->weight};
        TM_TRY(tm_session_run_views(session, settings, &view, 1, (tm_progress_span){"maps", 0.6f, 0.75f}, err));
    }
    return TAGMASK_OK;
}

static tagmask_status check_cam(const tagmask_engine *engine, const char *layer, tm_error *err) {
    const char *own = tm_engine_features(engine);
    if (!engine->class_weights && engine->device) {
        if (err) *err = engine->no_cam;
        return tm_fail_prefix(err, "parameter method: cam (tagmask layers and docs/maps.md tell of others)");
    }
    if (!*layer || !strcmp(layer, own)) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                   "parameter layer: \"%s\"; the method cam reads the features before the pooling, \"%s\"", layer, own);
}

// The networks are loaded here: the first photo needs them anyway.
static tagmask_status load_networks(tagmask_engine *engine, const tm_map_method *method, const char *layer,
                                    tm_error *err) {
    const tm_engine_network *network;
    tagmask_status status = TAGMASK_OK;
    if (method->needs & TM_MAP_FEATURES)
        status = tm_engine_network_get(engine, TM_NETWORK_FEATURES, layer, &network, err);
    if (status) tm_fail_prefix(err, "parameter layer: \"%.200s\"", layer);
    if (!status && method->network == TM_NETWORK_TAIL && network->form != TM_FORM_PLACES)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "parameter method: %s takes layers of shape 1 x channels x height x width; '%.200s' lies "
                       "otherwise",
                       method->name, network->layer);
    if (!status && method->network != TM_NETWORK_FEATURES) {
        status = tm_engine_network_get(engine, method->network, layer, &network, err);
        if (status) tm_fail_prefix(err, "parameter method: %s", method->name);
    }
    return status;
}

static tagmask_status check_networks(tagmask_engine *engine, const tm_map_method *method, const char *layers,
                                     tm_error *err) {
    char layer[TM_LAYER_LENGTH];
    tagmask_status status = TAGMASK_OK;
    if (engine->device) pthread_mutex_lock(&engine->device->lock);
    for (size_t i = 0; !status && tm_layer_at(layers, i, layer); i++)
        status = load_networks(engine, method, layer, err);
    if (engine->device) pthread_mutex_unlock(&engine->device->lock);
    return status;
}

// None of a list may be empty, or one too many.
static tagmask_status check_list(const char *layers, tm_error *err) {
    char layer[TM_LAYER_LENGTH];
    size_t commas = 0;
    for (const char *at = layers; (at = strchr(at, ',')); at++) commas++;
    for (size_t i = 0; *layers && i <= commas; i++) {
        if (i >= TM_MAX_LAYERS)
            return tm_fail(err, TAGMASK_ERROR_ARGUMENT,
                           "parameter layer: \"%.200s\" names %zu layers; expected at most %d", layers, commas + 1,
                           TM_MAX_LAYERS);
        if (!tm_layer_at(layers, i, layer) || !*layer)
            return tm_fail(err, TAGMASK_ERROR_ARGUMENT,
                           "parameter layer: \"%.200s\": name %zu is empty; expected names with commas between", layers,
                           i + 1);
    }
    return TAGMASK_OK;
}

tagmask_status tm_map_check(tagmask_engine *engine, tm_settings *settings, tm_error *err) {
    const tm_map_method *method = tm_map_method_at(settings->method);
    TM_TRY(check_list(settings->layer, err));
    if (!method->make) TM_TRY(check_cam(engine, settings->layer, err));
    bool of_features = method->needs & TM_MAP_FEATURES;
    if (of_features && !strcmp(settings->layer, tm_engine_features(engine))) *settings->layer = 0;
    if (!method->make) return TAGMASK_OK;
    if (of_features && !*settings->layer && engine->features_unclear)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "parameter method: %s needs a layer of places or of one token a patch, and which of %s's that "
                       "is cannot be told: name one with layer, or take attention, rollout or relevance",
                       method->name, engine->classifier.name);
    if (*settings->layer && !method->of_layer)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "parameter layer: \"%.200s\"; the method %s has none to choose",
                       settings->layer, method->name);
    bool tails = settings->dilation_count || settings->drop_steps;
    if (tails && (*settings->layer || method->needs & ~(uint32_t)TM_MAP_FEATURES))
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "preset dilations and drop_steps: they go with the methods cam and eigencam, and with no layer; "
                       "the method is %s",
                       method->name);
    return check_networks(engine, method, settings->layer, err);
}
