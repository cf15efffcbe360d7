// Fused maps: for each tag its CAM, saliency of the photo and around the CAM, and what both agree on. A tag's map does
// not depend on the other tags, so each is kept by itself and found again when tags come and go; that of a tag without
// a class is the saliency that the others leave.
#include <stdlib.h>
#include <string.h>

#include "mask/classical.h"
#include "mask/map_table.h"
#include "mask/session.h"

// What the kept maps may take beyond those of the proposal.
#define KEPT_BYTES ((uint64_t)64 << 20)

// ---- One tag: where its CAM is, what saliency says there, and both fused.

typedef struct tag_maps {
    uint64_t key;  // of everything the fused map depends on
    bool missing;
    tm_tag_cam cam;
    tm_view *crops[TM_MAX_CROPS];
    uint32_t crop_count;
} tag_maps;

// The keys of the maps of tags that the classifier sees, in ascending order: of what they leave, tags without a class
// are made.
typedef struct claims {
    uint64_t keys[TM_MAX_TAGS];
    size_t count;
} claims;

tagmask_status tm_session_tag_cam(tagmask_session *session, const tm_settings *settings, const tagmask_tag_info *tag,
                                  tm_tag_cam *cam, tm_error *err) {
    tm_cam_choose(session->scores, (size_t)session->engine->class_count, tag->classes, tag->class_count,
                  settings->rivals, &cam->rows);
    cam->part_count = 0;
    for (size_t i = 0; i < session->part_count; i++)
        TM_TRY(tm_session_add_part(session, settings, &session->parts[i], cam, err));
    cam->common = cam->part_count;
    return tm_session_expand_tag(session, settings, cam, err);
}

tagmask_status tm_session_record_cam(tagmask_session *session, tm_work *work, const tm_settings *settings,
                                     const tm_tag_cam *cam, const tm_map *target, tm_map *high, tm_map *spread,
                                     const tm_map *disagreement, tm_error *err) {
    const tm_view *affinity = tm_session_scale_view(session, settings, settings->affinity_size);
    tm_affinity how = {settings->affinity_temperature, settings->affinity_steps, settings->ridge, false};
    TM_TRY(tm_scratch_map(work, target->width, target->height, high, err));
    TM_TRY(tm_cam_record(work, session->engine, cam->parts, cam->part_count, &cam->rows, settings->rivalry, high,
                         disagreement, err));
    *spread = *high;
    if (session->features_view) {
        affinity = session->features_view;
        how = (tm_affinity){settings->features_temperature, settings->affinity_steps, 0, true};
    } else if (!affinity || affinity->output_count < 2) {
        return TAGMASK_OK;
    }
    TM_TRY(tm_scratch_map(work, target->width, target->height, spread, err));
    return tm_affinity_record(work, affinity, &how, high, spread, err);
}

static tagmask_status record_doubt(tm_work *work, const tm_settings *settings, const tm_map *disagreement,
                                   const tm_map *target, tm_error *err) {
    struct {
        uint32_t count;
        float strength, centre;
    } push = {tm_map_count(target), settings->uncertainty, settings->unary_centre};
    tm_map_call call = {.shader = "fuse/doubt",
                        .bindings = {disagreement->slice, target->slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = push.count,
                        .flops_per_element = 3};
    return tm_map_dispatch(work, &call, err);
}

// CAM and saliency of the photo and of the crops -> target.
static tagmask_status record_fusion(tagmask_session *session, tm_work *work, const tm_settings *settings,
                                    const tag_maps *maps, tm_fusion_input *input, const tm_map *target, tm_error *err) {
    if (!tm_session_has_saliency(session, settings)) return tm_map_normalize(work, &input->cam, target, err);
    for (uint32_t c = 0; c < maps->crop_count; c++) {
        tm_map plane = {tm_plane(session->saliency, target->width, target->height, 1 + c), target->width,
                        target->height};
        TM_TRY(tm_saliency_paste(work, maps->crops[c], (float)target->width / (float)session->base.width,
                                 (float)target->height / (float)session->base.height, &plane, err));
    }
    uint64_t plane_bytes = tm_plane_bytes(target->width, target->height);
    input->sources = (tm_slice){session->saliency, 0, plane_bytes * (1 + maps->crop_count)};
    input->source_stride = (uint32_t)(plane_bytes / 4);
    input->source_count = 1 + maps->crop_count;
    return tm_fusion_record(work, input, settings, target, err);
}

// The tag's fused map into `target`; the saliency of the whole photo is plane 0 of session->saliency.
// *high: the class map.
static tagmask_status record_tag(tagmask_session *session, tm_work *work, const tm_settings *settings,
                                 const tag_maps *maps, const tm_map *target, tm_map *high, tm_error *err) {
    tm_fusion_input input;
    tm_map doubt;
    bool doubts = settings->uncertainty > 0;
    if (doubts) TM_TRY(tm_scratch_map(work, target->width, target->height, &doubt, err));
    TM_TRY(tm_session_record_cam(session, work, settings, &maps->cam, target, &input.high, &input.cam,
                                 doubts ? &doubt : NULL, err));
    *high = input.high;
    // What a features network or attention has spread follows the object: there agreement is measured.
    if (session->features_view) input.high = input.cam;
    TM_TRY(record_fusion(session, work, settings, maps, &input, target, err));
    return doubts ? record_doubt(work, settings, &doubt, target, err) : TAGMASK_OK;
}

// ---- Crops around what is found so far

// Where crops are looked for: the CAM without competition, or the map fused with the whole photo's saliency, at an
// eighth of the working size.
static tagmask_status record_crop_map(tagmask_session *session, tm_work *work, const tm_settings *settings,
                                      const tag_maps *maps, const tm_map *target, tm_error *err) {
    if (settings->crop_source == TM_CROP_FUSED) {
        tm_map fused, high;
        TM_TRY(tm_scratch_map(work, session->work.width, session->work.height, &fused, err));
        TM_TRY(record_tag(session, work, settings, maps, &fused, &high, err));
        return tm_map_resize(work, &fused, target, NULL, false, err);
    }
    tm_cam_rows rows = maps->cam.rows;
    rows.rivals = 0;
    return tm_cam_record(work, session->engine, maps->cam.parts, maps->cam.part_count, &rows, 0, target, NULL, err);
}

// Asks for saliency around what the map shows.
static tagmask_status request_crops(tagmask_session *session, const tm_settings *settings, const float *map,
                                    uint32_t width, uint32_t height, tag_maps *maps, tm_error *err) {
    float to_x = (float)session->base.width / (float)width, to_y = (float)session->base.height / (float)height;
    for (uint32_t c = 0; c < settings->crop_count; c++) {
        tm_box box;
        TM_TRY(tm_crop_box(map, width, height, settings->crop_above, settings->crops[c], &box, err));
        box = (tm_box){box.left * to_x, box.top * to_y, box.right * to_x, box.bottom * to_y};
        tm_view request = tm_session_saliency_request(session, box, false), *view = tm_session_view(session, &request);
        if (!view) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for a crop");
        maps->crops[maps->crop_count++] = view;
    }
    return TAGMASK_OK;
}

static tagmask_status choose_crops(tagmask_session *session, const tm_settings *settings, tag_maps *maps,
                                   tm_error *err) {
    uint32_t width = tm_div_up(session->work.width, 8), height = tm_div_up(session->work.height, 8);
    float *map = tm_calloc((size_t)width * height, sizeof *map);
    if (!map) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for a CAM");
    tm_work work;
    tm_map target;
    tagmask_status status = tm_work_begin(&work, session->engine->device->gpu, &session->scratch, err);
    if (!status) {
        status = tm_scratch_map(&work, width, height, &target, err);
        if (!status) status = record_crop_map(session, &work, settings, maps, &target, err);
        if (!status) status = tm_readback(work.recorder, target.slice, map, err);
        status = tm_work_close(&work, status, err);
    }
    if (!status) status = request_crops(session, settings, map, width, height, maps, err);
    free(map);
    return status;
}

static tagmask_status run_crops(tagmask_session *session, const tm_settings *settings, const tag_maps *maps,
                                size_t tag_count, tm_error *err) {
    size_t count = 0, most = tag_count * TM_MAX_CROPS;
    tm_view **views = tm_calloc(most, sizeof *views);
    if (!views) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for views");
    for (size_t t = 0; t < tag_count; t++) {
        for (uint32_t c = 0; c < maps[t].crop_count; c++) views[count++] = maps[t].crops[c];
    }
    const tm_progress_span span = {"maps", 0.6f, 0.75f};
    tagmask_status status = tm_session_run_views(session, settings, views, count, span, err);
    free(views);
    return status;
}

// ---- Kept maps

static tm_kept_map *find_map(tagmask_session *session, uint64_t key) {
    for (size_t i = 0; i < session->map_count; i++) {
        if (session->maps[i].key == key) return &session->maps[i];
    }
    return NULL;
}

// A place for a new map: in place of the one that was not used for the longest time when there are enough, but of none
// that this proposal uses.
static tagmask_status new_map(tagmask_session *session, size_t tag_count, tm_kept_map **map, tm_error *err) {
    uint64_t bytes = tm_plane_bytes(session->work.width, session->work.height);
    tm_kept_map *made = NULL;
    for (size_t i = 0; i < session->map_count; i++) {
        tm_kept_map *kept = &session->maps[i];
        bool unused =
            !kept->key || (kept->used != session->proposal && session->map_count >= tag_count + KEPT_BYTES / bytes);
        if (unused && (!made || kept->used < made->used)) made = kept;
    }
    if (!made) {
        if (!tm_grow((void **)&session->maps, &session->map_capacity, session->map_count + 1, sizeof *session->maps))
            return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the maps of %zu tags", tag_count);
        made = &session->maps[session->map_count++];
        *made = (tm_kept_map){0};
    }
    made->key = 0;
    *map = made;
    return tm_ensure_buffer(session->engine->device->gpu, &made->buffer, bytes, err);
}

static tm_map map_of(const tagmask_session *session, tm_buffer *buffer) {
    uint32_t width = session->work.width, height = session->work.height;
    return (tm_map){{buffer, 0, (uint64_t)width * height * 4}, width, height};
}

size_t tm_session_first_alike(const tagmask_session *session, size_t tag) {
    size_t first = 0;
    while (session->fused[first] != session->fused[tag]) first++;
    return first;
}

tm_map tm_session_fused(const tagmask_session *session, size_t tag) {
    return map_of(session, session->fused[tag]);
}

// ---- All tags

// What the class map holds, read back with everything else.
typedef struct map_content {
    float peak, wrong;  // largest number; how many are not finite
} map_content;

static tagmask_status record_content(tm_work *work, const tm_map *map, map_content *content, tm_error *err) {
    uint32_t slot;
    TM_TRY(tm_work_slots(work, 1, &slot, err));
    TM_TRY(tm_map_reduce(work, TM_REDUCE_FINITE, map, NULL, 0, slot, err));
    tm_slice pair = {work->scalars.buffer, work->scalars.offset + slot * sizeof *content, sizeof *content};
    return tm_readback(work->recorder, pair, content, err);
}

static tagmask_status check_content(const tagmask_session *session, const tm_settings *settings, const char *tag,
                                    const map_content *content, tm_error *err) {
    if (!(content->wrong > 0)) return TAGMASK_OK;
    const tm_map_method *method = tm_map_method_at(settings->method);
    if (method->make && !method->of_layer)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "%s: %.0f places of the map of \"%.80s\" are not finite: the network's numbers overflow; choose "
                       "another method than %s",
                       session->engine->classifier.model_path, (double)content->wrong, tag, method->name);
    return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                   "%s: %.0f places of the map of \"%.80s\" are not finite (method %s, layer '%.200s'): the network's "
                   "numbers overflow there; choose another layer or method",
                   session->engine->classifier.model_path, (double)content->wrong, tag, method->name,
                   *settings->layer ? settings->layer : tm_engine_features(session->engine));
}

// A tag without a class: the saliency that no tag with one claims. Else the photo's only salient object, which the
// classifier knows, would go to the tag of which it knows nothing.
static tagmask_status record_unclaimed(tagmask_session *session, tm_work *work, const tm_settings *settings,
                                       const claims *others, const tm_map *target, tm_error *err) {
    if (!tm_session_has_saliency(session, settings)) return tm_fill(work->recorder, target->slice, 0, err);
    TM_TRY(tm_copy(work->recorder, tm_plane(session->saliency, target->width, target->height, 0), target->slice, err));
    for (size_t i = 0; i < others->count; i++) {
        if (i && others->keys[i] == others->keys[i - 1]) continue;  // two words of the same classes
        tm_map claim = map_of(session, find_map(session, others->keys[i])->buffer);
        TM_TRY(tm_fusion_without(work, &claim, target, err));
    }
    return TAGMASK_OK;
}

// One recording a tag keeps the scratch memory small, however many tags there are.
static tagmask_status fuse_tag(tagmask_session *session, const tm_settings *settings, const tag_maps *maps,
                               const tagmask_tag_info *tag, const claims *others, tm_kept_map *made, tm_error *err) {
    tm_work work;
    tm_map target = map_of(session, made->buffer), high;
    map_content content = {1, 0};
    TM_TRY(tm_work_begin(&work, session->engine->device->gpu, &session->scratch, err));
    tagmask_status status = TAGMASK_OK;
    if (tag->class_count) {
        status = record_tag(session, &work, settings, maps, &target, &high, err);
        if (!status) status = record_content(&work, &high, &content, err);
    } else {
        status = record_unclaimed(session, &work, settings, others, &target, err);
        content.peak = tm_session_has_saliency(session, settings);
    }
    TM_TRY(tm_work_close(&work, status, err));
    made->flat = content.peak == 0;
    return check_content(session, settings, tag->name, &content, err);
}

bool tm_session_has_saliency(const tagmask_session *session, const tm_settings *settings) {
    return session->engine->has_saliency || settings->classical_saliency;
}

// The whole photo's saliency at working size.
static tagmask_status hold_saliency(tagmask_session *session, const tm_settings *settings, tm_error *err) {
    const uint64_t parts[] = {session->views_key, session->images_key, settings->classical_saliency};
    uint64_t key = tm_hash64(parts, sizeof parts, 3);
    uint32_t width = session->work.width, height = session->work.height;
    if (session->saliency_key == key) return TAGMASK_OK;
    session->saliency_key = 0;
    TM_TRY(tm_ensure_buffer(session->engine->device->gpu, &session->saliency,
                            tm_plane_bytes(width, height) * (1 + TM_MAX_CROPS), err));
    if (tm_session_has_saliency(session, settings)) {
        tm_map whole = {tm_plane(session->saliency, width, height, 0), width, height};
        tm_work work;
        TM_TRY(tm_work_begin(&work, session->engine->device->gpu, &session->scratch, err));
        tagmask_status status =
            session->engine->has_saliency
                ? tm_saliency_record(&work, session->saliency_views, session->saliency_count, &whole, err)
                : tm_classical_saliency_record(&work, &session->work, &whole, err);
        TM_TRY(tm_work_close(&work, status, err));
    }
    session->saliency_key = key;
    return TAGMASK_OK;
}

static tagmask_status fuse_missing(tagmask_session *session, const tm_settings *settings, const tagmask_tag_info *tags,
                                   size_t tag_count, tag_maps *maps, const claims *others, tm_error *err) {
    for (size_t t = 0; t < tag_count; t++) {
        if (!maps[t].missing || !tags[t].class_count) continue;
        TM_TRY(tm_session_tag_cam(session, settings, &tags[t], &maps[t].cam, err));
        if (session->engine->has_saliency && settings->crop_count)
            TM_TRY(choose_crops(session, settings, &maps[t], err));
    }
    TM_TRY(run_crops(session, settings, maps, tag_count, err));
    for (size_t i = 0; i < 2 * tag_count; i++) {  // tags with classes first: the others read their maps
        size_t t = i % tag_count;
        if ((i < tag_count) != (tags[t].class_count > 0) || find_map(session, maps[t].key)) continue;
        tm_kept_map *made = NULL;
        TM_TRY(new_map(session, tag_count, &made, err));
        TM_TRY(fuse_tag(session, settings, &maps[t], &tags[t], others, made, err));
        made->key = maps[t].key;
        made->used = session->proposal;
    }
    return TAGMASK_OK;
}

static tagmask_status fuse_tags(tagmask_session *session, const tm_settings *settings, const tagmask_tag_info *tags,
                                size_t tag_count, tag_maps *maps, const claims *others, tm_error *err) {
    bool any = false;
    TM_TRY(hold_saliency(session, settings, err));
    for (size_t t = 0; t < tag_count; t++) {
        tm_kept_map *kept = find_map(session, maps[t].key);
        if (kept) kept->used = session->proposal;
        maps[t].missing = !kept;
        any |= !kept;
    }
    if (any) TM_TRY(fuse_missing(session, settings, tags, tag_count, maps, others, err));
    for (size_t t = 0; t < tag_count; t++) {
        const tm_kept_map *kept = find_map(session, maps[t].key);
        session->fused[t] = kept->buffer;
        session->flat[t] = kept->flat;
    }
    return TAGMASK_OK;
}

// What every tag's map depends on.
static uint64_t settings_key(const tagmask_session *session, const tm_settings *settings) {
    const uint64_t stages[] = {session->views_key, session->images_key};
    return tm_preset_hash(settings, TM_STAGE_MAPS, tm_hash64(stages, sizeof stages, 4));
}

static int by_key(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// Keys of the tags' maps, and which of them are claims.
static void make_keys(const tagmask_session *session, const tm_settings *settings, const tagmask_tag_info *tags,
                      size_t tag_count, tag_maps *maps, claims *others) {
    uint64_t common = settings_key(session, settings);
    for (size_t t = 0; t < tag_count; t++) {
        // 0 marks a map that is not there.
        maps[t].key = tm_hash64(tags[t].classes, tags[t].class_count * sizeof(int32_t), common) | 1;
        if (tags[t].class_count && tm_session_sees(session, settings, &tags[t]))
            others->keys[others->count++] = maps[t].key;
    }
    qsort(others->keys, others->count, sizeof *others->keys, by_key);
    for (size_t t = 0; t < tag_count; t++)
        if (!tags[t].class_count)
            maps[t].key = tm_hash64(others->keys, others->count * sizeof *others->keys, maps[t].key) | 1;
}

tagmask_status tm_session_fuse(tagmask_session *session, const tm_settings *settings, const tagmask_tag_info *tags,
                               size_t tag_count, tm_error *err) {
    tag_maps *maps = tm_calloc(tag_count, sizeof *maps);
    if (!maps) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the maps of %zu tags", tag_count);
    claims others = {.count = 0};
    make_keys(session, settings, tags, tag_count, maps, &others);
    uint64_t key = tag_count;
    for (size_t t = 0; t < tag_count; t++) key = tm_hash64(&maps[t].key, sizeof maps[t].key, key);
    tagmask_status status = TAGMASK_OK;
    if (session->fused_key != key) {
        session->fused_key = 0;
        status = fuse_tags(session, settings, tags, tag_count, maps, &others, err);
        if (!status) session->fused_key = key;
    }
    free(maps);
    return status;
}

void tm_session_free_maps(tagmask_session *session) {
    for (size_t i = 0; i < session->map_count; i++) tm_buffer_destroy(session->maps[i].buffer);
    free(session->maps);
}
