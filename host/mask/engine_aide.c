// The networks that only some presets ask for: a second classifier, and one that describes places.
#include <stdlib.h>
#include <string.h>

#include "mask/engine.h"

tm_engine_aide *tm_engine_aide_of(tagmask_engine *engine, tm_role role) {
    return role == TM_ROLE_SECOND ? &engine->second : &engine->features;
}

const tm_pack *tm_engine_pack(const tagmask_engine *engine, tm_role role) {
    switch (role) {
        case TM_ROLE_SALIENCY:
            return &engine->saliency;
        case TM_ROLE_SECOND:
            return &engine->second.pack;
        case TM_ROLE_FEATURES:
            return &engine->features.pack;
        default:
            return &engine->classifier;
    }
}

// The class weights on the device, from the graph whose head they are.
tagmask_status tm_engine_upload_weights(tm_gpu *gpu, const tm_cam_head *head, tm_buffer **weights, tm_error *err) {
    tm_recorder *recorder = NULL;
    uint64_t bytes = (uint64_t)head->classes * (uint64_t)head->channels * 4;
    TM_TRY(tm_buffer_create(gpu, bytes, TM_MEMORY_DEVICE, weights, err));
    TM_TRY(tm_recorder_begin(gpu, &recorder, err));
    tagmask_status status = tm_upload(recorder, tm_slice_all(*weights), head->weight, err);
    if (status) {
        tm_recorder_abandon(recorder);
        return status;
    }
    return tm_recorder_finish(recorder, err);
}

// A second classifier serves the method cam: it must end as that needs, and know the same classes.
static tagmask_status load_second(tagmask_engine *engine, tm_engine_aide *aide, tm_error *err) {
    const char *path = aide->pack.model_path;
    tm_gpu *gpu = engine->device->gpu;
    tm_graph *plain = NULL;
    tm_cam_head head;
    TM_TRY(tm_graph_load(NULL, path, NULL, 0, &plain, err));  // to find the head: nothing goes to the device
    tagmask_status status = tm_graph_cam_head(plain, (size_t)aide->pack.output, &head, err);
    if (!status && head.classes != engine->class_count)
        status = tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                         "%s: knows %lld classes, but %s knows %lld; expected a second classifier of the same classes",
                         path, (long long)head.classes, engine->classifier.model_path, (long long)engine->class_count);
    if (!status) status = tm_graph_load_as(gpu, engine->precision, path, &head.features, 1, &aide->graph, err);
    if (!status) status = tm_engine_check_network(&aide->pack, aide->graph, 1, err);
    if (!status) {
        tm_engine_settle_size(&aide->pack, aide->graph);
        aide->features_output = tm_engine_find_output(aide->graph, head.features);
        aide->channels = head.channels;
        status = tm_engine_upload_weights(gpu, &head, &aide->class_weights, err);
    }
    tm_graph_free(plain);
    return status;
}

static tagmask_status load_features(const tagmask_engine *engine, tm_engine_aide *aide, tm_error *err) {
    tm_pack *pack = &aide->pack;
    const char *layer = pack->features_layer, *path = pack->model_path;
    tm_gpu *gpu = engine->device->gpu;
    aide->features_output = layer ? 0 : (size_t)pack->output;
    tagmask_status status = layer ? tm_graph_load_layers(gpu, engine->precision, path, &layer, 1, &aide->graph, err)
                                  : tm_graph_load_as(gpu, engine->precision, path, NULL, 0, &aide->graph, err);
    if (status) return tm_engine_name_layer(pack, status, err);
    TM_TRY(layer ? tm_engine_check_input(pack, aide->graph, err) : tm_engine_check_network(pack, aide->graph, 0, err));
    tm_engine_settle_size(pack, aide->graph);
    return TAGMASK_OK;
}

static void unload(tm_engine_aide *aide) {
    tm_graph_free(aide->graph);
    tm_buffer_destroy(aide->class_weights);
    aide->graph = NULL;
    aide->class_weights = NULL;
}

tagmask_status tm_engine_aide_pack(tagmask_engine *engine, tm_role role, tm_error *err) {
    tm_engine_aide *aide = tm_engine_aide_of(engine, role);
    tm_pack_kind kind = role == TM_ROLE_SECOND ? TM_PACK_CLASSIFIER : TM_PACK_FEATURES;
    return aide->pack.folder ? TAGMASK_OK : tm_pack_load(aide->wanted, kind, &aide->pack, err);
}

static tagmask_status load(tagmask_engine *engine, tm_role role, tm_error *err) {
    tm_engine_aide *aide = tm_engine_aide_of(engine, role);
    if (aide->graph) return TAGMASK_OK;
    TM_TRY(tm_engine_aide_pack(engine, role, err));
    tagmask_status status = role == TM_ROLE_SECOND ? load_second(engine, aide, err) : load_features(engine, aide, err);
    if (status) unload(aide);  // so that it may be tried again
    return status;
}

tagmask_status tm_engine_need(tagmask_engine *engine, tm_role role, tm_error *err) {
    pthread_mutex_lock(&engine->device->lock);
    tagmask_status status = load(engine, role, err);
    pthread_mutex_unlock(&engine->device->lock);
    return status;
}

// A pack that is named must be there; the default one is taken if it is installed.
static tagmask_status choose(tagmask_engine *engine, tm_role role, const char *given, const char *otherwise,
                             tm_error *err) {
    tm_engine_aide *aide = tm_engine_aide_of(engine, role);
    bool named = given && *given, found = named;
    const char *name = named ? given : otherwise;
    if (!name || !strcmp(name, "none")) return TAGMASK_OK;
    if (!named) TM_TRY(tm_pack_exists(name, &found, err));
    if (!found) return TAGMASK_OK;
    aide->wanted = tm_strdup(name);
    if (!aide->wanted) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for an engine");
    return named && engine->device ? load(engine, role, err) : TAGMASK_OK;
}

tagmask_status tm_engine_choose_aides(tagmask_engine *engine, const char *classifier,
                                      const tagmask_load_options *options, tm_error *err) {
    // The defaults are the default classifier's company: whoever brings another one chooses the others, too.
    TM_TRY(choose(engine, TM_ROLE_SECOND, options->second, classifier ? NULL : "efficientnet-lite1", err));
    return choose(engine, TM_ROLE_FEATURES, options->features, classifier ? NULL : "vit-s-focus", err);
}

void tm_engine_free_aides(tagmask_engine *engine) {
    tm_engine_aide *aides[] = {&engine->second, &engine->features};
    for (size_t i = 0; i < TM_ARRAY_LEN(aides); i++) {
        unload(aides[i]);
        tm_pack_free(&aides[i]->pack);
        free(aides[i]->wanted);
    }
    tm_graph_free(engine->attention.graph);
}
