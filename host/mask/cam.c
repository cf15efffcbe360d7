#include "mask/cam.h"

#include <string.h>

#include "mask/map_table.h"

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

typedef struct cam_recording {
    tm_work *work;
    const tagmask_engine *engine;
    tm_map_classes classes;
    tm_map upsampled;  // of one part at a time, at the target's size
} cam_recording;

// A view that was run for its map has it, others have the features that it is made of.
static tagmask_status record_small(const cam_recording *r, const tm_view *view, tm_map *map, tm_error *err) {
    const tm_tensor *own = &view->outputs[0];
    if (!view->method) return tm_map_cam_record(r->work, r->engine, view, &r->classes, map, err);
    *map = (tm_map){own->slice, (uint32_t)own->shape.dim[3], (uint32_t)own->shape.dim[2]};
    return TAGMASK_OK;
}

// A part's map where the photo's places are.
static tagmask_status record_part(const cam_recording *r, const tm_view *view, tm_map *map, tm_error *err) {
    tm_map small;
    TM_TRY(record_small(r, view, &small, err));
    TM_TRY(tm_map_resize(r->work, &small, &r->upsampled, NULL, view->mirror, err));
    *map = r->upsampled;
    return tm_edit_undo(r->work, &view->edit, view->width, view->height, map, err);
}

// Adds up all parts of a role; *count says how many.
static tagmask_status sum_parts(const cam_recording *r, const tm_cam_part *parts, size_t part_count, tm_cam_role role,
                                const tm_map *sum, const tm_map *squares, uint32_t *count, tm_error *err) {
    *count = 0;
    for (size_t i = 0; i < part_count; i++) {
        tm_map map;
        if (parts[i].role != role) continue;
        TM_TRY(record_part(r, parts[i].view, &map, err));
        TM_TRY(tm_map_accumulate(r->work, &map, sum, squares, *count == 0, err));
        ++*count;
    }
    return TAGMASK_OK;
}

tagmask_status tm_cam_combine(tm_work *work, const tm_map *source, tm_cam_role role, float weight, const tm_map *target,
                              tm_error *err) {
    struct {
        uint32_t count;
        float weight;
    } push = {tm_map_count(target), weight};
    tm_map_call call = {.shader = "cam/combine",
                        .constants = {role == TM_CAM_TIMES},
                        .constant_count = 1,
                        .bindings = {source->slice, target->slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = push.count,
                        .flops_per_element = 40};
    return tm_map_dispatch(work, &call, err);
}

static tagmask_status record_disagreement(tm_work *work, const tm_map *sum, const tm_map *squares, uint32_t views,
                                          const tm_map *target, tm_error *err) {
    struct {
        uint32_t count;
        float views;
    } push = {tm_map_count(target), (float)views};
    tm_map_call call = {.shader = "cam/disagreement",
                        .bindings = {sum->slice, squares->slice, target->slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = push.count,
                        .flops_per_element = 10};
    return tm_map_dispatch(work, &call, err);
}

// The parts that are not simply added up.
static tagmask_status join_parts(const cam_recording *r, const tm_cam_part *parts, size_t part_count,
                                 const tm_map *target, tm_error *err) {
    bool any = false;
    tm_map group, map;
    uint32_t count;
    for (size_t i = 0; i < part_count && !any; i++) {
        if (parts[i].role != TM_CAM_TIMES) continue;
        TM_TRY(tm_scratch_map(r->work, target->width, target->height, &group, err));
        TM_TRY(sum_parts(r, parts, part_count, TM_CAM_TIMES, &group, NULL, &count, err));
        TM_TRY(tm_map_normalize(r->work, &group, &group, err));
        TM_TRY(tm_cam_combine(r->work, &group, TM_CAM_TIMES, parts[i].weight, target, err));
        any = true;
    }
    for (size_t i = 0; i < part_count; i++) {
        if (parts[i].role != TM_CAM_MAX) continue;
        TM_TRY(record_part(r, parts[i].view, &map, err));
        TM_TRY(tm_map_normalize(r->work, &map, &map, err));
        TM_TRY(tm_cam_combine(r->work, &map, TM_CAM_MAX, parts[i].weight, target, err));
        any = true;
    }
    return any ? tm_map_normalize(r->work, target, target, err) : TAGMASK_OK;
}

tagmask_status tm_cam_record(tm_work *work, const tagmask_engine *engine, const tm_cam_part *parts, size_t part_count,
                             const tm_cam_rows *rows, float rivalry, const tm_map *target, const tm_map *disagreement,
                             tm_error *err) {
    cam_recording r = {.work = work, .engine = engine, .classes = {.rivals = rows->rivals, .rivalry = rivalry}};
    TM_TRY(tm_scratch_alloc(work->scratch, sizeof rows->rows, &r.classes.rows, err));
    r.classes.rows.size = sizeof rows->rows;
    TM_TRY(tm_upload(work->recorder, r.classes.rows, rows->rows, err));
    TM_TRY(tm_scratch_map(work, target->width, target->height, &r.upsampled, err));
    tm_map squares;
    uint32_t views;
    if (disagreement) TM_TRY(tm_scratch_map(work, target->width, target->height, &squares, err));
    TM_TRY(sum_parts(&r, parts, part_count, TM_CAM_MEAN, target, disagreement ? &squares : NULL, &views, err));
    if (disagreement) TM_TRY(record_disagreement(work, target, &squares, views, disagreement, err));
    TM_TRY(tm_map_normalize(work, target, target, err));
    return join_parts(&r, parts, part_count, target, err);
}
