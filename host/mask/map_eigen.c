// Eigen-CAM (Muhammad and Yeasin, "Eigen-CAM: Class Activation Map using Principal Components", IJCNN 2020): the
// places' positions along the first principal component of a layer's features, whatever the class. The features are
// centred first, as in pytorch-grad-cam. A component has no sign of its own: this one points to where the features are
// strong.
#include "mask/map_table.h"

// Power steps with momentum (De Sa et al., "Accelerated Stochastic Power Iteration", AISTATS 2018): components with
// less than CLOSE of the first one's variance lose a factor of (1 + sqrt(1 - CLOSE^2)) / CLOSE, 1.19, a step on it,
// where plain steps lose the ratio of both variances, which photos have as near to 1 as 0.96.
enum { STEPS = 100 };
static const float CLOSE = 0.985f;

enum { FIRST = 0, STEP, LAST };  // modes of cam/eigen_unit

typedef struct eigen {
    tm_work *work;
    const tm_tensor *features;
    uint32_t places, channels;
    tm_map vector, start, last, before;  // by place
    tm_slice weights;                    // by channel
} eigen;

static tagmask_status project(const eigen *e, bool to_channels, bool start, tm_error *err) {
    struct {
        uint32_t places, channels;
    } push = {e->places, e->channels};
    tm_map_call call = {.shader = to_channels ? "cam/eigen_channels" : "cam/eigen_places",
                        .constants = {e->features->layout == TM_C4, start},
                        .constant_count = to_channels ? 1 : 2,
                        .bindings = {e->features->slice, to_channels ? e->vector.slice : e->weights,
                                     to_channels ? e->weights : e->vector.slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = to_channels ? e->channels : e->places,
                        .flops_per_element = 2.0 * (to_channels ? e->places : e->channels)};
    return tm_map_dispatch(e->work, &call, err);
}

static tagmask_status make_unit(const eigen *e, uint32_t mode, tm_error *err) {
    struct {
        uint32_t places;
        float momentum;
    } push = {e->places, CLOSE * CLOSE / 4};
    tm_dispatch_info info = {.bindings = {e->vector.slice, e->start.slice, e->last.slice, e->before.slice},
                             .push = &push,
                             .push_size = sizeof push,
                             .groups = {1, 1, 1},
                             .flops = 12.0 * e->places,
                             .label = "cam/eigen_unit"};
    TM_TRY(tm_pipeline_get(e->work->gpu, "cam/eigen_unit", &mode, 1, &info.pipeline, err));
    return tm_dispatch(e->work->recorder, &info, err);
}

tagmask_status tm_map_principal(tm_work *work, const tm_tensor *features, tm_map *map, tm_error *err) {
    uint32_t width = (uint32_t)features->shape.dim[3], height = (uint32_t)features->shape.dim[2];
    eigen e = {.work = work, .features = features, .places = width * height};
    e.channels = (uint32_t)features->shape.dim[1];
    tm_map *const vectors[] = {&e.vector, &e.start, &e.last, &e.before};
    for (size_t i = 0; i < TM_ARRAY_LEN(vectors); i++) TM_TRY(tm_scratch_map(work, width, height, vectors[i], err));
    TM_TRY(tm_scratch_alloc(work->scratch, (uint64_t)e.channels * 4, &e.weights, err));
    TM_TRY(project(&e, false, true, err));
    TM_TRY(make_unit(&e, FIRST, err));
    TM_TRY(tm_copy(work->recorder, e.vector.slice, e.start.slice, err));
    for (int step = 0; step < STEPS; step++) {
        if (step) TM_TRY(make_unit(&e, STEP, err));
        TM_TRY(project(&e, true, false, err));
        TM_TRY(project(&e, false, false, err));
    }
    *map = e.vector;
    return make_unit(&e, LAST, err);
}

static tagmask_status make(const tm_views_context *context, tm_view *view, tm_error *err) {
    tm_work work;
    tm_map map;
    TM_TRY(tm_work_begin(&work, context->engine->device->gpu, context->scratch, err));
    tagmask_status status = tm_map_principal(&work, &view->source->outputs[0], &map, err);
    if (!status) status = tm_view_keep_map(&work, view, &map, err);
    return tm_work_close(&work, status, err);
}

const tm_map_method tm_map_eigencam = {
    .name = "eigencam", .needs = TM_MAP_FEATURES, .of_layer = true, .revision = 1, .make = make};
