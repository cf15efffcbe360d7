#include "mask/session.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mask/map_table.h"

static tagmask_status check_photo(const tagmask_image *photo, size_t *stride, tm_error *err) {
    if (photo->struct_size < sizeof *photo)
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "tagmask_image: struct_size is not set");
    if (!photo->width || !photo->height || photo->width > 65535 || photo->height > 65535 || !photo->pixels)
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "the photo is %ux%u; expected pixels and sides of 1..65535",
                       photo->width, photo->height);
    *stride = photo->stride ? photo->stride : (size_t)photo->width * 3;
    if (*stride < (size_t)photo->width * 3)
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "the photo's stride %zu is less than its rows of %zu bytes",
                       *stride, (size_t)photo->width * 3);
    return TAGMASK_OK;
}

tagmask_status tagmask_session_create(tagmask_engine *engine, const tagmask_image *photo, tagmask_session **session,
                                      tagmask_error *error) {
    if (!engine || !photo || !session)
        return tm_fail(error, TAGMASK_ERROR_ARGUMENT, "tagmask_session_create needs engine, photo and session");
    if (!engine->device)
        return tm_fail(error, TAGMASK_ERROR_ARGUMENT,
                       "the engine was made without a device and only knows tags; a session needs one with a device");
    size_t stride = 0;
    TM_TRY(check_photo(photo, &stride, error));
    // A photo of which not even one tag could be proposed is refused before it is copied.
    TM_TRY(tm_result_check_memory(photo->width, photo->height, 1, error));
    tagmask_session *made = tm_calloc(1, sizeof *made);
    size_t pixels = (size_t)photo->width * photo->height;
    if (made) made->photo = tm_calloc(pixels, sizeof *made->photo);
    if (!made || !made->photo) {
        free(made);
        return tm_fail(error, TAGMASK_ERROR_MEMORY, "no memory for a session of a %ux%u photo", photo->width,
                       photo->height);
    }
    made->engine = engine;
    made->scratch.gpu = engine->device->gpu;
    made->width = photo->width;
    made->height = photo->height;
    for (uint32_t y = 0; y < photo->height; y++) {
        const uint8_t *row = photo->pixels + y * stride;
        uint32_t *to = made->photo + (size_t)y * photo->width;
        for (uint32_t x = 0; x < photo->width; x++)
            to[x] = row[3 * x] | (uint32_t)row[3 * x + 1] << 8 | (uint32_t)row[3 * x + 2] << 16;
    }
    made->photo_hash = tm_hash64(made->photo, pixels * 4, (uint64_t)photo->width << 32 | photo->height);
    *session = made;
    return TAGMASK_OK;
}

void tagmask_session_free(tagmask_session *session) {
    if (!session) return;
    for (size_t v = 0; v < session->view_count; v++) {
        tm_view_clear(session->views[v]);
        free(session->views[v]);
    }
    free(session->views);
    tm_session_free_maps(session);
    tm_buffer *buffers[] = {session->base_buffer, session->work_buffer, session->crf_image,
                            session->saliency,    session->mask,        session->refined,
                            session->unary,       session->marginals,   session->tag_marginals};
    for (size_t i = 0; i < TM_ARRAY_LEN(buffers); i++) tm_buffer_destroy(buffers[i]);
    tm_crf_destroy(session->crf);
    tm_scratch_free(&session->scratch);
    free(session->tags);
    free(session->scores);
    tm_planes_drop(session->probability);
    free(session->photo);
    free(session);
}

tagmask_status tm_session_progress(const tm_settings *settings, float done, const char *stage, tm_error *err) {
    if (!settings->progress || settings->progress(settings->progress_user, done, stage)) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_ABORTED, "stopped before the stage \"%s\" as asked", stage);
}

static tagmask_status resolve(tagmask_engine *engine, const tagmask_params *params, tm_settings *settings,
                              tm_error *err) {
    TM_TRY(tm_settings_resolve(params, settings, err));
    tm_session_adapt(engine, settings);
    TM_TRY(tm_map_check(engine, settings, err));
    tm_role role;
    if (tm_session_wants_attention(settings))
        TM_TRY(tm_engine_need_attention(engine, settings->attention_blocks, &role, err));
    bool of_head = settings->head && tm_map_method_at(settings->method)->network == TM_NETWORK_ATTENTION;
    char layer[TM_LAYER_LENGTH];
    for (size_t i = 0; of_head && tm_layer_at(settings->layer, i, layer); i++)
        TM_TRY(tm_engine_check_head(engine, layer, settings->head, err));
    return TAGMASK_OK;
}

tagmask_status tagmask_session_auto_tags(tagmask_session *session, const tagmask_params *params, size_t k,
                                         const char **names, float *probabilities, size_t *count,
                                         tagmask_error *error) {
    if (!session || !names || !count || !k)
        return tm_fail(error, TAGMASK_ERROR_ARGUMENT, "tagmask_session_auto_tags needs session, k, names and count");
    if (k > (size_t)session->engine->class_count)
        return tm_fail(error, TAGMASK_ERROR_ARGUMENT, "tagmask_session_auto_tags: k is %zu; expected 1..%lld", k,
                       (long long)session->engine->class_count);
    tm_settings settings;
    TM_TRY(resolve(session->engine, params, &settings, error));
    TM_TRY(tm_session_images(session, &settings, error));
    TM_TRY(tm_session_views(session, &settings, error));
    size_t classes = (size_t)session->engine->class_count, written = 0;
    bool *taken = tm_calloc(classes, sizeof *taken);
    if (!taken) return tm_fail(error, TAGMASK_ERROR_MEMORY, "no memory for the list of classes");
    double highest = -INFINITY, total = 0;
    for (size_t c = 0; c < classes; c++) highest = TM_MAX(highest, session->scores[c]);
    for (size_t c = 0; c < classes; c++) total += exp(session->scores[c] - highest);
    for (size_t rank = 0; rank < classes && written < k; rank++) {
        size_t best = SIZE_MAX;
        for (size_t c = 0; c < classes; c++) {
            if (!taken[c] && (best == SIZE_MAX || session->scores[c] > session->scores[best])) best = c;
        }
        taken[best] = true;
        const char *name = tm_tags_of_class(session->engine->tags, best);
        bool known = !name;
        for (size_t i = 0; i < written && !known; i++) known = !strcmp(names[i], name);
        if (known) continue;
        if (probabilities) probabilities[written] = (float)(exp(session->scores[best] - highest) / total);
        names[written++] = name;
    }
    free(taken);
    *count = written;
    return TAGMASK_OK;
}

// Labels from probabilities: the most probable tag of a pixel, if it reaches the threshold; absent tags take none. In
// pieces that stay in the processor's cache, a tag at a time, in a form that compilers turn into vector code.
static uint8_t *make_labels(const tagmask_session *session, size_t tag_count, float threshold, const bool *absent) {
    enum { PIECE = 4096 };
    size_t pixels = (size_t)session->width * session->height;
    uint8_t *labels = calloc(pixels, 1);
    float best[PIECE];
    for (size_t first = 0; labels && first < pixels; first += PIECE) {
        size_t count = TM_MIN(pixels - first, (size_t)PIECE);
        uint8_t *at = labels + first;
        for (size_t i = 0; i < count; i++) best[i] = -1;
        for (size_t t = 0; t < tag_count; t++) {
            const float *p = session->probability->data + t * pixels + first;
            uint8_t label = (uint8_t)(t + 1);
            if (absent[t]) continue;
            for (size_t i = 0; i < count; i++) {
                bool wins = (p[i] > best[i]) & (p[i] >= threshold);
                at[i] = wins ? label : at[i];
                best[i] = wins ? p[i] : best[i];
            }
        }
    }
    return labels;
}

// What a result says of each tag.
typedef struct tag_notes {
    const char *names[TM_MAX_TAGS], *notes[TM_MAX_TAGS];
    bool absent[TM_MAX_TAGS];
    char (*texts)[256];
} tag_notes;

static tagmask_status note_tags(const tagmask_session *session, const tm_settings *settings,
                                const tagmask_tag_info *infos, size_t tag_count, tag_notes *made, tm_error *err) {
    made->texts = tm_calloc(tag_count, sizeof *made->texts);
    if (!made->texts) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the notes of %zu tags", tag_count);
    for (size_t t = 0; t < tag_count; t++) {
        bool unseen = !tm_session_sees(session, settings, &infos[t]);
        size_t first = tm_session_first_alike(session, t);
        made->absent[t] = unseen || session->flat[t] || first != t;
        made->names[t] = infos[t].name;
        made->notes[t] =
            infos[t].class_count ? infos[t].note : "no class of the model means this tag: from saliency alone";
        if (!made->absent[t]) continue;
        made->notes[t] = made->texts[t];
        if (!infos[t].class_count && !tm_session_has_saliency(session, settings))
            (void)snprintf(made->texts[t], sizeof made->texts[t],
                           "no class of the model means this tag, and there is no saliency to propose it from");
        else if (first != t)
            (void)snprintf(made->texts[t], sizeof made->texts[t],
                           "nothing tells it from \"%.80s\", a tag before it: what one gets, the first does",
                           infos[first].name);
        else if (unseen)
            (void)snprintf(made->texts[t], sizeof made->texts[t],
                           "the classifier does not see it (%.2g, the score limit is %.2g); score_limit -1 "
                           "(--score-limit -1) proposes it anyway",
                           (double)tm_session_presence(session, &infos[t]), (double)settings->score_limit);
        else
            (void)snprintf(made->texts[t], sizeof made->texts[t],
                           "the map of the method %s is the same everywhere, so it shows no place",
                           tm_map_method_at(settings->method)->name);
    }
    return TAGMASK_OK;
}

static tagmask_status make_result(const tagmask_session *session, const tm_settings *settings,
                                  const tagmask_tag_info *infos, size_t tag_count, tagmask_result **result,
                                  tm_error *err) {
    tag_notes about = {0};
    TM_TRY(note_tags(session, settings, infos, tag_count, &about, err));
    uint8_t *labels = make_labels(session, tag_count, settings->threshold, about.absent);
    tagmask_status status = TAGMASK_OK;
    if (!labels)
        status = tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the labels of %ux%u pixels", session->width,
                         session->height);
    if (!status)
        status = tm_result_create_shared(session->width, session->height, about.names, about.notes, tag_count,
                                         session->probability, labels, settings->regions, result, err);
    free(about.texts);
    return status;
}

static tagmask_status run_stages(tagmask_session *session, const tm_settings *settings, const tagmask_tag_info *infos,
                                 size_t tag_count, tm_error *err) {
    TM_TRY(tm_session_progress(settings, 0, "photo", err));
    TM_TRY(tm_session_images(session, settings, err));
    TM_TRY(tm_session_progress(settings, 0.05f, "networks", err));
    TM_TRY(tm_session_views(session, settings, err));
    TM_TRY(tm_session_look(session, settings, err));
    TM_TRY(tm_session_progress(settings, 0.6f, "maps", err));
    TM_TRY(tm_session_fuse(session, settings, infos, tag_count, err));
    TM_TRY(tm_session_progress(settings, 0.8f, "refinement", err));
    TM_TRY(tm_session_crf(session, settings, tag_count, err));
    TM_TRY(tm_session_progress(settings, 0.9f, "mask", err));
    return tm_session_probability(session, settings, tag_count, err);
}

// For tagmask_session_map; the tags' texts and classes belong to the engine.
static tagmask_status remember(tagmask_session *session, const tm_settings *settings, const tagmask_tag_info *infos,
                               size_t tag_count, tm_error *err) {
    tagmask_tag_info *tags = realloc(session->tags, tag_count * sizeof *tags);
    if (!tags) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the names of %zu tags", tag_count);
    memcpy(tags, infos, tag_count * sizeof *tags);
    session->tags = tags;
    session->tag_count = tag_count;
    session->settings = *settings;
    session->settings.cache_dir = NULL;
    session->settings.progress = NULL;
    session->settings.progress_user = NULL;
    return TAGMASK_OK;
}

tagmask_status tagmask_engine_check_params(const tagmask_engine *engine, const tagmask_params *params,
                                           tagmask_error *error) {
    tm_settings settings;
    if (!engine) return tm_fail(error, TAGMASK_ERROR_ARGUMENT, "tagmask_engine_check_params needs engine");
    // What a layer needs is loaded on the way, under the device's lock: what the engine promises stays the same.
    return resolve((tagmask_engine *)(uintptr_t)engine, params, &settings, error);
}

tagmask_status tagmask_propose(tagmask_session *session, const char *const *tags, size_t tag_count,
                               const tagmask_params *params, tagmask_result **result, tagmask_error *error) {
    if (!session || !tags || !result)
        return tm_fail(error, TAGMASK_ERROR_ARGUMENT, "tagmask_propose needs session, tags and result");
    if (tag_count < 1 || tag_count > TM_MAX_TAGS)
        return tm_fail(error, TAGMASK_ERROR_ARGUMENT, "%zu tags; expected 1..%d", tag_count, TM_MAX_TAGS);
    tm_settings settings;
    TM_TRY(resolve(session->engine, params, &settings, error));
    tagmask_tag_info infos[TM_MAX_TAGS];
    bool any = tm_session_has_saliency(session, &settings);
    for (size_t t = 0; t < tag_count; t++) {
        if (!tags[t]) return tm_fail(error, TAGMASK_ERROR_ARGUMENT, "tag %zu is NULL; expected a name", t);
        infos[t].struct_size = sizeof infos[t];
        TM_TRY(tm_tags_resolve(session->engine->tags, tags[t], &infos[t], error));
        any |= infos[t].class_count > 0;
    }
    if (!any)
        return tm_fail(error, TAGMASK_ERROR_UNSUPPORTED,
                       "tag \"%s\" has no class in %s, and without saliency nothing can be proposed: take a saliency "
                       "network, or the preset member classical_saliency",
                       tags[0], session->engine->classifier.name);
    TM_TRY(tm_result_check_memory(session->width, session->height, tag_count, error));
    session->tag_count = 0;
    session->proposal++;
    TM_TRY(run_stages(session, &settings, infos, tag_count, error));
    TM_TRY(remember(session, &settings, infos, tag_count, error));
    tagmask_result *made = NULL;
    TM_TRY(make_result(session, &settings, infos, tag_count, &made, error));
    tagmask_status status = settings.keep_maps ? tm_session_attach_maps(session, made, error) : TAGMASK_OK;
    if (status) {
        tagmask_result_free(made);
        return status;
    }
    *result = made;
    return TAGMASK_OK;
}
