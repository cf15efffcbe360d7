#include "mask/cam.h"

#include <string.h>

enum { MOST_PLACES = 16384 };  // of an affinity layer

static bool contains(const int32_t *classes, size_t count, size_t wanted) {
    for (size_t i = 0; i < count; i++) {
        if ((size_t)classes[i] == wanted) return true;
    }
    return false;
}

void tm_cam_choose(const float *scores, size_t class_count, const int32_t *classes, size_t tag_classes, uint32_t rivals,
                   tm_cam_rows *rows) {
    uint32_t best = (uint32_t)classes[0];
    for (size_t i = 1; i < tag_classes; i++) {
        if (scores[classes[i]] > scores[best]) best = (uint32_t)classes[i];
    }
    rows->rows[0] = best;
    rows->rivals = 0;
    // Insertion into a short descending list: ties keep the lower index first.
    for (size_t c = 0; c < class_count && rivals; c++) {
        uint32_t at = rows->rivals;
        while (at > 0 && scores[c] > scores[rows->rows[at]]) at--;
        if (at >= rivals || contains(classes, tag_classes, c)) continue;
        uint32_t kept = TM_MIN(rows->rivals, rivals - 1);
        memmove(&rows->rows[at + 2], &rows->rows[at + 1], (kept - at) * sizeof rows->rows[0]);
        rows->rows[at + 1] = (uint32_t)c;
        rows->rivals = kept + 1;
    }
}

static tagmask_status record_class_map(tm_work *work, const tagmask_engine *engine, const tm_view *view, tm_slice rows,
                                       uint32_t rivals, float rivalry, tm_map *map, tm_error *err) {
    const tm_tensor *features = &view->outputs[0];
    if (features->shape.dim[1] != engine->channels)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "%s: the CAM layer has %lld channels, its dense layer %lld",
                       engine->classifier.model_path, (long long)features->shape.dim[1], (long long)engine->channels);
    TM_TRY(tm_scratch_map(work, (uint32_t)features->shape.dim[3], (uint32_t)features->shape.dim[2], map, err));
    struct {
        uint32_t positions, channels, rivals;
        float rivalry;
        uint32_t first_row;
    } push = {tm_map_count(map), (uint32_t)engine->channels, rivals, rivalry, 0};
    tm_slice read[] = {features->slice, tm_slice_all(engine->class_weights)};
    bool vectors = features->layout == TM_C4 && push.channels % 4 == 0;
    tm_map_call call = {.shader = !vectors                          ? "cam/class_map"
                                  : tm_map_by_texels(work, read, 2) ? "cam/class_map_c4_texel"
                                                                    : "cam/class_map_c4",
                        .constants = {features->layout == TM_C4},
                        .constant_count = !vectors,
                        .bindings = {read[0], read[1], rows, map->slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = push.positions,
                        .flops_per_element = 2.0 * push.channels * (1 + rivals)};
    return tm_map_dispatch(work, &call, err);
}

tagmask_status tm_cam_record(tm_work *work, const tagmask_engine *engine, tm_view *const *views, size_t view_count,
                             const tm_cam_rows *rows, float rivalry, const tm_map *target, tm_error *err) {
    tm_slice row_slice;
    TM_TRY(tm_scratch_alloc(work->scratch, sizeof rows->rows, &row_slice, err));
    row_slice.size = sizeof rows->rows;
    TM_TRY(tm_upload(work->recorder, row_slice, rows->rows, err));
    tm_map upsampled;
    TM_TRY(tm_scratch_map(work, target->width, target->height, &upsampled, err));
    for (size_t v = 0; v < view_count; v++) {
        tm_map map;
        TM_TRY(record_class_map(work, engine, views[v], row_slice, rows->rivals, rivalry, &map, err));
        TM_TRY(tm_map_resize(work, &map, &upsampled, NULL, views[v]->mirror, err));
        TM_TRY(tm_map_accumulate(work, &upsampled, target, v == 0, err));
    }
    return tm_map_normalize(work, target, target, err);
}

tagmask_status tm_affinity_record(tm_work *work, const tm_view *view, float temperature, uint32_t steps,
                                  const tm_map *source, const tm_map *target, tm_error *err) {
    const tm_tensor *features = &view->outputs[1];
    uint32_t channels = (uint32_t)features->shape.dim[1];
    if (features->shape.dim[2] * features->shape.dim[3] > MOST_PLACES)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "the affinity layer has %lld x %lld places, which are compared in pairs; expected at most %d: a "
                       "layer of about a sixteenth of the input",
                       (long long)features->shape.dim[3], (long long)features->shape.dim[2], MOST_PLACES);
    tm_map low, spread, unit;
    TM_TRY(tm_scratch_map(work, (uint32_t)features->shape.dim[3], (uint32_t)features->shape.dim[2], &low, err));
    TM_TRY(tm_scratch_map(work, low.width, low.height, &spread, err));
    TM_TRY(tm_scratch_map(work, low.width, low.height * tm_div_up(channels, 4) * 4, &unit, err));
    TM_TRY(tm_map_resize(work, source, &low, NULL, view->mirror, err));
    struct {
        uint32_t positions, channels;
    } unit_push = {tm_map_count(&low), channels};
    tm_map_call unit_call = {.shader = "cam/unit_features",
                             .constants = {features->layout == TM_C4},
                             .constant_count = 1,
                             .bindings = {features->slice, unit.slice},
                             .push = &unit_push,
                             .push_size = sizeof unit_push,
                             .elements = unit_push.positions,
                             .flops_per_element = 4.0 * channels};
    TM_TRY(tm_map_dispatch(work, &unit_call, err));
    struct {
        uint32_t positions, groups;
        float temperature;
    } push = {tm_map_count(&low), tm_div_up(channels, 4), temperature};
    bool texels = tm_map_by_texels(work, &unit.slice, 1);
    uint32_t places = texels ? 8 : 1;  // an invocation's, as in the shaders
    tm_map_call call = {.shader = texels ? "cam/affinity_texel" : "cam/affinity",
                        .bindings = {unit.slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = tm_div_up(push.positions, places),
                        .flops_per_element = 2.0 * channels * push.positions * places};
    for (uint32_t step = 0; step < steps; step++) {
        call.bindings[1] = (step % 2 ? &spread : &low)->slice;
        call.bindings[2] = (step % 2 ? &low : &spread)->slice;
        TM_TRY(tm_map_dispatch(work, &call, err));
    }
    TM_TRY(tm_map_resize(work, steps % 2 ? &spread : &low, target, NULL, view->mirror, err));
    return tm_map_normalize(work, target, target, err);
}
