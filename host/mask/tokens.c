#include "mask/tokens.h"

#include <stdio.h>

enum { PATCH_LEAST = 4, PATCH_MOST = 64 };

// The grid of patches of this side; false: there are not so many tokens, or too many.
static bool fits(uint32_t width, uint32_t height, uint32_t tokens, uint32_t patch, uint32_t *columns, uint32_t *rows) {
    *columns = width / patch;
    *rows = height / patch;
    uint32_t places = *columns * *rows;
    return places > 1 && places <= tokens && tokens - places <= TM_MOST_OTHER_TOKENS;
}

// Patches that cover the picture go before others, of which all must give one grid: what is not clear is not guessed.
bool tm_token_grid(uint32_t width, uint32_t height, uint32_t tokens, uint32_t patch, uint32_t *columns,
                   uint32_t *rows) {
    uint32_t across, down, grids = 0, most = patch ? patch : PATCH_MOST;
    for (int covers = 1; covers >= 0 && !grids; covers--) {
        for (uint32_t p = patch ? patch : PATCH_LEAST; p <= most; p++) {
            bool whole = width % p == 0 && height % p == 0;
            if ((covers && !whole) || !fits(width, height, tokens, p, &across, &down)) continue;
            grids += !grids || across != *columns || down != *rows;
            *columns = across;
            *rows = down;
        }
    }
    return grids == 1;
}

tagmask_status tm_token_find(const tm_token_source *source, uint32_t tokens, uint32_t *columns, uint32_t *rows,
                             tm_error *err) {
    const tm_pack *pack = source->pack;
    char side[32] = ", or not clearly one, of patches";
    if (tm_token_grid(source->width, source->height, tokens, pack->patch, columns, rows)) return TAGMASK_OK;
    if (pack->patch) (void)snprintf(side, sizeof side, " of patches of %u px", pack->patch);
    return tm_fail(
        err, TAGMASK_ERROR_UNSUPPORTED,
        "%s: %u tokens are no grid%s of a picture of %u x %u with at most %d others before them; pack.json's "
        "member features.patch tells the side of a patch",
        pack->model_path, tokens, side, source->width, source->height, TM_MOST_OTHER_TOKENS);
}

tagmask_status tm_attention_shape(const tm_pack *pack, size_t at, const tm_shape *shape, uint32_t *heads,
                                  uint32_t *tokens, tm_error *err) {
    const int64_t *dim = shape->dim + (shape->rank > 3);
    bool one = shape->rank == 3 || (shape->rank == 4 && shape->dim[0] == 1);
    char text[128];
    if (!one || dim[1] != dim[2] || dim[1] < 1 || dim[1] > UINT16_MAX || dim[0] < 1 || dim[0] > UINT16_MAX)
        return tm_fail(
            err, TAGMASK_ERROR_UNSUPPORTED,
            "%s: attention block %zu has shape %s; expected heads x tokens x tokens of the whole picture, not "
            "of windows",
            pack->model_path, at + 1, tm_shape_text(shape, text, sizeof text));
    *heads = (uint32_t)dim[0];
    *tokens = (uint32_t)dim[1];
    return TAGMASK_OK;
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
