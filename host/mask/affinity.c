// A class activation map spread over places whose features are alike, and sharpened by what the features can tell.
#include "mask/cam.h"
#include "mask/map_table.h"

enum { MOST_PLACES = 16384, MOST_RIDGE_CHANNELS = 256 };  // of an affinity layer; as in ridge_solve.comp

// The features' grid: unit features [ceil(C/4)][positions] vec4.
typedef struct grid {
    tm_map unit;
    uint32_t positions, channels, width, height;
} grid;

tagmask_status tm_feature_means(tm_work *work, const tm_tensor *features, tm_map *means, tm_error *err) {
    struct {
        uint32_t positions, channels;
    } push = {(uint32_t)(features->shape.dim[2] * features->shape.dim[3]), (uint32_t)features->shape.dim[1]};
    TM_TRY(tm_scratch_map(work, push.channels, 1, means, err));
    tm_map_call call = {.shader = "cam/feature_means",
                        .constants = {features->layout == TM_C4},
                        .constant_count = 1,
                        .bindings = {features->slice, means->slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = push.channels,
                        .flops_per_element = push.positions};
    return tm_map_dispatch(work, &call, err);
}

static tagmask_status record_unit(tm_work *work, const tm_tensor *features, bool centred, grid *g, tm_error *err) {
    g->channels = (uint32_t)features->shape.dim[1];
    g->width = (uint32_t)features->shape.dim[3];
    g->height = (uint32_t)features->shape.dim[2];
    g->positions = g->width * g->height;
    TM_TRY(tm_scratch_map(work, g->width, g->height * tm_div_up(g->channels, 4) * 4, &g->unit, err));
    tm_map means = {features->slice, 0, 0};  // a binding that is not read
    if (centred) TM_TRY(tm_feature_means(work, features, &means, err));
    struct {
        uint32_t positions, channels;
    } push = {g->positions, g->channels};
    tm_map_call call = {.shader = "cam/unit_features",
                        .constants = {features->layout == TM_C4, centred},
                        .constant_count = 2,
                        .bindings = {features->slice, g->unit.slice, means.slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = push.positions,
                        .flops_per_element = 4.0 * push.channels};
    return tm_map_dispatch(work, &call, err);
}

// Steps of the random walk; *map becomes the one after the last.
static tagmask_status walk(tm_work *work, const grid *g, const tm_affinity *how, tm_map *map, tm_error *err) {
    tm_map other;
    TM_TRY(tm_scratch_map(work, g->width, g->height, &other, err));
    struct {
        uint32_t positions, groups;
        float temperature;
    } push = {g->positions, tm_div_up(g->channels, 4), how->temperature};
    bool texels = tm_map_by_texels(work, &g->unit.slice, 1);
    uint32_t places = texels ? 8 : 1;  // an invocation's, as in the shaders
    tm_map_call call = {.shader = texels ? "cam/affinity_texel" : "cam/affinity",
                        .bindings = {g->unit.slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = tm_div_up(push.positions, places),
                        .flops_per_element = 2.0 * g->channels * push.positions * places};
    for (uint32_t step = 0; step < how->steps; step++) {
        call.bindings[1] = map->slice;
        call.bindings[2] = other.slice;
        TM_TRY(tm_map_dispatch(work, &call, err));
        tm_map last = *map;
        *map = other;
        other = last;
    }
    return TAGMASK_OK;
}

static tagmask_status record_products(tm_work *work, const grid *g, const tm_map *map, const tm_map *products,
                                      tm_error *err) {
    struct {
        uint32_t positions, groups;
    } push = {g->positions, products->width / 4};
    tm_map_call call = {.shader = tm_map_by_texels(work, &g->unit.slice, 1) ? "cam/ridge_gram_texel" : "cam/ridge_gram",
                        .bindings = {g->unit.slice, map->slice, products->slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = (uint64_t)push.groups * (push.groups + 1) / 2,
                        .flops_per_element = 32.0 * g->positions};
    return tm_map_dispatch(work, &call, err);
}

static tagmask_status record_weights(tm_work *work, const grid *g, float lambda, const tm_map *products,
                                     const tm_map *weights, tm_error *err) {
    struct {
        uint32_t channels, side;
        float lambda;
    } push = {g->channels, products->width, lambda};
    tm_dispatch_info solve = {.bindings = {products->slice, weights->slice},
                              .push = &push,
                              .push_size = sizeof push,
                              .groups = {1, 1, 1},
                              .label = "cam/ridge_solve"};
    TM_TRY(tm_pipeline_get(work->gpu, "cam/ridge_solve", NULL, 0, &solve.pipeline, err));
    return tm_dispatch(work->recorder, &solve, err);
}

// What a ridge regression of the map on the features predicts (Hoerl and Kennard 1970): places that look like those
// where the map is high.
static tagmask_status predict(tm_work *work, const grid *g, float lambda, const tm_map *map, const tm_map *target,
                              tm_error *err) {
    tm_map normalized, products, weights;
    uint32_t side = (tm_div_up(g->channels, 4) + 1) * 4;
    TM_TRY(tm_scratch_map(work, g->width, g->height, &normalized, err));
    TM_TRY(tm_scratch_map(work, side, side, &products, err));
    TM_TRY(tm_scratch_map(work, side, 1, &weights, err));
    TM_TRY(tm_map_normalize(work, map, &normalized, err));
    TM_TRY(record_products(work, g, &normalized, &products, err));
    TM_TRY(record_weights(work, g, lambda, &products, &weights, err));
    struct {
        uint32_t positions, groups;
    } push = {g->positions, side / 4 - 1};
    tm_map_call call = {.shader = "cam/ridge_predict",
                        .bindings = {g->unit.slice, weights.slice, target->slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = push.positions,
                        .flops_per_element = 8.0 * push.groups};
    return tm_map_dispatch(work, &call, err);
}

// The same random walk by a matrix that is there already: the view is that of attention (affinity_attention.c).
static tagmask_status walk_by_matrix(tm_work *work, const tm_view *view, const tm_affinity *how, const tm_map *source,
                                     const tm_map *target, tm_error *err) {
    const tm_tensor *matrix = &view->outputs[0];
    tm_map low;
    TM_TRY(tm_scratch_map(work, (uint32_t)matrix->shape.dim[3], (uint32_t)matrix->shape.dim[2], &low, err));
    TM_TRY(tm_map_resize(work, source, &low, NULL, view->mirror, err));
    for (uint32_t step = 0; step < how->steps; step++) TM_TRY(tm_map_weighted(work, matrix, low.slice, &low, err));
    TM_TRY(tm_map_resize(work, &low, target, NULL, view->mirror, err));
    return tm_map_normalize(work, target, target, err);
}

tagmask_status tm_affinity_record(tm_work *work, const tm_view *view, const tm_affinity *how, const tm_map *source,
                                  const tm_map *target, tm_error *err) {
    if (view->method) return walk_by_matrix(work, view, how, source, target, err);
    const tm_tensor *features = &view->outputs[view->role == TM_ROLE_CLASSIFIER];
    if (features->shape.dim[2] * features->shape.dim[3] > MOST_PLACES)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "the affinity layer has %lld x %lld places, which are compared in pairs; expected at most %d: a "
                       "layer of about a sixteenth of the input",
                       (long long)features->shape.dim[3], (long long)features->shape.dim[2], MOST_PLACES);
    grid g;
    tm_map low;
    TM_TRY(record_unit(work, features, how->centred, &g, err));
    TM_TRY(tm_scratch_map(work, g.width, g.height, &low, err));
    TM_TRY(tm_map_resize(work, source, &low, NULL, view->mirror, err));
    TM_TRY(walk(work, &g, how, &low, err));
    TM_TRY(tm_map_resize(work, &low, target, NULL, view->mirror, err));
    TM_TRY(tm_map_normalize(work, target, target, err));
    if (!(how->ridge > 0) || g.channels > MOST_RIDGE_CHANNELS) return TAGMASK_OK;
    tm_map predicted, large;
    TM_TRY(tm_scratch_map(work, g.width, g.height, &predicted, err));
    TM_TRY(predict(work, &g, how->ridge, &low, &predicted, err));
    TM_TRY(tm_scratch_map(work, target->width, target->height, &large, err));
    TM_TRY(tm_map_resize(work, &predicted, &large, NULL, view->mirror, err));
    TM_TRY(tm_cam_combine(work, &large, TM_CAM_TIMES, 0.5f, target, err));
    return tm_map_normalize(work, target, target, err);
}
