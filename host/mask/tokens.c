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

tagmask_status tm_token_places(const tm_token_source *source, const tm_shape *tokens, tm_tensor *features,
                               tm_error *err) {
    uint32_t columns, rows;
    char text[128];
    if (!tm_has_tokens(TM_FLOAT32, tokens) || tokens->dim[1] > UINT16_MAX || tokens->dim[2] > UINT16_MAX)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "%s: the layer that is asked for has shape %s; expected 1 x tokens x channels",
                       source->pack->model_path, tm_shape_text(tokens, text, sizeof text));
    TM_TRY(tm_token_find(source, (uint32_t)tokens->dim[1], &columns, &rows, err));
    *features = (tm_tensor){TM_FLOAT32, TM_LINEAR, {4, {1, tokens->dim[2], rows, columns}}, {NULL, 0, 0}};
    return TAGMASK_OK;
}

tagmask_status tm_token_record(tm_work *work, const tm_tensor *tokens, const tm_tensor *features, tm_error *err) {
    int64_t places = features->shape.dim[2] * features->shape.dim[3];
    struct {
        uint32_t places, channels, skipped;
    } push = {(uint32_t)places, (uint32_t)features->shape.dim[1], (uint32_t)(tokens->shape.dim[1] - places)};
    tm_map_call call = {.shader = "cam/token_features",
                        .bindings = {tokens->slice, features->slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = (uint64_t)push.places * push.channels};
    return tm_map_dispatch(work, &call, err);
}
