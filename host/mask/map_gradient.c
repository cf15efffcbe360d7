// What the methods share that weigh a layer's features by how a class's score changes with them.
#include <stdlib.h>

#include "mask/map_table.h"
#include "mask/tokens.h"

// The score that is differentiated is one of the scores, or the mean of one of the maps (views.c).
static tagmask_status upload_seed(tm_work *work, const tagmask_engine *engine, const tm_shape *scores, uint32_t row,
                                  tm_slice to, tm_error *err) {
    size_t count, places;
    if (!tm_shape_count(scores, &count) || count % (size_t)engine->class_count)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "%s: %lld classes do not divide the scores",
                       engine->classifier.model_path, (long long)engine->class_count);
    places = count / (size_t)engine->class_count;
    float *seed = tm_calloc(count, sizeof *seed);
    if (!seed) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for %zu class scores", count);
    for (size_t i = 0; i < places; i++) seed[row * places + i] = 1 / (float)places;
    to.size = count * sizeof *seed;  // the plan's is rounded up
    tagmask_status status = tm_upload(work->recorder, to, seed, err);
    free(seed);
    return status;
}

tagmask_status tm_map_plan(tagmask_engine *engine, const tm_engine_network *network, const tm_view *view,
                           tm_plan **plan, tm_error *err) {
    const tm_value_info *declared;
    size_t count = tm_graph_inputs(network->graph, &declared);
    tm_plan *forward;
    tm_host_tensor inputs[2] = {{TM_FLOAT32, {4, {1, 3, view->height, view->width}}, NULL}, {TM_FLOAT32, {0}, NULL}};
    if (count == 2) {
        TM_TRY(tm_graph_plan(engine->network.graph, inputs, 1, &forward, err));
        inputs[1].shape = tm_plan_output(forward, (size_t)engine->classifier.output).shape;
    }
    return tm_graph_plan(network->graph, inputs, TM_MIN(count, (size_t)2), plan, err);
}

tagmask_status tm_map_record_plan(const tm_views_context *context, tm_work *work, const tm_view *view, tm_plan *plan,
                                  bool gradients, tm_error *err) {
    tm_tensor picture = tm_plan_input(plan, 0);
    TM_TRY(tm_view_record_input(context, work, view, &picture, err));
    if (gradients) {
        tm_tensor seed = tm_plan_input(plan, 1);
        TM_TRY(upload_seed(work, context->engine, &seed.shape, view->row, seed.slice, err));
    }
    return tm_plan_record(plan, work->recorder, err);
}

// Features or gradients that lie otherwise become those of places.
static tagmask_status take_places(tm_work *work, const tm_token_source *source, tm_feature_form form, tm_tensor *tensor,
                                  tm_error *err) {
    tm_tensor places;
    TM_TRY(tm_token_places(source, tensor, form, &places, err));
    if (form == TM_FORM_PLACES) return TAGMASK_OK;
    uint64_t bytes = tm_layout_bytes(&places.shape, places.layout);
    TM_TRY(tm_scratch_alloc(work->scratch, bytes, &places.slice, err));
    places.slice.size = bytes;
    TM_TRY(tm_token_record(work, tensor, &places, err));
    *tensor = places;
    return TAGMASK_OK;
}

static tagmask_status record(const tm_views_context *context, tm_work *work, tm_view *view, tm_error *err) {
    const tm_engine_network *network;
    tm_plan *plan;
    tm_map map;
    tm_feature_form form;
    TM_TRY(tm_engine_network_get(context->engine, view->method->network, view->layer, &network, err));
    TM_TRY(tm_map_plan(context->engine, network, view, &plan, err));
    TM_TRY(tm_settle_form(network->graph, plan, network->features_output, &form, err));
    if (form != TM_FORM_PLACES) TM_TRY(tm_plan_output_linear(plan, network->gradient_output, err));
    TM_TRY(tm_map_record_plan(context, work, view, plan, true, err));
    tm_tensor features = tm_plan_output(plan, network->features_output),
              gradients = tm_plan_output(plan, network->gradient_output);
    if (!features.slice.buffer || !gradients.slice.buffer || !tm_shape_equal(&features.shape, &gradients.shape))
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "%s: layer '%.200s' has no features that depend on the photo",
                       context->engine->classifier.model_path, network->layer);
    const tm_token_source source = {&context->engine->classifier, view->width, view->height};
    TM_TRY(take_places(work, &source, form, &features, err));
    TM_TRY(take_places(work, &source, form, &gradients, err));
    TM_TRY(view->method->of_gradients(work, &features, &gradients, &map, err));
    return tm_view_keep_map(work, view, &map, err);
}

tagmask_status tm_map_make_of_gradients(const tm_views_context *context, tm_view *view, tm_error *err) {
    tm_work work;
    TM_TRY(tm_work_begin(&work, context->engine->device->gpu, context->scratch, err));
    return tm_work_close(&work, record(context, &work, view, err), err);
}

// A dispatch of two tensors with one result a channel, a place or an element.
static tagmask_status dispatch(tm_work *work, const char *shader, uint32_t rule, const tm_tensor *features,
                               const tm_tensor *gradients, tm_slice target, uint64_t elements, tm_error *err) {
    struct {
        uint32_t places, channels;
    } push = {(uint32_t)(features->shape.dim[2] * features->shape.dim[3]), (uint32_t)features->shape.dim[1]};
    tm_map_call call = {.shader = shader,
                        .constants = {features->layout == TM_C4, gradients->layout == TM_C4, rule},
                        .constant_count = 3,
                        .bindings = {features->slice, gradients->slice, target},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = elements,
                        .flops_per_element = 4.0 * push.places * push.channels / (double)elements};
    return tm_map_dispatch(work, &call, err);
}

tagmask_status tm_map_channel_weights(tm_work *work, const tm_tensor *features, const tm_tensor *gradients,
                                      tm_channel_rule rule, tm_slice *weights, tm_error *err) {
    uint64_t channels = (uint64_t)features->shape.dim[1];
    TM_TRY(tm_scratch_alloc(work->scratch, channels * 4, weights, err));
    weights->size = channels * 4;
    return dispatch(work, "cam/gradient_weights", (uint32_t)rule, features, gradients, *weights, channels, err);
}

tagmask_status tm_map_products(tm_work *work, const tm_tensor *features, const tm_tensor *gradients,
                               tm_product_rule rule, tm_map *map, tm_error *err) {
    TM_TRY(tm_scratch_map(work, (uint32_t)features->shape.dim[3], (uint32_t)features->shape.dim[2], map, err));
    return dispatch(work, "cam/gradient_products", (uint32_t)rule, features, gradients, map->slice, tm_map_count(map),
                    err);
}

tagmask_status tm_map_times(tm_work *work, const tm_tensor *features, const tm_tensor *gradients, tm_tensor *products,
                            tm_error *err) {
    size_t count;
    if (!tm_shape_count(&features->shape, &count)) return tm_fail(err, TAGMASK_ERROR_INTERNAL, "a shape is unknown");
    *products = (tm_tensor){TM_FLOAT32, TM_LINEAR, features->shape, {NULL, 0, 0}};
    TM_TRY(tm_scratch_alloc(work->scratch, (uint64_t)count * 4, &products->slice, err));
    products->slice.size = (uint64_t)count * 4;
    return dispatch(work, "cam/gradient_times", 0, features, gradients, products->slice, count, err);
}
