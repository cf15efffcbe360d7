// Whose attention says which places belong together, and the network that computes it.
#include "mask/engine.h"
#include "mask/tokens.h"

static tagmask_status no_attention(const tagmask_engine *engine, tm_error *err) {
    const char *features = engine->features.pack.model_path;
    return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                   "no attention was found in %s%s%s: no operator Attention, and no softmax between two products of "
                   "computed matrices; %s",
                   features ? features : "", features ? " and " : "", engine->classifier.model_path,
                   features ? "take affinity_from features or classifier"
                            : "the engine has no features network: install the pack vit-s-focus or name one, or take "
                              "affinity_from classifier");
}

static tagmask_status load_blocks(const tagmask_engine *engine, tm_pack *pack, const char *const *names, size_t count,
                                  tm_engine_attention *made, tm_error *err) {
    size_t wanted = made->blocks ? TM_MIN(made->blocks, count) : count;
    TM_TRY(tm_graph_load_attention(engine->device ? engine->device->gpu : NULL, engine->precision, pack->model_path,
                                   names + count - wanted, wanted, &made->graph, err));
    TM_TRY(tm_engine_check_input(pack, made->graph, err));
    tm_engine_settle_size(pack, made->graph);
    return TAGMASK_OK;
}

// The features network is loaded once more: as it is in use, it may end before its last block.
static tagmask_status load(tagmask_engine *engine, tm_engine_attention *made, tm_error *err) {
    const char *const *names;
    tm_graph *whole = NULL;  // to find the blocks: nothing goes to the device
    tm_pack *pack = &engine->features.pack;
    size_t count = 0;
    made->role = TM_ROLE_FEATURES;
    if (engine->features.wanted) {
        TM_TRY(tm_engine_aide_pack(engine, TM_ROLE_FEATURES, err));
        TM_TRY(tm_graph_load(NULL, pack->model_path, NULL, 0, &whole, err));
        count = tm_graph_attentions(whole, &names);
    }
    if (!count) {
        made->role = TM_ROLE_CLASSIFIER;
        pack = &engine->classifier;
        count = tm_graph_attentions(engine->network.graph, &names);
    }
    tagmask_status status = count ? load_blocks(engine, pack, names, count, made, err) : no_attention(engine, err);
    tm_graph_free(whole);
    return status;
}

tagmask_status tm_engine_attention_grid(const tm_pack *pack, const tm_tensor *matrix, uint32_t width, uint32_t height,
                                        uint32_t *tokens, uint32_t *columns, uint32_t *rows, tm_error *err) {
    const tm_shape *shape = &matrix->shape;
    size_t count;
    int64_t side = shape->rank > 1 ? shape->dim[shape->rank - 1] : 0;
    bool square = side > 1 && side < 65536 && shape->dim[shape->rank - 2] == side && tm_shape_count(shape, &count) &&
                  count == (size_t)(side * side) && matrix->dtype == TM_FLOAT32;
    char text[128];
    if (!square)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "%s: the attention of its blocks has shape %s; expected one picture's tokens x tokens",
                       pack->model_path, tm_shape_text(shape, text, sizeof text));
    *tokens = (uint32_t)side;
    const tm_token_source source = {pack, width, height};
    return tm_token_find(&source, *tokens, columns, rows, err);
}

// Before the first photo: whether attention is between the places of a picture.
static tagmask_status check(const tm_pack *pack, tm_graph *graph, tm_error *err) {
    uint32_t tokens, columns, rows, side = (uint32_t)tm_align_up(TM_USUAL_SIDE, pack->multiple_of);
    uint32_t width = pack->width ? pack->width : side, height = pack->width ? pack->height : side;
    const tm_host_tensor picture = {TM_FLOAT32, {4, {1, 3, height, width}}, NULL};
    tm_plan *plan;
    TM_TRY(tm_graph_plan(graph, &picture, 1, &plan, err));
    tm_tensor matrix = tm_plan_output(plan, 0);
    return tm_engine_attention_grid(pack, &matrix, width, height, &tokens, &columns, &rows, err);
}

tagmask_status tm_engine_attention_get(tagmask_engine *engine, uint32_t blocks, const tm_engine_attention **attention,
                                       tm_error *err) {
    tm_engine_attention *kept = &engine->attention, made = {.blocks = blocks};
    *attention = kept;
    if (kept->graph && kept->blocks == blocks) return TAGMASK_OK;
    tagmask_status status = load(engine, &made, err);
    if (!status) status = check(tm_engine_pack(engine, made.role), made.graph, err);
    if (status) {
        tm_graph_free(made.graph);
        return status;
    }
    tm_graph_free(kept->graph);
    *kept = made;
    return TAGMASK_OK;
}

tagmask_status tm_engine_need_attention(tagmask_engine *engine, uint32_t blocks, tm_role *role, tm_error *err) {
    const tm_engine_attention *attention;
    if (engine->device) pthread_mutex_lock(&engine->device->lock);
    tagmask_status status = tm_engine_attention_get(engine, blocks, &attention, err);
    if (!status) *role = attention->role;
    if (engine->device) pthread_mutex_unlock(&engine->device->lock);
    return status ? tm_fail_prefix(err, "preset affinity_from: attention") : TAGMASK_OK;
}
