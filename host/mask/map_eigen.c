// Eigen-CAM (Muhammad and Yeasin, "Eigen-CAM: Class Activation Map using Principal Components", IJCNN 2020): the
// places' positions along the first principal component of a layer's features, whatever the class. The features are
// centred first, as in pytorch-grad-cam. A component has no sign of its own: this one points to where the features are
// strong.
#include "mask/map_table.h"

// The share of the second component that is left after so many power steps is (its variance / the first's)^STEPS.
enum { STEPS = 100 };

typedef struct eigen {
    tm_work *work;
    const tm_tensor *features;
    uint32_t places, channels;
    tm_map vector, start;  // by place
    tm_slice weights;      // by channel
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

static tagmask_status make_unit(const eigen *e, bool last, tm_error *err) {
    tm_dispatch_info info = {.bindings = {e->vector.slice, last ? e->start.slice : e->vector.slice},
                             .push = &e->places,
                             .push_size = sizeof e->places,
                             .groups = {1, 1, 1},
                             .flops = 10.0 * e->places,
                             .label = "cam/eigen_unit"};
    uint32_t constant = last;
    TM_TRY(tm_pipeline_get(e->work->gpu, "cam/eigen_unit", &constant, 1, &info.pipeline, err));
    return tm_dispatch(e->work->recorder, &info, err);
}

tagmask_status tm_map_principal(tm_work *work, const tm_tensor *features, tm_map *map, tm_error *err) {
    uint32_t width = (uint32_t)features->shape.dim[3], height = (uint32_t)features->shape.dim[2];
    eigen e = {.work = work, .features = features, .places = width * height};
    e.channels = (uint32_t)features->shape.dim[1];
    TM_TRY(tm_scratch_map(work, width, height, &e.vector, err));
    TM_TRY(tm_scratch_map(work, width, height, &e.start, err));
    TM_TRY(tm_scratch_alloc(work->scratch, (uint64_t)e.channels * 4, &e.weights, err));
    TM_TRY(project(&e, false, true, err));
    TM_TRY(make_unit(&e, false, err));
    TM_TRY(tm_copy(work->recorder, e.vector.slice, e.start.slice, err));
    for (int step = 0; step < STEPS; step++) {
        if (step) TM_TRY(make_unit(&e, false, err));
        TM_TRY(project(&e, true, false, err));
        TM_TRY(project(&e, false, false, err));
    }
    *map = e.vector;
    return make_unit(&e, true, err);
}

static tagmask_status make(const tm_views_context *context, tm_view *view, tm_error *err) {
    tm_work work;
    tm_map map;
    TM_TRY(tm_work_begin(&work, context->engine->device->gpu, context->scratch, err));
    tagmask_status status = tm_map_principal(&work, &view->source->outputs[0], &map, err);
    if (!status) status = tm_view_keep_map(&work, view, &map, err);
    return tm_work_close(&work, status, err);
}

const tm_map_method tm_map_eigencam = {.name = "eigencam", .needs = TM_MAP_FEATURES, .of_layer = true, .make = make};
