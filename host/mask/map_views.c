// What a session does for methods that make maps of views: for each view of a tag's map, the view that is that map.
#include <string.h>

#include "mask/map_table.h"
#include "mask/session.h"

static tm_view map_request(const tm_settings *settings, const tm_view *base, uint32_t row) {
    const tm_map_method *method = tm_map_method_at(settings->method);
    tm_view request = {.width = base->width,
                       .height = base->height,
                       .mirror = base->mirror,
                       .box = base->box,
                       .edit = base->edit,
                       .tail_dilation = base->tail_dilation,
                       .tail_dense = base->tail_dense,
                       .method = method,
                       .row = method->of_class ? row : 0,
                       .source = base,
                       .mask = base->mask};
    if (method->of_layer) memcpy(request.layer, settings->layer, sizeof request.layer);
    if (method->needs & TM_MAP_ATTENTION) request.option = settings->head;
    if (method->needs & TM_MAP_RERUNS) request.option = settings->tried_channels;
    return request;
}

tagmask_status tm_session_map_part(tagmask_session *session, const tm_settings *settings, uint32_t row,
                                   tm_cam_part *part, tm_error *err) {
    if (!tm_map_method_at(settings->method)->make || part->view->method) return TAGMASK_OK;
    tm_view request = map_request(settings, part->view, row), *view = tm_session_view(session, &request);
    if (!view) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for views");
    part->view = view;
    return tm_session_run_views(session, settings, &view, 1, (tm_progress_span){"maps", 0.6f, 0.75f}, err);
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
static tagmask_status check_networks(tagmask_engine *engine, const tm_map_method *method, const char *layer,
                                     tm_error *err) {
    const tm_engine_network *network;
    if (engine->device) pthread_mutex_lock(&engine->device->lock);
    tagmask_status status = TAGMASK_OK;
    if (method->needs & TM_MAP_FEATURES)
        status = tm_engine_network_get(engine, TM_NETWORK_FEATURES, layer, &network, err);
    if (status) tm_fail_prefix(err, "parameter layer: \"%.200s\"", layer);
    if (!status && method->network != TM_NETWORK_FEATURES) {
        status = tm_engine_network_get(engine, method->network, layer, &network, err);
        if (status) tm_fail_prefix(err, "parameter method: %s", method->name);
    }
    if (engine->device) pthread_mutex_unlock(&engine->device->lock);
    return status;
}

tagmask_status tm_map_check(tagmask_engine *engine, tm_settings *settings, tm_error *err) {
    const tm_map_method *method = tm_map_method_at(settings->method);
    if (!method->make) TM_TRY(check_cam(engine, settings->layer, err));
    bool of_features = method->needs & TM_MAP_FEATURES;
    if (of_features && !strcmp(settings->layer, tm_engine_features(engine))) *settings->layer = 0;
    if (!method->make) return TAGMASK_OK;
    if (of_features && !*settings->layer && engine->features_of_tokens)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "parameter method: %s needs a layer with height and width, and %s is a transformer that ends "
                       "without: name one with layer, or take attention, rollout or relevance",
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
