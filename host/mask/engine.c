#include "mask/engine.h"

#include <stdlib.h>
#include <string.h>

static tagmask_status load_classifier(tagmask_engine *engine, tm_error *err) {
    const tm_pack *pack = &engine->classifier;
    tm_cam_head head = {0};
    TM_TRY(tm_engine_load_classifier(engine, &head, err));
    if (head.weight && engine->device)
        TM_TRY(tm_engine_upload_weights(engine->device->gpu, &head, &engine->class_weights, err));
    return tm_tags_load(pack->tags_path, pack->labels_path, (size_t)engine->class_count, &engine->tags, err);
}

tagmask_status tagmask_engine_create(tagmask_device *device, const char *classifier, const char *saliency,
                                     tagmask_engine **engine, tagmask_error *error) {
    return tagmask_engine_create_with(device, classifier, saliency, NULL, engine, error);
}

tagmask_status tagmask_engine_create_with(tagmask_device *device, const char *classifier, const char *saliency,
                                          const tagmask_load_options *options, tagmask_engine **engine,
                                          tagmask_error *error) {
    tm_precision precision;
    tagmask_load_options own;
    if (!engine) return tm_fail(error, TAGMASK_ERROR_ARGUMENT, "tagmask_engine_create needs engine");
    TM_TRY(tm_load_options_read(options, &own, &precision, error));
    tagmask_engine *made = tm_calloc(1, sizeof *made);
    if (!made) return tm_fail(error, TAGMASK_ERROR_MEMORY, "no memory for an engine");
    made->device = device;
    made->precision = precision;
    made->has_saliency = !saliency || strcmp(saliency, "none");
    tagmask_status status =
        tm_pack_load(classifier ? classifier : "efficientnet-lite0", TM_PACK_CLASSIFIER, &made->classifier, error);
    if (!status && made->has_saliency)
        status = tm_pack_load(saliency ? saliency : "u2netp", TM_PACK_SALIENCY, &made->saliency, error);
    if (device) pthread_mutex_lock(&device->lock);
    if (!status) status = load_classifier(made, error);
    if (!status && device && made->has_saliency)
        status =
            tm_graph_load_as(device->gpu, precision, made->saliency.model_path, NULL, 0, &made->saliency_graph, error);
    if (!status && made->saliency_graph)
        status = tm_engine_check_network(&made->saliency, made->saliency_graph, 0, error);
    if (!status && made->saliency_graph) tm_engine_settle_size(&made->saliency, made->saliency_graph);
    if (!status) status = tm_engine_choose_aides(made, classifier, &own, error);
    if (device) pthread_mutex_unlock(&device->lock);
    if (status) {
        tagmask_engine_free(made);
        return status;
    }
    *engine = made;
    return TAGMASK_OK;
}

tagmask_status tm_engine_tail_get(tagmask_engine *engine, uint32_t dilation, uint32_t dense,
                                  const tm_engine_tail **tail, tm_error *err) {
    for (size_t i = 0; i < engine->tail_count; i++) {
        *tail = &engine->tails[i];
        if ((*tail)->dilation == dilation && (*tail)->dense == dense) return TAGMASK_OK;
    }
    const tm_pack *pack = &engine->classifier;
    if (!pack->affinity_layer)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "%s/pack.json: names no affinity layer, after which dilations and erased features begin",
                       pack->folder);
    if (engine->tail_count == TM_MAX_TAILS)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "an engine keeps at most %d dilations of its classifier",
                       TM_MAX_TAILS);
    const char *features = tm_engine_features(engine);
    const tm_tail kind = {pack->affinity_layer, dilation, dense != 0, engine->precision, (size_t)pack->output};
    tm_engine_tail *made = &engine->tails[engine->tail_count];
    *made = (tm_engine_tail){.dilation = dilation, .dense = dense};
    TM_TRY(tm_graph_load_tail(engine->device->gpu, pack->model_path, &kind, &features, 1, &made->graph, err));
    made->features_output = tm_engine_find_output(made->graph, features);
    engine->tail_count++;
    *tail = made;
    return TAGMASK_OK;
}

void tagmask_engine_free(tagmask_engine *engine) {
    if (!engine) return;
    for (size_t i = 0; i < engine->tail_count; i++) tm_graph_free(engine->tails[i].graph);
    tm_tags_free(engine->tags);
    tm_engine_free_networks(engine);
    tm_engine_free_aides(engine);
    tm_graph_free(engine->saliency_graph);
    tm_buffer_destroy(engine->class_weights);
    tm_pack_free(&engine->classifier);
    tm_pack_free(&engine->saliency);
    free(engine);
}

tagmask_status tagmask_engine_resolve_tag(tagmask_engine *engine, const char *tag, tagmask_tag_info *info,
                                          tagmask_error *error) {
    if (!engine || !tag || !info)
        return tm_fail(error, TAGMASK_ERROR_ARGUMENT, "tagmask_engine_resolve_tag needs engine, tag and info");
    return tm_tags_resolve(engine->tags, tag, info, error);
}

size_t tagmask_engine_class_count(const tagmask_engine *engine) {
    return engine ? (size_t)engine->class_count : 0;
}

const char *tagmask_engine_class_name(const tagmask_engine *engine, size_t index) {
    return engine ? tm_tags_class_name(engine->tags, index) : NULL;
}

const char *tagmask_engine_vocabulary(const tagmask_engine *engine, size_t index) {
    return engine ? tm_tags_name(engine->tags, index) : NULL;
}
