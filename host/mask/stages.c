// The stages of a proposal up to the fused maps; refine.c goes on from there.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mask/session.h"

// Sides of an image scaled so that the long one is `size`, each rounded to a multiple and at least `least`.
static void scaled_size(uint32_t width, uint32_t height, uint32_t size, uint32_t multiple, uint32_t least,
                        uint32_t *to_width, uint32_t *to_height) {
    double scale = (double)size / TM_MAX(width, height);
    *to_width = TM_MAX(least, (uint32_t)lround(width * scale / multiple) * multiple);
    *to_height = TM_MAX(least, (uint32_t)lround(height * scale / multiple) * multiple);
}

// Photo reduced by a whole factor (mean of the blocks), so that its long side is at most TM_BASE_SIDE.
static uint32_t *reduce_photo(const tagmask_session *session, uint32_t factor, uint32_t width, uint32_t height) {
    uint32_t *reduced = tm_calloc((size_t)width * height, sizeof *reduced);
    for (uint32_t y = 0; reduced && y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            uint32_t sum[3] = {0}, count = 0;
            for (uint32_t v = y * factor; v < TM_MIN((y + 1) * factor, session->height); v++) {
                for (uint32_t u = x * factor; u < TM_MIN((x + 1) * factor, session->width); u++, count++) {
                    uint32_t word = session->photo[(size_t)v * session->width + u];
                    for (int c = 0; c < 3; c++) sum[c] += word >> (8 * c) & 255;
                }
            }
            for (int c = 0; c < 3; c++) reduced[(size_t)y * width + x] |= (sum[c] + count / 2) / count << (8 * c);
        }
    }
    return reduced;
}

static tagmask_status upload_base(tagmask_session *session, tm_work *work, tm_error *err) {
    uint32_t factor = tm_div_up(TM_MAX(session->width, session->height), TM_BASE_SIDE);
    uint32_t width = tm_div_up(session->width, factor), height = tm_div_up(session->height, factor);
    uint64_t bytes = (uint64_t)width * height * 4;
    TM_TRY(tm_ensure_buffer(work->gpu, &session->base_buffer, bytes, err));
    session->base = (tm_map){{session->base_buffer, 0, bytes}, width, height};
    if (factor == 1) return tm_upload(work->recorder, session->base.slice, session->photo, err);
    uint32_t *reduced = reduce_photo(session, factor, width, height);
    if (!reduced) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the photo at %ux%u", width, height);
    tagmask_status status = tm_upload(work->recorder, session->base.slice, reduced, err);
    free(reduced);
    return status;
}

static tagmask_status record_images(tagmask_session *session, tm_work *work, const tm_settings *settings,
                                    tm_error *err) {
    if (!session->base_ready) TM_TRY(upload_base(session, work, err));
    uint32_t long_side = TM_MIN(settings->working_size, TM_MAX(session->base.width, session->base.height));
    uint32_t width, height;
    scaled_size(session->base.width, session->base.height, long_side, 1, 1, &width, &height);
    uint64_t bytes = (uint64_t)width * height * 4;
    TM_TRY(tm_ensure_buffer(work->gpu, &session->work_buffer, bytes, err));
    session->work = (tm_map){{session->work_buffer, 0, bytes}, width, height};
    TM_TRY(tm_image_resample(work, &session->base, NULL, TM_FILTER_BICUBIC, &session->work, err));

    session->crf_width = tm_div_up(width, settings->crf_divisor);
    session->crf_height = tm_div_up(height, settings->crf_divisor);
    uint64_t pixels = (uint64_t)session->crf_width * session->crf_height;
    TM_TRY(tm_ensure_buffer(work->gpu, &session->crf_image, pixels * 16, err));
    tm_map small;
    TM_TRY(tm_scratch_map(work, session->crf_width, session->crf_height, &small, err));
    TM_TRY(tm_image_resample(work, &session->work, NULL, TM_FILTER_BICUBIC, &small, err));
    struct {
        uint32_t count;
    } push = {(uint32_t)pixels};
    tm_map_call call = {.shader = "image/to_vec4",
                        .bindings = {small.slice, {session->crf_image, 0, pixels * 16}},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = pixels};
    return tm_map_dispatch(work, &call, err);
}

tagmask_status tm_session_images(tagmask_session *session, const tm_settings *settings, tm_error *err) {
    const uint32_t key_parts[] = {settings->working_size, settings->crf_divisor};
    uint64_t key = tm_hash64(key_parts, sizeof key_parts, 1);
    if (session->images_key == key) return TAGMASK_OK;
    session->images_key = session->fused_key = session->crf_key = session->probability_key = 0;
    tm_crf_destroy(session->crf);
    session->crf = NULL;
    tm_work work;
    TM_TRY(tm_work_begin(&work, session->engine->device->gpu, &session->scratch, err));
    tagmask_status status = record_images(session, &work, settings, err);
    TM_TRY(tm_work_close(&work, status, err));
    session->base_ready = true;
    session->images_key = key;
    return TAGMASK_OK;
}

static tm_views_context views_context(const tagmask_session *session, const tm_settings *settings) {
    tm_views_context context = {session->engine, (tm_scratch *)&session->scratch, session->base, session->photo_hash,
                                settings->cache_dir};
    return context;
}

static void saliency_request(const tagmask_session *session, tm_view *view, tm_box box, bool mirror) {
    const tm_pack *pack = &session->engine->saliency;
    *view = (tm_view){.saliency = true, .width = pack->width, .height = pack->height, .mirror = mirror, .box = box};
    if (!pack->width)
        scaled_size((uint32_t)box.right, (uint32_t)box.bottom, 320, pack->multiple_of, 32, &view->width, &view->height);
}

static tagmask_status make_requests(tagmask_session *session, const tm_settings *settings, tm_error *err) {
    const tm_pack *pack = &session->engine->classifier;
    size_t passes = settings->mirror ? 2 : 1;
    tm_box all = {0, 0, (float)session->base.width, (float)session->base.height};
    session->classifier_views = tm_calloc(settings->scale_count * passes, sizeof *session->classifier_views);
    session->saliency_views = tm_calloc(2, sizeof *session->saliency_views);
    if (!session->classifier_views || !session->saliency_views)
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for views");
    for (size_t s = 0; s < settings->scale_count; s++) {
        for (size_t pass = 0; pass < passes; pass++) {
            tm_view *view = &session->classifier_views[session->classifier_count++];
            *view = (tm_view){.width = pack->width, .height = pack->height, .mirror = pass == 1, .box = all};
            if (!pack->width)
                scaled_size(session->base.width, session->base.height, settings->scales[s], pack->multiple_of, 64,
                            &view->width, &view->height);
        }
    }
    if (!session->engine->has_saliency) return TAGMASK_OK;
    for (size_t pass = 0; pass < (settings->saliency_mirror ? 2u : 1u); pass++)
        saliency_request(session, &session->saliency_views[session->saliency_count++], all, pass == 1);
    return TAGMASK_OK;
}

static tagmask_status mean_scores(tagmask_session *session, tm_error *err) {
    size_t classes = (size_t)session->engine->class_count;
    if (!session->scores) session->scores = tm_calloc(classes, sizeof *session->scores);
    if (!session->scores) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for class scores");
    for (size_t c = 0; c < classes; c++) {
        double sum = 0;
        for (size_t v = 0; v < session->classifier_count; v++) sum += session->classifier_views[v].scores[c];
        session->scores[c] = (float)(sum / (double)session->classifier_count);
        if (!isfinite(session->scores[c]))
            return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "%s: the score of class %zu is not finite",
                           session->engine->classifier.model_path, c);
    }
    return TAGMASK_OK;
}

tagmask_status tm_session_views(tagmask_session *session, const tm_settings *settings, tm_error *err) {
    uint64_t key = tm_hash64(settings->scales, settings->scale_count * sizeof settings->scales[0],
                             2 + settings->mirror + 2u * settings->saliency_mirror);
    if (session->views_key == key) return TAGMASK_OK;
    session->views_key = session->fused_key = session->crf_key = session->probability_key = 0;
    for (size_t v = 0; v < session->classifier_count; v++) tm_view_clear(&session->classifier_views[v]);
    for (size_t v = 0; v < session->saliency_count; v++) tm_view_clear(&session->saliency_views[v]);
    free(session->classifier_views);
    free(session->saliency_views);
    session->classifier_views = session->saliency_views = NULL;
    session->classifier_count = session->saliency_count = 0;
    TM_TRY(make_requests(session, settings, err));

    tm_view *views[2 * TM_MAX_SCALES + 2];
    size_t count = 0;
    for (size_t v = 0; v < session->classifier_count; v++) views[count++] = &session->classifier_views[v];
    for (size_t v = 0; v < session->saliency_count; v++) views[count++] = &session->saliency_views[v];
    tm_views_context context = views_context(session, settings);
    TM_TRY(tm_views_run(&context, views, count, err));
    TM_TRY(mean_scores(session, err));
    session->views_key = key;
    return TAGMASK_OK;
}

// The session's view of a crop, new or from an earlier proposal. The pointer holds until the next call.
static tm_view *crop_view(tagmask_session *session, tm_box box) {
    for (size_t v = 0; v < session->crop_count; v++) {
        if (!memcmp(&session->crop_views[v].box, &box, sizeof box)) return &session->crop_views[v];
    }
    if (!tm_grow((void **)&session->crop_views, &session->crop_capacity, session->crop_count + 1,
                 sizeof *session->crop_views))
        return NULL;
    tm_view *view = &session->crop_views[session->crop_count++];
    saliency_request(session, view, box, false);
    return view;
}

// ---- One tag: where its CAM is, what saliency says there, and both fused.

typedef struct tag_maps {
    tm_cam_rows rows;
    size_t crops[TM_MAX_CROPS];  // indices into session->crop_views
    uint32_t crop_count;
} tag_maps;

// Reads back the CAM without competition at an eighth of the working size and asks for saliency where it is.
static tagmask_status choose_crops(tagmask_session *session, const tm_settings *settings, tag_maps *maps,
                                   tm_error *err) {
    uint32_t width = tm_div_up(session->work.width, 8), height = tm_div_up(session->work.height, 8);
    float *cam = tm_calloc((size_t)width * height, sizeof *cam);
    if (!cam) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for a CAM");
    tm_work work;
    tm_cam_rows rows = maps->rows;
    rows.rivals = 0;
    tm_map target;
    tagmask_status status = tm_work_begin(&work, session->engine->device->gpu, &session->scratch, err);
    if (!status) status = tm_scratch_map(&work, width, height, &target, err);
    if (!status)
        status = tm_cam_record(&work, session->engine, session->classifier_views, session->classifier_count, &rows, 0,
                               &target, err);
    if (!status) status = tm_readback(work.recorder, target.slice, cam, err);
    status = tm_work_close(&work, status, err);
    float to_x = (float)session->base.width / (float)width, to_y = (float)session->base.height / (float)height;
    for (uint32_t c = 0; c < settings->crop_count && !status; c++) {
        tm_box box;
        status = tm_crop_box(cam, width, height, settings->crops[c], &box, err);
        if (status) break;
        box = (tm_box){box.left * to_x, box.top * to_y, box.right * to_x, box.bottom * to_y};
        tm_view *view = crop_view(session, box);
        if (!view) status = tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for a crop");
        if (view) maps->crops[maps->crop_count++] = (size_t)(view - session->crop_views);
    }
    free(cam);
    return status;
}

static tagmask_status run_crops(tagmask_session *session, const tm_settings *settings, const tag_maps *maps,
                                size_t tag_count, tm_error *err) {
    size_t count = 0, most = tag_count * TM_MAX_CROPS;
    tm_view **views = tm_calloc(most, sizeof *views);
    if (!views) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for views");
    for (size_t t = 0; t < tag_count; t++) {
        for (uint32_t c = 0; c < maps[t].crop_count; c++) {
            tm_view *view = &session->crop_views[maps[t].crops[c]];
            bool listed = false;
            for (size_t i = 0; i < count && !listed; i++) listed = views[i] == view;
            if (!listed) views[count++] = view;
        }
    }
    tm_views_context context = views_context(session, settings);
    tagmask_status status = tm_views_run(&context, views, count, err);
    free(views);
    return status;
}

static const tm_view *affinity_view(const tagmask_session *session, const tm_settings *settings) {
    size_t passes = settings->mirror ? 2 : 1;
    for (size_t s = 0; s < settings->scale_count; s++) {
        const tm_view *view = &session->classifier_views[s * passes];
        if (settings->scales[s] == settings->affinity_size && view->output_count > 1) return view;
    }
    return NULL;
}

tagmask_status tm_session_record_cam(tagmask_session *session, tm_work *work, const tm_settings *settings,
                                     const tm_cam_rows *rows, const tm_map *target, tm_map *high, tm_map *cam,
                                     tm_error *err) {
    const tm_view *affinity = affinity_view(session, settings);
    TM_TRY(tm_scratch_map(work, target->width, target->height, high, err));
    TM_TRY(tm_cam_record(work, session->engine, session->classifier_views, session->classifier_count, rows,
                         settings->rivalry, high, err));
    *cam = *high;
    if (!affinity) return TAGMASK_OK;
    TM_TRY(tm_scratch_map(work, target->width, target->height, cam, err));
    return tm_affinity_record(work, affinity, settings->affinity_temperature, high, cam, err);
}

// The tag's fused map into `target`; the saliency of the whole photo is plane 0 of session->saliency.
static tagmask_status record_tag(tagmask_session *session, tm_work *work, const tm_settings *settings,
                                 const tag_maps *maps, const tm_map *target, tm_error *err) {
    tm_fusion_input input;
    TM_TRY(tm_session_record_cam(session, work, settings, &maps->rows, target, &input.high, &input.cam, err));
    if (!session->engine->has_saliency) return tm_map_normalize(work, &input.cam, target, err);
    for (uint32_t c = 0; c < maps->crop_count; c++) {
        tm_map plane = {tm_plane(session->saliency, target->width, target->height, 1 + c), target->width,
                        target->height};
        TM_TRY(tm_saliency_paste(work, &session->crop_views[maps->crops[c]],
                                 (float)target->width / (float)session->base.width,
                                 (float)target->height / (float)session->base.height, &plane, err));
    }
    uint64_t plane_bytes = tm_plane_bytes(target->width, target->height);
    input.sources = (tm_slice){session->saliency, 0, plane_bytes * (1 + maps->crop_count)};
    input.source_stride = (uint32_t)(plane_bytes / 4);
    input.source_count = 1 + maps->crop_count;
    return tm_fusion_record(work, &input, settings, target, err);
}

// One recording a tag keeps the scratch memory small, however many tags there are.
static tagmask_status fuse_tag(tagmask_session *session, const tm_settings *settings, const tag_maps *maps,
                               bool has_class, size_t tag, tm_error *err) {
    uint32_t width = session->work.width, height = session->work.height;
    tm_map target = {tm_plane(session->fused, width, height, tag), width, height};
    tm_work work;
    TM_TRY(tm_work_begin(&work, session->engine->device->gpu, &session->scratch, err));
    tagmask_status status = TAGMASK_OK;
    if (has_class) {
        status = record_tag(session, &work, settings, maps, &target, err);
    } else {
        status = tm_copy(work.recorder, tm_plane(session->saliency, width, height, 0), target.slice, err);
    }
    return tm_work_close(&work, status, err);
}

static tagmask_status record_saliency(tagmask_session *session, tm_error *err) {
    uint32_t width = session->work.width, height = session->work.height;
    tm_map whole = {tm_plane(session->saliency, width, height, 0), width, height};
    tm_view *views[2];
    for (size_t v = 0; v < session->saliency_count; v++) views[v] = &session->saliency_views[v];
    tm_work work;
    TM_TRY(tm_work_begin(&work, session->engine->device->gpu, &session->scratch, err));
    tagmask_status status = tm_saliency_record(&work, views, session->saliency_count, &whole, err);
    return tm_work_close(&work, status, err);
}

static tagmask_status fuse_tags(tagmask_session *session, const tm_settings *settings, const tagmask_tag_info *tags,
                                size_t tag_count, tag_maps *maps, tm_error *err) {
    tm_gpu *gpu = session->engine->device->gpu;
    bool saliency = session->engine->has_saliency;
    uint64_t plane = tm_plane_bytes(session->work.width, session->work.height);
    TM_TRY(tm_ensure_buffer(gpu, &session->fused, plane * tag_count, err));
    TM_TRY(tm_ensure_buffer(gpu, &session->saliency, plane * (1 + TM_MAX_CROPS), err));
    if (saliency) TM_TRY(record_saliency(session, err));
    for (size_t t = 0; t < tag_count; t++) {
        if (!tags[t].class_count) continue;
        tm_cam_choose(session->scores, (size_t)session->engine->class_count, tags[t].classes, tags[t].class_count,
                      settings->rivals, &maps[t].rows);
        if (saliency && settings->crop_count) TM_TRY(choose_crops(session, settings, &maps[t], err));
    }
    TM_TRY(run_crops(session, settings, maps, tag_count, err));
    for (size_t t = 0; t < tag_count; t++)
        TM_TRY(fuse_tag(session, settings, &maps[t], tags[t].class_count > 0, t, err));
    return TAGMASK_OK;
}

tagmask_status tm_session_fuse(tagmask_session *session, const tm_settings *settings, const tagmask_tag_info *tags,
                               size_t tag_count, tm_error *err) {
    uint64_t key = tm_hash64(settings->crops, sizeof settings->crops, session->views_key ^ session->images_key);
    const float parts[] = {settings->rivalry,   (float)settings->rivals,        settings->gate_low,
                           settings->gate_span, settings->gate_strength,        settings->cam_high,
                           (float)tag_count,    settings->affinity_temperature, (float)settings->affinity_size};
    key = tm_hash64(parts, sizeof parts, key);
    for (size_t t = 0; t < tag_count; t++)
        key = tm_hash64(tags[t].classes, tags[t].class_count * sizeof(int32_t), key + 1);
    if (session->fused_key == key) return TAGMASK_OK;
    session->fused_key = session->crf_key = session->probability_key = 0;
    tag_maps *maps = tm_calloc(tag_count, sizeof *maps);
    if (!maps) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the maps of %zu tags", tag_count);
    tagmask_status status = fuse_tags(session, settings, tags, tag_count, maps, err);
    free(maps);
    if (!status) session->fused_key = key;
    return status;
}
