// Whether a pack's network is one that photos can pass through, told when it is loaded and not for every photo.
#include <stdio.h>

#include "mask/engine.h"

#define EXPECTED "expected one input for the photo, 1 x 3 x height x width of float32"

tagmask_status tm_engine_check_input(const tm_pack *pack, const tm_graph *graph, tm_error *err) {
    const tm_value_info *inputs;
    char text[128];
    size_t count = tm_graph_inputs(graph, &inputs);
    const char *wrong = tm_graph_nan_weight(graph);
    if (wrong)
        return tm_fail(
            err, TAGMASK_ERROR_FORMAT,
            "%s: weight '%.200s' holds numbers that are not finite (NaN): the file is damaged, or the training "
            "went wrong",
            pack->model_path, wrong);
    if (count != 1)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "%s: the network has %zu inputs, the last is '%.80s'; " EXPECTED,
                       pack->model_path, count, count ? inputs[count - 1].name : "");
    const tm_dtype dtype = inputs[0].dtype;
    if (dtype != TM_FLOAT32 && dtype != TM_FLOAT16 && dtype != TM_BFLOAT16 && dtype != TM_FLOAT64)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "%s: the input '%.80s' is of whole numbers; " EXPECTED,
                       pack->model_path, inputs[0].name);
    const tm_shape *shape = &inputs[0].shape;
    bool last = shape->rank == 4 && shape->dim[1] != 3 && shape->dim[3] == 3;
    if (shape->rank < 0 || (shape->rank == 4 && !last && (shape->dim[1] < 0 || shape->dim[1] == 3))) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "%s: the input '%.80s' has shape %s; " EXPECTED "%s",
                   pack->model_path, inputs[0].name, tm_shape_text(shape, text, sizeof text),
                   last ? ": export the network with channels before height and width" : "");
}

// The index that pack.json gives must be one of the model's own outputs, of which there are those that were not asked
// for.
tagmask_status tm_engine_check_network(const tm_pack *pack, const tm_graph *graph, size_t asked_for, tm_error *err) {
    const tm_value_info *outputs;
    size_t count = tm_graph_outputs(graph, &outputs) - asked_for;
    TM_TRY(tm_engine_check_input(pack, graph, err));
    if ((size_t)pack->output < count) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_FORMAT,
                   "%s/pack.json: member \"output\" is %d, but the network has %zu output%s; expected 0..%zu",
                   pack->folder, (int)pack->output, count, count == 1 ? "" : "s", count ? count - 1 : 0);
}

// Many networks declare the size of their export and take any other. Those that do not have the declared one.
void tm_engine_settle_size(tm_pack *pack, tm_graph *graph) {
    const tm_value_info *inputs;
    if (pack->width || tm_graph_inputs(graph, &inputs) != 1 || inputs[0].shape.rank != 4) return;
    int64_t height = inputs[0].shape.dim[2], width = inputs[0].shape.dim[3];
    if (TM_MIN(height, width) < TM_MIN_INPUT || TM_MAX(height, width) > TM_MAX_INPUT) return;
    tm_plan *plan;
    tm_error unused = TAGMASK_ERROR_INIT;
    int64_t other =
        (int64_t)tm_align_up(height == TM_USUAL_SIDE ? 2 * TM_USUAL_SIDE : TM_USUAL_SIDE, pack->multiple_of);
    const tm_host_tensor input = {TM_FLOAT32, {4, {1, 3, other, other}}, NULL};
    tagmask_status status = tm_graph_plan(graph, &input, 1, &plan, &unused);
    if (status == TAGMASK_OK || status == TAGMASK_ERROR_MEMORY) return;
    pack->height = (uint32_t)height;
    pack->width = (uint32_t)width;
}

static bool loads_with(const tm_pack *pack, const char *layer, tm_error *err) {
    tm_graph *graph = NULL;
    tagmask_status status = tm_graph_load(NULL, pack->model_path, &layer, layer ? 1 : 0, &graph, err);
    tm_graph_free(graph);
    return status != TAGMASK_ERROR_FORMAT;
}

tagmask_status tm_engine_name_layer(const tm_pack *pack, tagmask_status status, tm_error *err) {
    const char *const layers[][2] = {{"cam.layer", pack->cam_layer},
                                     {"affinity.layer", pack->affinity_layer},
                                     {"features.layer", pack->features_layer}};
    tm_error own = TAGMASK_ERROR_INIT;
    if (status != TAGMASK_ERROR_FORMAT || !loads_with(pack, NULL, &own)) return status;
    for (size_t i = 0; i < TM_ARRAY_LEN(layers); i++) {
        if (layers[i][1] && !loads_with(pack, layers[i][1], &own))
            return tm_fail(err, status, "%s/pack.json: member \"%s\": %s", pack->folder, layers[i][0], own.message);
    }
    return status;
}
