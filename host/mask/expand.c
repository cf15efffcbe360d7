// Further views that make a class activation map more complete: one function a method.
//
// Of the photo, the same for every tag:
//   turns, shifts  equivariance (SEAM, Wang et al., CVPR 2020): a map should turn and move with the picture
//   cutouts        Hide-and-Seek (Kumar Singh and Lee, ICCV 2017): random cells hidden, maps averaged
//   mixup          the picture mixed with its blurred copy (mixup, Zhang et al., ICLR 2018): what survives is the
//   object dilations      varied receptive fields (MDC, Wei et al., CVPR 2018): the tail with dilated convolutions,
//   averaged
// Of one tag, after its map is known; each step erases what the map so far shows:
//   erase_steps    adversarial erasing (AE-PSL, Wei et al., CVPR 2017; OC-CSE, Kweon et al., ICCV 2021): in the picture
//   drop_steps     the same on the features where the tail begins, so that only the tail runs again (ACoL, Zhang et
//   al.,
//                  CVPR 2018; ADL, Choe and Shim, CVPR 2019)
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mask/session.h"

static const float degree = 3.14159265358979f / 180;

// ---- Of the photo

static tagmask_status add_part(tagmask_session *session, const tm_view *request, tm_cam_role role, float weight,
                               tm_error *err) {
    tm_view *view = tm_session_view(session, request);
    if (!view) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for views");
    session->parts[session->part_count++] = (tm_cam_part){view, role, weight};
    return TAGMASK_OK;
}

// The same rectangle at the same size, nothing of it run yet.
static tm_view request_like(const tm_view *base) {
    tm_view request = {.width = base->width, .height = base->height, .mirror = base->mirror, .box = base->box};
    memcpy(request.layer, base->layer, sizeof request.layer);
    return request;
}

tagmask_status tm_session_expand_views(tagmask_session *session, const tm_settings *settings, tm_error *err) {
    const tm_view *base = tm_session_scale_view(session, settings, settings->expand_size);
    if (!base) return TAGMASK_OK;  // no expansion is asked for: the settings were checked
    for (uint32_t i = 0; i < settings->turn_count; i++) {
        tm_view request = request_like(base);
        request.edit = (tm_edit){.kind = TM_EDIT_TURN, .amount = {settings->turns[i] * degree}};
        TM_TRY(add_part(session, &request, TM_CAM_MEAN, 1, err));
    }
    for (uint32_t i = 0; i < settings->shift_count; i++) {
        tm_view request = request_like(base);
        request.edit = (tm_edit){.kind = TM_EDIT_TURN, .amount = {0, settings->shifts[i], settings->shifts[i]}};
        TM_TRY(add_part(session, &request, TM_CAM_MEAN, 1, err));
    }
    for (uint32_t i = 0; i < settings->cutouts; i++) {
        tm_view request = request_like(base);
        request.edit = (tm_edit){.kind = TM_EDIT_CUTOUT,
                                 .seed = settings->seed + i,
                                 .amount = {settings->cutout_share, (float)settings->cutout_cell}};
        TM_TRY(add_part(session, &request, TM_CAM_MEAN, 1, err));
    }
    if (settings->mixup > 0) {
        tm_view request = request_like(base);
        request.edit = (tm_edit){.kind = TM_EDIT_MIXUP, .amount = {settings->mixup}};
        TM_TRY(add_part(session, &request, TM_CAM_TIMES, settings->mixup_weight, err));
    }
    for (uint32_t i = 0; i < settings->dilation_count; i++) {
        tm_view request = request_like(base);
        request.tail_dilation = settings->dilations[i];
        request.tail_dense = settings->dense;
        request.source = base;
        TM_TRY(add_part(session, &request, TM_CAM_MEAN, 1, err));
    }
    return TAGMASK_OK;
}

// ---- Of one tag

// The tag's map at an eighth of the working size, on the device (in session->mask) and read back.
typedef struct tag_map {
    tm_map map;
    float *values;
} tag_map;

static tagmask_status record_tag_map(tagmask_session *session, const tm_settings *settings, const tm_tag_cam *cam,
                                     const tag_map *to, tm_error *err) {
    tm_work work;
    TM_TRY(tm_work_begin(&work, session->engine->device->gpu, &session->scratch, err));
    tagmask_status status = tm_cam_record(&work, session->engine, cam->parts, cam->part_count, &cam->rows,
                                          settings->rivalry, &to->map, NULL, err);
    if (!status) status = tm_readback(work.recorder, to->map.slice, to->values, err);
    return tm_work_close(&work, status, err);
}

static float mean_of(const float *values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += values[i];
    return (float)(sum / (double)count);
}

// Of the class in a view, above the mean of all classes: logits have no zero of their own.
static float margin(const tagmask_session *session, const tm_view *view, uint32_t row) {
    size_t classes = (size_t)session->engine->class_count;
    double sum = 0;
    for (size_t c = 0; c < classes; c++) sum += view->scores[c];
    return view->scores[row] - (float)(sum / (double)classes);
}

typedef struct erasing {
    const tm_view *base;  // what is erased from
    bool drop;            // from its features
    uint32_t steps;
    float above, stop;
} erasing;

static tm_view erased_request(const tagmask_session *session, const erasing *how, const tm_tag_cam *cam,
                              uint32_t step) {
    tm_view request = request_like(how->base);
    const uint64_t parts[] = {session->views_key, how->drop, step};
    request.edit = (tm_edit){.kind = TM_EDIT_ERASE, .amount = {how->above}};
    request.edit.mask_key = tm_hash64(&cam->rows, sizeof cam->rows, tm_hash64(parts, sizeof parts, 5));
    for (size_t i = cam->common; i < cam->part_count; i++)  // the mask shows what earlier steps found
        request.edit.mask_key ^= tm_hash64(&cam->parts[i].view->edit, sizeof(tm_edit), i);
    if (how->drop) {
        request.tail_dilation = 1;
        request.source = how->base;
    }
    return request;
}

// One step; *more is false when the rule says to stop.
static tagmask_status erase_step(tagmask_session *session, const tm_settings *settings, const erasing *how,
                                 uint32_t step, tm_tag_cam *cam, tag_map *so_far, bool *more, tm_error *err) {
    const tm_progress_span span = {"maps", 0.6f, 0.75f};
    size_t count = tm_map_count(&so_far->map);
    *more = false;
    TM_TRY(record_tag_map(session, settings, cam, so_far, err));
    if (mean_of(so_far->values, count) > 0.5f) return TAGMASK_OK;  // it fills the picture: nothing is left to find
    tm_view request = erased_request(session, how, cam, step);
    request.mask = so_far->map;
    tm_view *view = tm_session_view(session, &request);
    if (!view) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for views");
    TM_TRY(tm_session_run_views(session, settings, &view, 1, span, err));
    float before = margin(session, how->base, cam->rows.rows[0]), after = margin(session, view, cam->rows.rows[0]);
    float kept = before > 0 ? TM_CLAMP(after / before, 0.0f, 1.0f) : 0;
    if (kept < how->stop) return TAGMASK_OK;  // without what is erased the class is gone: the rest is background
    const tm_cam_part part = {view, TM_CAM_MAX, kept};
    *more = true;
    return tm_session_add_part(session, settings, &part, cam, err);
}

static tagmask_status erase(tagmask_session *session, const tm_settings *settings, const erasing *how, tm_tag_cam *cam,
                            tm_error *err) {
    uint32_t width = tm_div_up(session->work.width, 8), height = tm_div_up(session->work.height, 8);
    uint64_t bytes = (uint64_t)width * height * 4;
    TM_TRY(tm_ensure_buffer(session->engine->device->gpu, &session->mask, bytes, err));
    tag_map so_far = {{{session->mask, 0, bytes}, width, height}, malloc(bytes)};
    if (!so_far.values) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for a CAM");
    tagmask_status status = TAGMASK_OK;
    bool more = true;
    for (uint32_t step = 0; step < how->steps && more && !status; step++)
        status = erase_step(session, settings, how, step, cam, &so_far, &more, err);
    free(so_far.values);
    return status;
}

tagmask_status tm_session_expand_tag(tagmask_session *session, const tm_settings *settings, tm_tag_cam *cam,
                                     tm_error *err) {
    const tm_view *base = tm_session_scale_view(session, settings, settings->expand_size);
    const erasing image = {base, false, settings->erase_steps, settings->erase_above, settings->erase_stop};
    const erasing features = {base, true, settings->drop_steps, settings->drop_above, settings->erase_stop};
    if (image.steps) TM_TRY(erase(session, settings, &image, cam, err));
    if (features.steps) TM_TRY(erase(session, settings, &features, cam, err));
    return TAGMASK_OK;
}
