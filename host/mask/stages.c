// The first stages of a proposal: images and network passes. fuse.c and refine.c go on from there.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mask/map_blocks.h"
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
    uint64_t key = tm_preset_hash(settings, TM_STAGE_IMAGES, 1);
    if (session->images_key == key) return TAGMASK_OK;
    session->images_key = 0;
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

// ---- Views: every one that was asked for is kept, so that presets and tags that come back need no network.

static bool same_request(const tm_view *a, const tm_view *b) {
    return a->role == b->role && a->width == b->width && a->height == b->height && a->mirror == b->mirror &&
           a->tail_dilation == b->tail_dilation && a->tail_dense == b->tail_dense && a->method == b->method &&
           a->row == b->row && a->option == b->option && !strcmp(a->layer, b->layer) &&
           !memcmp(&a->box, &b->box, sizeof a->box) && !memcmp(&a->edit, &b->edit, sizeof a->edit);
}

// Makes room for one more by forgetting the one that was not asked for for the longest time, but none of this proposal.
static void forget_view(tagmask_session *session) {
    size_t oldest = SIZE_MAX;
    for (size_t v = 0; v < session->view_count; v++) {
        if (session->views[v]->asked == session->proposal) continue;
        if (oldest == SIZE_MAX || session->views[v]->asked < session->views[oldest]->asked) oldest = v;
    }
    if (oldest == SIZE_MAX) return;
    tm_view_clear(session->views[oldest]);
    free(session->views[oldest]);
    session->views[oldest] = session->views[--session->view_count];
}

tm_view *tm_session_view(tagmask_session *session, const tm_view *request) {
    tm_view *view = NULL;
    for (size_t v = 0; v < session->view_count && !view; v++) {
        if (same_request(session->views[v], request)) view = session->views[v];
    }
    if (!view) {
        if (session->view_count >= TM_KEPT_VIEWS) forget_view(session);
        if (!tm_grow((void **)&session->views, &session->view_capacity, session->view_count + 1, sizeof(tm_view *)))
            return NULL;
        view = tm_calloc(1, sizeof *view);
        if (!view) return NULL;
        *view = *request;
        session->views[session->view_count++] = view;
    }
    if (!view->ready) {
        view->source = request->source;
        view->mask = request->mask;
    }
    view->asked = session->proposal;
    return view;
}

tm_view tm_session_saliency_request(const tagmask_session *session, tm_box box, bool mirror) {
    const tm_pack *pack = &session->engine->saliency;
    tm_view view = {
        .role = TM_ROLE_SALIENCY, .width = pack->width, .height = pack->height, .mirror = mirror, .box = box};
    if (!pack->width)
        scaled_size((uint32_t)box.right, (uint32_t)box.bottom, 320, pack->multiple_of, 32, &view.width, &view.height);
    return view;
}

// Of the whole photo: classifiers and features.
static tm_view photo_request(const tagmask_session *session, const tm_settings *settings, tm_role role, uint32_t scale,
                             bool mirror) {
    const tm_pack *pack = tm_engine_pack(session->engine, role);
    tm_view view = {.role = role,
                    .width = pack->width,
                    .height = pack->height,
                    .mirror = mirror,
                    .box = {0, 0, (float)session->base.width, (float)session->base.height}};
    if (!pack->width)
        scaled_size(session->base.width, session->base.height, scale, pack->multiple_of, 64, &view.width, &view.height);
    bool of_layer = tm_map_method_at(settings->method)->needs & TM_MAP_FEATURES;
    if (role == TM_ROLE_CLASSIFIER && of_layer) tm_layer_at(settings->layer, 0, view.layer);
    return view;
}

tm_view *tm_session_scale_view(tagmask_session *session, const tm_settings *settings, uint32_t size) {
    size_t passes = settings->mirror ? 2 : 1;
    for (size_t s = 0; s < settings->scale_count; s++) {
        if (settings->scales[s] == size) return session->parts[s * passes].view;
    }
    return NULL;
}

// A second one serves the method cam.
static size_t count_classifiers(const tagmask_engine *engine, const tm_settings *settings) {
    bool maps = tm_map_method_at(settings->method) == &tm_map_cam;
    return settings->classifiers > 1 && maps && engine->second.wanted ? 2 : 1;
}

static bool wants_features(const tagmask_engine *engine, const tm_settings *settings) {
    return settings->affinity_from == TM_AFFINITY_FEATURES && settings->affinity_size && engine->features.wanted;
}

bool tm_session_wants_attention(const tm_settings *settings) {
    return settings->affinity_from == TM_AFFINITY_ATTENTION && settings->affinity_size;
}

void tm_session_adapt(const tagmask_engine *engine, tm_settings *settings) {
    if (!wants_features(engine, settings) && !tm_session_wants_attention(settings)) return;
    settings->gate_strength = settings->features_strength;
    settings->cam_high = settings->features_high;
    settings->crop_above = settings->features_above;
}

// Of what the affinity step takes in place of the classifier's features.
static tm_view affinity_request(const tagmask_session *session, const tm_settings *settings, tm_role role) {
    uint32_t size = role == TM_ROLE_FEATURES ? settings->features_size : settings->affinity_size;
    tm_view request = photo_request(session, settings, role, size, false);
    if (!tm_session_wants_attention(settings)) return request;
    *request.layer = 0;
    request.method = &tm_map_affinity;
    request.option = settings->attention_blocks;
    return request;
}

// The views of the settings, in order. affinity_role: of the network that attention is taken of.
static tagmask_status list_views(tagmask_session *session, const tm_settings *settings, tm_role affinity_role,
                                 tm_error *err) {
    const tm_box all = {0, 0, (float)session->base.width, (float)session->base.height};
    size_t passes = settings->mirror ? 2 : 1, maps = settings->saliency_mirror ? 2 : 1;
    size_t views = settings->scale_count * passes;
    session->classifier_count = views * count_classifiers(session->engine, settings);
    session->saliency_count = session->engine->has_saliency ? maps : 0;
    bool ok = true;
    for (size_t v = 0; ok && v < session->classifier_count; v++) {
        tm_role role = v < views ? TM_ROLE_CLASSIFIER : TM_ROLE_SECOND;
        tm_view request = photo_request(session, settings, role, settings->scales[v % views / passes], v % passes == 1);
        session->parts[v] = (tm_cam_part){.view = tm_session_view(session, &request)};
        ok = session->parts[v].view != NULL;
    }
    session->part_count = session->classifier_count;
    if (ok) TM_TRY(tm_session_expand_views(session, settings, err));
    session->features_view = NULL;
    if (ok && (wants_features(session->engine, settings) || tm_session_wants_attention(settings))) {
        tm_view request = affinity_request(session, settings, affinity_role);
        ok = (session->features_view = tm_session_view(session, &request)) != NULL;
    }
    for (size_t v = 0; ok && v < session->saliency_count; v++) {
        tm_view request = tm_session_saliency_request(session, all, v == 1);
        ok = (session->saliency_views[v] = tm_session_view(session, &request)) != NULL;
    }
    return ok ? TAGMASK_OK : tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for views");
}

typedef struct views_progress {
    const tm_settings *settings;
    tm_progress_span span;
    size_t at, count;  // views
} views_progress;

static tagmask_status tell_progress(void *user, float part, tm_error *err) {
    const views_progress *p = user;
    float done = p->span.from + (p->span.to - p->span.from) * ((float)p->at + part) / (float)p->count;
    return tm_session_progress(p->settings, done, p->span.stage, err);
}

tagmask_status tm_session_run_views(tagmask_session *session, const tm_settings *settings, tm_view *const *views,
                                    size_t count, tm_progress_span span, tm_error *err) {
    views_progress progress = {settings, span, 0, count};
    const tm_views_context context = {.engine = session->engine,
                                      .scratch = &session->scratch,
                                      .base = session->base,
                                      .photo_hash = session->photo_hash,
                                      .cache_dir = settings->cache_dir,
                                      .progress = tell_progress,
                                      .progress_user = &progress};
    for (; progress.at < count; progress.at++) {
        tm_view *view = views[progress.at];
        if (progress.at && !view->ready) TM_TRY(tell_progress(&progress, 0, err));
        TM_TRY(tm_views_run(&context, &view, 1, err));
    }
    return TAGMASK_OK;
}

static tagmask_status mean_scores(tagmask_session *session, tm_error *err) {
    size_t classes = (size_t)session->engine->class_count;
    if (!session->scores) session->scores = tm_calloc(classes, sizeof *session->scores);
    if (!session->scores) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for class scores");
    for (size_t c = 0; c < classes; c++) {
        double sum = 0;
        for (size_t v = 0; v < session->classifier_count; v++) sum += session->parts[v].view->scores[c];
        session->scores[c] = (float)(sum / (double)session->classifier_count);
        if (!isfinite(session->scores[c]))
            return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "%s: the score of class %zu is not finite",
                           session->engine->classifier.model_path, c);
    }
    return TAGMASK_OK;
}

tagmask_status tm_session_views(tagmask_session *session, const tm_settings *settings, tm_error *err) {
    uint64_t key = tm_preset_hash(settings, TM_STAGE_VIEWS, 2);
    bool holds = session->views_key == key;
    session->views_key = 0;
    if (count_classifiers(session->engine, settings) > 1) TM_TRY(tm_engine_need(session->engine, TM_ROLE_SECOND, err));
    if (wants_features(session->engine, settings)) TM_TRY(tm_engine_need(session->engine, TM_ROLE_FEATURES, err));
    tm_role role = TM_ROLE_FEATURES;
    if (tm_session_wants_attention(settings))
        TM_TRY(tm_engine_need_attention(session->engine, settings->attention_blocks, &role, err));
    TM_TRY(list_views(session, settings, role, err));  // also when it holds, so that none of them is forgotten
    if (!holds) {
        tm_view *views[TM_MAX_VIEW_PARTS + 3];
        size_t count = 0;
        for (size_t v = 0; v < session->part_count; v++) views[count++] = session->parts[v].view;
        for (size_t v = 0; v < session->saliency_count; v++) views[count++] = session->saliency_views[v];
        if (session->features_view) views[count++] = session->features_view;
        TM_TRY(tm_session_run_views(session, settings, views, count, (tm_progress_span){"networks", 0.05f, 0.6f}, err));
        TM_TRY(mean_scores(session, err));
    }
    session->views_key = key;
    return TAGMASK_OK;
}
