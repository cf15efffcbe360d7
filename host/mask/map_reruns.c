#include "mask/map_reruns.h"

#include <stdlib.h>
#include <string.h>

// Runs in one recording: few enough that a host which stops need not wait long, and that scratch memory stays small.
enum { RUNS_AT_ONCE = 8 };

typedef struct reruns {
    const tm_views_context *context;
    tm_view *view;
    const tm_rerun_kind *kind;
    const tm_tensor *features;
    tm_graph *graph;
    tm_buffer *picture;  // NULL unless kind->of_picture
    uint32_t *order;     // channels to try
    size_t count, places;
    float *scores;  // of each run, `places` numbers whose mean is the class's score
} reruns;

// ---- Which channels

typedef struct ranked {
    float energy;
    uint32_t channel;
} ranked;

static int by_energy(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->energy != y->energy) return x->energy < y->energy ? 1 : -1;
    return x->channel < y->channel ? -1 : 1;
}

tagmask_status tm_channel_energies(tm_work *work, const tm_tensor *features, tm_slice *energies, tm_error *err) {
    struct {
        uint32_t places, channels;
    } push = {(uint32_t)(features->shape.dim[2] * features->shape.dim[3]), (uint32_t)features->shape.dim[1]};
    TM_TRY(tm_scratch_alloc(work->scratch, (uint64_t)push.channels * 4, energies, err));
    energies->size = (uint64_t)push.channels * 4;
    tm_map_call call = {.shader = "cam/channel_energy",
                        .constants = {features->layout == TM_C4},
                        .constant_count = 1,
                        .bindings = {features->slice, *energies},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = push.channels,
                        .flops_per_element = 2.0 * push.places};
    return tm_map_dispatch(work, &call, err);
}

static tagmask_status record_start(reruns *r, tm_work *work, float *energies, tm_error *err) {
    tm_slice found;
    TM_TRY(tm_channel_energies(work, r->features, &found, err));
    TM_TRY(tm_readback(work->recorder, found, energies, err));
    if (!r->kind->of_picture) return TAGMASK_OK;
    uint64_t bytes = (uint64_t)r->view->width * r->view->height * 12;
    TM_TRY(tm_buffer_create(work->gpu, bytes, TM_MEMORY_DEVICE, &r->picture, err));
    const tm_tensor picture = {
        TM_FLOAT32, TM_LINEAR, {4, {1, 3, r->view->height, r->view->width}}, {r->picture, 0, bytes}};
    return tm_view_record_input(r->context, work, r->view, &picture, err);
}

// The channels, those with the most energy first, and the picture where the runs need it.
static tagmask_status start(reruns *r, tm_error *err) {
    size_t channels = (size_t)r->features->shape.dim[1];
    float *energies = tm_calloc(channels, sizeof *energies);
    ranked *all = tm_calloc(channels, sizeof *all);
    r->order = tm_calloc(channels, sizeof *r->order);
    tagmask_status status = TAGMASK_OK;
    tm_work work;
    if (!energies || !all || !r->order)
        status = tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for %zu channels", channels);
    if (!status) status = tm_work_begin(&work, r->context->engine->device->gpu, r->context->scratch, err);
    if (!status) status = tm_work_close(&work, record_start(r, &work, energies, err), err);
    if (!status) {
        for (size_t k = 0; k < channels; k++) all[k] = (ranked){energies[k], (uint32_t)k};
        qsort(all, channels, sizeof *all, by_energy);
        r->count = r->view->option ? TM_MIN(channels, (size_t)r->view->option) : channels;
        for (size_t k = 0; k < r->count; k++) r->order[k] = all[k].channel;
    }
    free(energies);
    free(all);
    return status;
}

// ---- The runs

static tagmask_status record_run(reruns *r, tm_work *work, uint32_t channel, float *scores, tm_error *err) {
    const tagmask_engine *engine = r->context->engine;
    size_t output = (size_t)engine->classifier.output;
    tm_host_tensor shape = {TM_FLOAT32, r->features->shape, NULL};
    if (r->kind->of_picture) shape.shape = (tm_shape){4, {1, 3, r->view->height, r->view->width}};
    tm_plan *plan;
    TM_TRY(tm_graph_plan(r->graph, &shape, 1, &plan, err));
    TM_TRY(tm_plan_output_linear(plan, output, err));
    tm_rerun run = {.features = r->features, .input = tm_plan_input(plan, 0), .channel = channel};
    if (r->picture) {
        run.picture = run.input;
        run.picture.slice = tm_slice_all(r->picture);
    }
    TM_TRY(r->kind->record_input(work, &run, err));
    TM_TRY(tm_plan_record(plan, work->recorder, err));
    tm_tensor made = tm_plan_output(plan, output);
    size_t count = 0;
    if (!tm_shape_count(&made.shape, &count) || count != r->places * (size_t)engine->class_count || !made.slice.buffer)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "%s: the network's scores are not computed from its layers",
                       engine->classifier.model_path);
    tm_slice own = {made.slice.buffer, made.slice.offset + (uint64_t)r->view->row * r->places * 4, r->places * 4};
    return tm_readback(work->recorder, own, scores, err);
}

// Runs first..end - 1; with a plain one, that is the first.
static tagmask_status run_some(reruns *r, size_t first, size_t end, tm_error *err) {
    tm_work work;
    size_t plain = r->kind->plain;
    TM_TRY(tm_work_begin(&work, r->context->engine->device->gpu, r->context->scratch, err));
    tagmask_status status = TAGMASK_OK;
    for (size_t i = first; i < end && !status; i++) {
        uint32_t channel = i < plain ? TM_NO_CHANNEL : r->order[i - plain];
        status = record_run(r, &work, channel, r->scores + i * r->places, err);
    }
    return tm_work_close(&work, status, err);
}

static double mean_of(const reruns *r, size_t run) {
    double sum = 0;
    for (size_t i = 0; i < r->places; i++) sum += r->scores[run * r->places + i];
    return sum / (double)r->places;
}

static tagmask_status run_all(reruns *r, double *weights, tm_error *err) {
    size_t plain = r->kind->plain, runs = r->count + plain;
    r->scores = tm_calloc(runs * r->places, sizeof *r->scores);
    if (!r->scores) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the scores of %zu runs", runs);
    for (size_t i = 0; i < runs; i += RUNS_AT_ONCE) {
        if (i) TM_TRY(tm_view_progress(r->context, (float)i / (float)runs, err));
        TM_TRY(run_some(r, i, TM_MIN(runs, i + RUNS_AT_ONCE), err));
    }
    for (size_t k = 0; k < r->count; k++) weights[k] = mean_of(r, k + plain);
    r->kind->weigh(plain ? mean_of(r, 0) : 0, weights, r->count);
    return TAGMASK_OK;
}

// ---- The map

static tagmask_status record_map(reruns *r, tm_work *work, const float *weights, tm_error *err) {
    tm_slice slice;
    tm_map map;
    uint64_t bytes = (uint64_t)r->features->shape.dim[1] * 4;
    TM_TRY(tm_scratch_alloc(work->scratch, bytes, &slice, err));
    slice.size = bytes;
    TM_TRY(tm_upload(work->recorder, slice, weights, err));
    TM_TRY(tm_map_weighted(work, r->features, slice, &map, err));
    return tm_view_keep_map(work, r->view, &map, err);
}

static tagmask_status keep(reruns *r, const double *some, tm_error *err) {
    float *weights = tm_calloc((size_t)r->features->shape.dim[1], sizeof *weights);
    if (!weights) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the weights of channels");
    for (size_t k = 0; k < r->count; k++) weights[r->order[k]] = (float)some[k];
    tm_work work;
    tagmask_status status = tm_work_begin(&work, r->context->engine->device->gpu, r->context->scratch, err);
    if (!status) status = tm_work_close(&work, record_map(r, &work, weights, err), err);
    free(weights);
    return status;
}

tagmask_status tm_map_make_of_reruns(const tm_views_context *context, tm_view *view, const tm_rerun_kind *kind,
                                     tm_error *err) {
    const tm_engine_network *network;
    TM_TRY(tm_engine_network_get(context->engine, view->method->network, view->layer, &network, err));
    reruns r = {.context = context,
                .view = view,
                .kind = kind,
                .features = &view->source->outputs[0],
                .graph = network->graph,
                .places = view->source->score_places ? view->source->score_places : 1};
    tagmask_status status = start(&r, err);
    double *weights = status ? NULL : tm_calloc(r.count, sizeof *weights);
    if (!status && !weights) status = tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the weights of channels");
    if (!status) status = run_all(&r, weights, err);
    if (!status) status = keep(&r, weights, err);
    tm_buffer_destroy(r.picture);
    free(r.order);
    free(r.scores);
    free(weights);
    return status;
}
