// What the stages of a session made, for hosts that show it. A stage is one row of the table below.
#include <stdlib.h>
#include <string.h>

#include "mask/map_table.h"
#include "mask/session.h"

// What is asked for: a position in the last proposal's tags, and what its CAM is made of where the stage needs it.
typedef struct shown_tag {
    size_t tag;
    tm_tag_cam cam;
} shown_tag;

typedef enum map_size { WORKING_SIZE = 0, CRF_SIZE, PHOTO_SIZE } map_size;

typedef struct stage_row {
    const char *name;
    bool needs_class, needs_saliency, needs_edge;
    map_size size;
    // Records what ends in *map on the device; NULL where the host has the plane already (PHOTO_SIZE).
    tagmask_status (*record)(tagmask_session *session, tm_work *work, const shown_tag *shown, tm_map *map,
                             tm_error *err);
} stage_row;

// The CAM is scratch memory of the fusion, so it is computed again; its views (the networks' outputs) are kept.
static tagmask_status record_cam(tagmask_session *session, tm_work *work, const shown_tag *shown, tm_map *map,
                                 tm_error *err) {
    tm_map spread;
    return tm_session_record_cam(session, work, &session->settings, &shown->cam, &session->work, map, &spread, NULL,
                                 err);
}

static tagmask_status record_affinity(tagmask_session *session, tm_work *work, const shown_tag *shown, tm_map *map,
                                      tm_error *err) {
    tm_map high;
    return tm_session_record_cam(session, work, &session->settings, &shown->cam, &session->work, &high, map, NULL, err);
}

static tagmask_status use_saliency(tagmask_session *session, tm_work *work, const shown_tag *shown, tm_map *map,
                                   tm_error *err) {
    (void)work, (void)shown, (void)err;
    uint32_t width = session->work.width, height = session->work.height;
    *map = (tm_map){tm_plane(session->saliency, width, height, 0), width, height};
    return TAGMASK_OK;
}

static tagmask_status use_fused(tagmask_session *session, tm_work *work, const shown_tag *shown, tm_map *map,
                                tm_error *err) {
    (void)work, (void)err;
    *map = tm_session_fused(session, shown->tag);
    return TAGMASK_OK;
}

static tagmask_status use_refined(tagmask_session *session, tm_work *work, const shown_tag *shown, tm_map *map,
                                  tm_error *err) {
    (void)work, (void)err;
    *map = tm_session_refined(session, shown->tag);
    return TAGMASK_OK;
}

static const stage_row stages[] = {
    {"cam", .needs_class = true, .record = record_cam},
    {"affinity", .needs_class = true, .record = record_affinity},
    {"saliency", .needs_saliency = true, .record = use_saliency},
    {"fused", .record = use_fused},
    {"refined", .needs_edge = true, .size = CRF_SIZE, .record = use_refined},
    {"probability", .size = PHOTO_SIZE},
};

const char *tagmask_stage_name(size_t index) {
    return index < TM_ARRAY_LEN(stages) ? stages[index].name : NULL;
}

static const stage_row *find_stage(const char *name, tm_error *err) {
    for (size_t i = 0; i < TM_ARRAY_LEN(stages); i++) {
        if (!strcmp(stages[i].name, name)) return &stages[i];
    }
    tm_fail(err, TAGMASK_ERROR_ARGUMENT,
            "stage \"%s\" is unknown; expected cam, affinity, saliency, fused, refined or probability", name);
    return NULL;
}

static tagmask_status check(const tagmask_session *session, const stage_row *stage, size_t tag, tm_error *err) {
    if (!session->tag_count)
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "stage \"%s\": the session has no proposal; call tagmask_propose",
                       stage->name);
    if (tag >= session->tag_count)
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "stage \"%s\": tag %zu; the last proposal has %zu tags",
                       stage->name, tag, session->tag_count);
    if (stage->needs_class && !session->tags[tag].class_count)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "stage \"%s\": tag \"%s\" has no class in %s, so it has no CAM",
                       stage->name, session->tags[tag].name, session->engine->classifier.name);
    if (stage->needs_saliency && !tm_session_has_saliency(session, &session->settings))
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "stage \"%s\": the engine was made without a saliency network",
                       stage->name);
    if (stage->needs_edge && session->settings.edge == TM_EDGE_NONE)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "stage \"%s\": the last proposal's preset has no refinement along edges (its member edge)",
                       stage->name);
    return TAGMASK_OK;
}

// Tags suggested since the proposal may have asked for another working size and other views.
static tagmask_status restore(tagmask_session *session, tm_error *err) {
    TM_TRY(tm_session_images(session, &session->settings, err));
    TM_TRY(tm_session_views(session, &session->settings, err));
    return tm_session_fuse(session, &session->settings, session->tags, session->tag_count, err);
}

static tagmask_status read_back(tagmask_session *session, const stage_row *stage, size_t tag, float *data,
                                tm_error *err) {
    tm_work work;
    tm_map map;
    shown_tag shown = {.tag = tag};
    if (stage->needs_class)
        TM_TRY(tm_session_tag_cam(session, &session->settings, &session->tags[tag], &shown.cam, err));
    TM_TRY(tm_work_begin(&work, session->engine->device->gpu, &session->scratch, err));
    tagmask_status status = stage->record(session, &work, &shown, &map, err);
    if (!status) status = tm_readback(work.recorder, map.slice, data, err);
    return tm_work_close(&work, status, err);
}

tagmask_status tm_session_attach_maps(tagmask_session *session, tagmask_result *result, tm_error *err) {
    uint32_t width = session->work.width, height = session->work.height;
    size_t pixels = (size_t)width * height, count;
    if (!tm_mul_size(pixels, session->tag_count, &count) || !(result->maps = tm_calloc(count, sizeof *result->maps)))
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for class maps of %zu tags", session->tag_count);
    for (size_t tag = 0; tag < session->tag_count; tag++) {
        if (session->tags[tag].class_count)
            TM_TRY(read_back(session, &stages[0], tag, result->maps + tag * pixels, err));
    }
    result->map_width = width;
    result->map_height = height;
    result->method = tm_map_method_at(session->settings.method)->name;
    return TAGMASK_OK;
}

tagmask_status tagmask_session_map(tagmask_session *session, const char *stage_name, size_t tag, tagmask_tensor *map,
                                   tagmask_error *error) {
    if (!session || !stage_name || !map || map->struct_size < sizeof *map)
        return tm_fail(error, TAGMASK_ERROR_ARGUMENT,
                       "tagmask_session_map needs session, stage and map with its struct_size set");
    const stage_row *stage = find_stage(stage_name, error);
    if (!stage) return TAGMASK_ERROR_ARGUMENT;
    TM_TRY(check(session, stage, tag, error));
    if (stage->record) TM_TRY(restore(session, error));
    const uint32_t sides[][2] = {[WORKING_SIZE] = {session->work.width, session->work.height},
                                 [CRF_SIZE] = {session->crf_width, session->crf_height},
                                 [PHOTO_SIZE] = {session->width, session->height}};
    uint32_t width = sides[stage->size][0], height = sides[stage->size][1];
    size_t pixels = (size_t)width * height;
    float *data = malloc(pixels * sizeof *data);
    if (!data) return tm_fail(error, TAGMASK_ERROR_MEMORY, "no memory for a map of %ux%u", width, height);
    tagmask_status status = TAGMASK_OK;
    if (stage->record) {
        status = read_back(session, stage, tag, data, error);
    } else {
        memcpy(data, session->probability->data + tag * pixels, pixels * sizeof *data);
    }
    if (status) {
        free(data);
        return status;
    }
    *map = (tagmask_tensor){.struct_size = map->struct_size,
                            .name = stage->name,
                            .dtype = TAGMASK_FLOAT32,
                            .rank = 2,
                            .dims = {height, width},
                            .data = data};
    return TAGMASK_OK;
}
