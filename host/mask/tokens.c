#include "mask/tokens.h"

#include <stdio.h>

enum { PATCH_LEAST = 4, PATCH_MOST = 64 };

bool tm_token_grid(uint32_t width, uint32_t height, uint32_t tokens, uint32_t patch, uint32_t *columns,
                   uint32_t *rows) {
    uint32_t most = patch ? patch : PATCH_MOST, best = 0;
    for (uint32_t p = patch ? patch : PATCH_LEAST; p <= most; p++) {
        uint32_t across = width / p, down = height / p, places = across * down;
        if (places <= best || places > tokens || tokens - places > TM_MOST_OTHER_TOKENS) continue;
        *columns = across;
        *rows = down;
        best = places;
    }
    return best > 1;
}

tagmask_status tm_token_find(const tm_token_source *source, uint32_t tokens, uint32_t *columns, uint32_t *rows,
                             tm_error *err) {
    const tm_pack *pack = source->pack;
    char side[32] = "";
    if (tm_token_grid(source->width, source->height, tokens, pack->patch, columns, rows)) return TAGMASK_OK;
    if (pack->patch) (void)snprintf(side, sizeof side, " of %u px", pack->patch);
    return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                   "%s: %u tokens are no grid of patches%s of a picture of %u x %u with at most %d others before them; "
                   "pack.json's member features.patch tells the side of a patch",
                   pack->model_path, tokens, side, source->width, source->height, TM_MOST_OTHER_TOKENS);
}

tagmask_status tm_settle_form(const tm_graph *graph, tm_plan *plan, size_t output, tm_feature_form *form,
                              tm_error *err) {
    tm_shape shape = tm_plan_output(plan, output).shape;
    *form = tm_graph_form(graph, output, &shape);
    return *form == TM_FORM_PLACES ? TAGMASK_OK : tm_plan_output_linear(plan, output, err);
}

tagmask_status tm_token_places(const tm_token_source *source, const tm_tensor *tensor, tm_feature_form form,
                               tm_tensor *features, tm_error *err) {
    const int64_t *dim = tensor->shape.dim;
    uint32_t columns, rows;
    char text[128];
    if (!tm_has_features(tensor->dtype, &tensor->shape, form) || dim[1] > UINT16_MAX || dim[2] > UINT16_MAX)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "%s: the layer that is asked for has shape %s; expected float32 with more than one place",
                       source->pack->model_path, tm_shape_text(&tensor->shape, text, sizeof text));
    *features = *tensor;
    if (form == TM_FORM_PLACES) return TAGMASK_OK;
    *features = (tm_tensor){TM_FLOAT32, TM_LINEAR, {4, {1, dim[3], dim[1], dim[2]}}, {NULL, 0, 0}};
    if (form == TM_FORM_LAST) return TAGMASK_OK;
    TM_TRY(tm_token_find(source, (uint32_t)dim[1], &columns, &rows, err));
    features->shape = (tm_shape){4, {1, dim[2], rows, columns}};
    return TAGMASK_OK;
}

tagmask_status tm_token_record(tm_work *work, const tm_tensor *tensor, const tm_tensor *features, tm_error *err) {
    int64_t places = features->shape.dim[2] * features->shape.dim[3], channels = features->shape.dim[1];
    int64_t all = tensor->shape.rank == 3 ? tensor->shape.dim[1] : places;
    struct {
        uint32_t places, channels, skipped;
    } push = {(uint32_t)places, (uint32_t)channels, (uint32_t)(all - places)};
    tm_map_call call = {.shader = "cam/token_features",
                        .bindings = {tensor->slice, features->slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = (uint64_t)push.places * push.channels};
    return tm_map_dispatch(work, &call, err);
}
