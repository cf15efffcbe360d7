#include "mask/views.h"

#include <stdlib.h>
#include <string.h>

#include "mask/map_table.h"
#include "mask/tokens.h"
#include "mask/view_cache.h"

void tm_view_clear(tm_view *view) {
    for (size_t i = 0; i < view->output_count; i++) tm_buffer_destroy(view->outputs[i].slice.buffer);
    free(view->scores);
    free(view->seen);
    view->scores = view->seen = NULL;
    view->output_count = 0;
    view->ready = false;
}

// Photo -> network input, in place where the plan wants it.
tagmask_status tm_view_record_input(const tm_views_context *context, tm_work *work, const tm_view *view,
                                    const tm_tensor *input, tm_error *err) {
    const tm_pack *pack = tm_engine_pack(context->engine, view->role);
    tm_map image;
    TM_TRY(tm_scratch_map(work, view->width, view->height, &image, err));
    TM_TRY(tm_image_resample(work, &context->base, &view->box, pack->filter, &image, err));
    if (view->edit.kind) {
        uint32_t fill = 0;  // what the network takes for zero
        for (int c = 0; c < 3; c++) fill |= (uint32_t)TM_CLAMP(pack->mean[c] + 0.5f, 0.0f, 255.0f) << (8 * c);
        tm_map plain = image;
        TM_TRY(tm_scratch_map(work, view->width, view->height, &image, err));
        TM_TRY(
            tm_edit_record(work, &view->edit, &plain, view->mask.slice.buffer ? &view->mask : NULL, fill, &image, err));
    }
    struct {
        float mean[4], scale[4];
        uint32_t width, height, mirror, divide_by_max, slot;
    } push = {
        .width = view->width, .height = view->height, .mirror = view->mirror, .divide_by_max = pack->divide_by_max};
    for (int c = 0; c < 3; c++) {
        push.mean[c] = pack->mean[c];
        push.scale[c] = 1 / pack->scale[c];
    }
    TM_TRY(tm_work_slots(work, 1, &push.slot, err));
    if (pack->divide_by_max) TM_TRY(tm_map_reduce(work, TM_REDUCE_MAX_RGB, &image, NULL, 0, push.slot, err));
    tm_map_call call = {.shader = "image/to_input",
                        .bindings = {image.slice, work->scalars, input->slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = tm_map_count(&image),
                        .flops_per_element = 12};
    return tm_map_dispatch(work, &call, err);
}

// A saliency network's map lies as it says; features may lie otherwise, and become those of places.
static tagmask_status describe_output(const tm_pack *pack, const tm_view *view, const tm_tensor *output,
                                      tm_feature_form form, tm_tensor *kept, tm_error *err) {
    const tm_token_source source = {pack, view->width, view->height};
    bool ok = output->slice.buffer && output->dtype == TM_FLOAT32 && output->shape.dim[0] == 1;
    if (ok && form != TM_FORM_PLACES && view->role != TM_ROLE_SALIENCY)
        return tm_token_places(&source, output, form, kept, err);
    *kept = *output;
    if (ok && output->shape.rank == 4) return TAGMASK_OK;
    char text[128];
    return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                   "%s: its map, or the layer that is asked for, has shape %s; expected float32 (1, channels, height, "
                   "width), or (1, tokens, channels), computed from the photo",
                   pack->model_path, tm_shape_text(&output->shape, text, sizeof text));
}

static tagmask_status keep_output(tm_work *work, const tm_pack *pack, tm_view *view, tm_tensor output,
                                  tm_feature_form form, tm_error *err) {
    tm_tensor *kept = &view->outputs[view->output_count];
    tm_buffer *buffer = NULL;
    TM_TRY(describe_output(pack, view, &output, form, kept, err));
    uint64_t bytes = tm_layout_bytes(&kept->shape, kept->layout);
    bool moved = !kept->slice.buffer;
    TM_TRY(tm_buffer_create(work->gpu, bytes, TM_MEMORY_DEVICE, &buffer, err));
    kept->slice = (tm_slice){buffer, 0, bytes};
    view->output_count++;
    if (moved) return tm_token_record(work, &output, kept, err);
    output.slice.size = bytes;
    return tm_copy(work->recorder, output.slice, kept->slice, err);
}

// Features of the source view -> input of the network's tail.
static tagmask_status record_tail_input(tm_work *work, const tm_view *view, const tm_tensor *input, tm_error *err) {
    const tm_tensor *features = &view->source->outputs[1];
    bool masked = view->edit.kind == TM_EDIT_ERASE;
    tm_map mask = {features->slice, (uint32_t)features->shape.dim[3], (uint32_t)features->shape.dim[2]};
    if (masked) {
        TM_TRY(tm_scratch_map(work, mask.width, mask.height, &mask, err));
        TM_TRY(tm_map_resize(work, &view->mask, &mask, NULL, view->mirror, err));
    }
    struct {
        uint32_t positions, channels, masked;
        float limit;
    } push = {tm_map_count(&mask), (uint32_t)features->shape.dim[1], masked, view->edit.amount[0]};
    tm_map_call call = {.shader = "cam/tail_input",
                        .constants = {features->layout == TM_C4},
                        .constant_count = 1,
                        .bindings = {features->slice, mask.slice, input->slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = (uint64_t)push.positions * push.channels,
                        .flops_per_element = 1};
    return tm_map_dispatch(work, &call, err);
}

tagmask_status tm_view_keep_map(tm_work *work, tm_view *view, const tm_map *map, tm_error *err) {
    tm_tensor *kept = &view->outputs[0];
    tm_buffer *buffer = NULL;
    TM_TRY(tm_buffer_create(work->gpu, map->slice.size, TM_MEMORY_DEVICE, &buffer, err));
    *kept = (tm_tensor){TM_FLOAT32, TM_LINEAR, {4, {1, 1, map->height, map->width}}, {buffer, 0, map->slice.size}};
    view->output_count = 1;
    return tm_copy(work->recorder, map->slice, kept->slice, err);
}

// Which graph a view runs, what it feeds it and where its features come out; SIZE_MAX: it has none.
typedef struct view_network {
    tm_graph *graph;
    tm_host_tensor input;
    size_t features_output, affinity_output;
} view_network;

static tagmask_status find_network(tagmask_engine *engine, const tm_view *view, view_network *network, tm_error *err) {
    *network = (view_network){engine->saliency_graph,
                              {TM_FLOAT32, {4, {1, 3, view->height, view->width}}, NULL},
                              (size_t)engine->saliency.output,
                              SIZE_MAX};
    if (view->role == TM_ROLE_SALIENCY) return TAGMASK_OK;
    if (view->role != TM_ROLE_CLASSIFIER) {
        const tm_engine_aide *aide = tm_engine_aide_of(engine, view->role);
        network->graph = aide->graph;
        network->features_output = aide->features_output;
        return TAGMASK_OK;
    }
    if (view->tail_dilation) {
        const tm_engine_tail *tail;
        TM_TRY(tm_engine_tail_get(engine, view->tail_dilation, view->tail_dense, &tail, err));
        network->graph = tail->graph;
        network->input.shape = view->source->outputs[1].shape;
        network->features_output = tail->features_output;
        return TAGMASK_OK;
    }
    const tm_engine_network *whole;
    TM_TRY(tm_engine_network_get(engine, TM_NETWORK_FEATURES, view->layer, &whole, err));
    network->graph = whole->graph;
    network->features_output = whole->features_output;
    network->affinity_output = whole->affinity_output;
    return TAGMASK_OK;
}

// Class scores, or maps whose means they are: read back as they lie, mean_scores does the rest.
static tagmask_status read_scores(tm_work *work, const tagmask_engine *engine, tm_view *view, const tm_plan *plan,
                                  tm_error *err) {
    const tm_pack *pack = tm_engine_pack(engine, view->role);
    tm_tensor scores = tm_plan_output(plan, (size_t)pack->output);
    size_t count = 0, classes = (size_t)engine->class_count;
    bool maps = scores.shape.rank == 4 && scores.shape.dim[1] == engine->class_count;
    if (!tm_shape_count(&scores.shape, &count) || (count != classes && !maps) || scores.layout != TM_LINEAR ||
        scores.dtype != TM_FLOAT32 || !scores.slice.buffer)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "%s: output %d has %zu elements; expected %lld class scores, float32, computed from the photo",
                       pack->model_path, (int)pack->output, count, (long long)engine->class_count);
    view->scores = tm_calloc(count, sizeof *view->scores);
    if (!view->scores) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for class scores");
    view->score_places = count / classes;
    scores.slice.size = count * 4;
    return tm_readback(work->recorder, scores.slice, view->scores, err);
}

static void mean_scores(const tagmask_engine *engine, tm_view *view) {
    for (size_t c = 0; view->score_places > 1 && c < (size_t)engine->class_count; c++) {
        double sum = 0;
        for (size_t i = 0; i < view->score_places; i++) sum += view->scores[c * view->score_places + i];
        view->scores[c] = (float)(sum / (double)view->score_places);
    }
}

static tagmask_status record_view(const tm_views_context *context, tm_work *work, tm_view *view, tm_error *err) {
    tagmask_engine *engine = context->engine;
    const tm_pack *pack = tm_engine_pack(engine, view->role);
    bool has_scores = tm_view_has_scores(view);
    view_network network;
    TM_TRY(find_network(engine, view, &network, err));
    tm_plan *plan;
    TM_TRY(tm_graph_plan(network.graph, &network.input, 1, &plan, err));
    // Scores that are maps are small beside the network, and read by the host.
    if (has_scores) TM_TRY(tm_plan_output_linear(plan, (size_t)pack->output, err));
    tm_feature_form form, affinity_form = TM_FORM_PLACES;
    bool has_affinity = network.affinity_output != SIZE_MAX;
    TM_TRY(tm_settle_form(network.graph, plan, network.features_output, &form, err));
    if (has_affinity) TM_TRY(tm_settle_form(network.graph, plan, network.affinity_output, &affinity_form, err));
    tm_tensor target = tm_plan_input(plan, 0);
    TM_TRY(view->tail_dilation ? record_tail_input(work, view, &target, err)
                               : tm_view_record_input(context, work, view, &target, err));
    TM_TRY(tm_plan_record(plan, work->recorder, err));
    tm_tensor first = tm_plan_output(plan, network.features_output);
    if (view->role == TM_ROLE_SALIENCY && first.shape.rank == 4 && first.shape.dim[1] != 1)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "%s: its map has %lld channels; expected 1", pack->model_path,
                       (long long)first.shape.dim[1]);
    TM_TRY(keep_output(work, pack, view, first, form, err));
    if (has_affinity)
        TM_TRY(keep_output(work, pack, view, tm_plan_output(plan, network.affinity_output), affinity_form, err));
    return has_scores ? read_scores(work, engine, view, plan, err) : TAGMASK_OK;
}

tagmask_status tm_view_progress(const tm_views_context *context, float part, tm_error *err) {
    if (!context->progress) return TAGMASK_OK;
    pthread_mutex_unlock(&context->engine->device->lock);
    tagmask_status status = context->progress(context->progress_user, part, err);
    pthread_mutex_lock(&context->engine->device->lock);
    return status;
}

// Reads the outputs of new views back and stores them; a cache that cannot be written is no reason to fail.
static void store_views(const tm_views_context *context, tm_view *const *views, const bool *is_new, size_t count) {
    for (size_t i = 0; i < count; i++) {
        tm_error err = TAGMASK_ERROR_INIT;
        if (is_new[i] && tm_view_cache_store(context, views[i], &err)) tm_log(TAGMASK_LOG_WARNING, "%s", err.message);
    }
}

static tagmask_status run_locked(const tm_views_context *context, tm_view *const *views, const bool *is_new,
                                 size_t count, tm_error *err) {
    tm_work work;
    TM_TRY(tm_work_begin(&work, context->engine->device->gpu, context->scratch, err));
    tagmask_status status = TAGMASK_OK;
    for (size_t i = 0; i < count && !status; i++) {
        if (is_new[i] && !views[i]->method) status = record_view(context, &work, views[i], err);
    }
    TM_TRY(tm_work_close(&work, status, err));
    for (size_t i = 0; i < count && !status; i++) {
        if (is_new[i] && views[i]->method) status = views[i]->method->make(context, views[i], err);
        if (is_new[i] && !views[i]->method) mean_scores(context->engine, views[i]);
    }
    return status;
}

tagmask_status tm_views_run(const tm_views_context *context, tm_view *const *views, size_t count, tm_error *err) {
    bool *is_new = tm_calloc(count, sizeof *is_new), any = false;
    if (!is_new) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for a list of views");
    for (size_t i = 0; i < count; i++) {
        bool listed = false;
        for (size_t k = 0; k < i && !listed; k++) listed = views[k] == views[i];
        if (listed || views[i]->ready || (context->cache_dir && tm_view_cache_load(context, views[i]))) continue;
        is_new[i] = any = true;
    }
    tagmask_status status = TAGMASK_OK;
    if (any) {
        pthread_mutex_lock(&context->engine->device->lock);
        status = run_locked(context, views, is_new, count, err);
        pthread_mutex_unlock(&context->engine->device->lock);
    }
    for (size_t i = 0; i < count; i++) {
        if (is_new[i] && status) tm_view_clear(views[i]);
        if (is_new[i] && !status) views[i]->ready = true;
    }
    if (!status && any && context->cache_dir) store_views(context, views, is_new, count);
    free(is_new);
    return status;
}
