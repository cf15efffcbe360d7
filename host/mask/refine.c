// From fused maps to probabilities at the photo's size: dense CRF, then edge-aware upsampling.
#include <stdlib.h>
#include <string.h>

#include "mask/colour.h"
#include "mask/edge.h"
#include "mask/session.h"
#include "mask/unary.h"
#include "mask/upsample.h"

#define UPSAMPLE_BAND_BYTES ((uint64_t)32 << 20)

static uint64_t crf_plane_bytes(const tagmask_session *session) {
    return (uint64_t)session->crf_width * session->crf_height * 4;
}

// Fused maps at the CRF's size, refined along edges if the settings say so. Their key covers what they depend on.
static uint64_t refined_key(const tagmask_session *session, const tm_settings *settings) {
    return tm_preset_hash(settings, TM_STAGE_REFINED, session->fused_key) | 1;
}

// Before what records them; session->refined_key is 0 when they are missing, and set once they are recorded and done.
static tagmask_status prepare_refined(tagmask_session *session, const tm_settings *settings, size_t tag_count,
                                      tm_error *err) {
    uint64_t bytes = tm_plane_bytes(session->crf_width, session->crf_height) * tag_count;
    if (session->refined_key != refined_key(session, settings)) session->refined_key = 0;
    return tm_ensure_buffer(session->engine->device->gpu, &session->refined, bytes, err);
}

static tagmask_status record_refined(tagmask_session *session, tm_work *work, const tm_settings *settings,
                                     size_t tag_count, tm_error *err) {
    if (session->refined_key) return TAGMASK_OK;
    uint64_t stride = tm_plane_bytes(session->crf_width, session->crf_height), plane = crf_plane_bytes(session);
    tm_edge_job job = {.image = {session->crf_image, 0, plane * 4},
                       .maps = {session->refined, 0, stride * tag_count},
                       .stride = stride,
                       .width = session->crf_width,
                       .height = session->crf_height,
                       .count = (uint32_t)tag_count};
    for (size_t t = 0; t < tag_count; t++) {
        tm_map map = tm_session_fused(session, t), small = tm_session_refined(session, t);
        TM_TRY(tm_map_resize(work, &map, &small, NULL, false, err));
    }
    return tm_edge_record(work, &job, settings, err);
}

tm_map tm_session_refined(const tagmask_session *session, size_t tag) {
    uint32_t width = session->crf_width, height = session->crf_height;
    return (tm_map){tm_plane(session->refined, width, height, tag), width, height};
}

// Refined maps -> energies.
static tagmask_status record_unary(tagmask_session *session, tm_work *work, const tm_settings *settings,
                                   size_t tag_count, tm_slice unary, tm_error *err) {
    uint64_t stride = tm_plane_bytes(session->crf_width, session->crf_height);
    tm_unary_job job = {.maps = {session->refined, 0, stride * tag_count},
                        .stride = (uint32_t)(stride / 4),
                        .width = session->crf_width,
                        .height = session->crf_height,
                        .tags = (uint32_t)tag_count,
                        .unary = unary};
    TM_TRY(tm_unary_record(work, &job, settings, err));
    tm_colour_job colour = {.image = {session->crf_image, 0, crf_plane_bytes(session) * 4},
                            .unary = unary,
                            .pixels = job.width * job.height,
                            .tags = job.tags};
    return tm_colour_record(work, &colour, settings, err);
}

// Energies -> marginals; without iterations the maps themselves are the probabilities.
static tagmask_status record_crf(tagmask_session *session, tm_work *work, const tm_settings *settings, size_t tag_count,
                                 tm_error *err) {
    uint64_t plane = crf_plane_bytes(session);
    tm_slice unary = {session->unary, 0, plane * (tag_count + 1)};
    TM_TRY(record_refined(session, work, settings, tag_count, err));
    if (!session->unary_key) TM_TRY(record_unary(session, work, settings, tag_count, unary, err));
    tm_slice image = {session->crf_image, 0, plane * 4}, marginals = {session->marginals, 0, unary.size};
    tm_crf_params params = {.gaussian_sxy = settings->crf_gaussian_sxy,
                            .gaussian_compat = settings->crf_gaussian_compat,
                            .bilateral_sxy = settings->crf_bilateral_sxy,
                            .bilateral_srgb = settings->crf_bilateral_srgb,
                            .bilateral_compat = settings->crf_bilateral_compat,
                            .iterations = settings->crf_iterations};
    if (!session->crf_image_set) TM_TRY(tm_crf_set_image(session->crf, work->recorder, image, err));
    return tm_crf_run(session->crf, work->recorder, &params, (uint32_t)tag_count + 1, unary, marginals, err);
}

static tagmask_status prepare_crf(tagmask_session *session, size_t tag_count, tm_error *err) {
    tm_gpu *gpu = session->engine->device->gpu;
    uint64_t bytes = crf_plane_bytes(session) * (tag_count + 1);
    TM_TRY(tm_ensure_buffer(gpu, &session->unary, bytes, err));
    TM_TRY(tm_ensure_buffer(gpu, &session->marginals, bytes, err));
    if (session->crf) return TAGMASK_OK;
    session->crf_image_set = false;
    return tm_crf_create(gpu, session->crf_width, session->crf_height, &session->crf, err);
}

tagmask_status tm_session_crf(tagmask_session *session, const tm_settings *settings, size_t tag_count, tm_error *err) {
    if (!settings->crf_iterations) return TAGMASK_OK;
    uint64_t maps_key = refined_key(session, settings);
    uint64_t unary_key = tm_preset_hash(settings, TM_STAGE_UNARY, maps_key) | 1;
    uint64_t key = tm_preset_hash(settings, TM_STAGE_CRF, unary_key);
    if (session->crf_key == key) return TAGMASK_OK;
    session->crf_key = 0;
    if (session->unary_key != unary_key) session->unary_key = 0;
    TM_TRY(prepare_refined(session, settings, tag_count, err));
    TM_TRY(prepare_crf(session, tag_count, err));
    tm_work work;
    TM_TRY(tm_work_begin(&work, session->engine->device->gpu, &session->scratch, err));
    tagmask_status status = record_crf(session, &work, settings, tag_count, err);
    session->crf_image_set = false;
    session->refined_key = session->unary_key = 0;
    TM_TRY(tm_work_close(&work, status, err));
    session->crf_image_set = true;
    session->unary_key = unary_key;
    session->refined_key = maps_key;
    session->crf_key = key;
    return TAGMASK_OK;
}

// Fused maps as they are: smooth, so bilinear is all they need.
static tagmask_status enlarge_maps(tagmask_session *session, size_t tag_count, tm_error *err) {
    tm_work work;
    TM_TRY(tm_work_begin(&work, session->engine->device->gpu, &session->scratch, err));
    tagmask_status status = TAGMASK_OK;
    size_t pixels = (size_t)session->width * session->height;
    for (size_t t = 0; t < tag_count && !status; t++) {
        tm_map full, map = tm_session_fused(session, t);
        status = tm_scratch_map(&work, session->width, session->height, &full, err);
        if (!status) status = tm_map_resize(&work, &map, &full, NULL, false, err);
        if (!status) status = tm_readback(work.recorder, full.slice, session->probability->data + t * pixels, err);
    }
    return tm_work_close(&work, status, err);
}

static tagmask_status record_band(tagmask_session *session, tm_work *work, tm_upsample *job, tm_error *err) {
    size_t row_bytes = (size_t)session->width * 4, pixels = (size_t)session->width * session->height;
    uint64_t band_bytes = row_bytes * job->rows;
    TM_TRY(tm_scratch_alloc(work->scratch, band_bytes, &job->photo, err));
    TM_TRY(tm_scratch_alloc(work->scratch, band_bytes * job->labels, &job->out, err));
    job->photo.size = band_bytes;
    job->out.size = band_bytes * job->labels;
    TM_TRY(tm_upload(work->recorder, job->photo, session->photo + (size_t)job->first_row * session->width, err));
    TM_TRY(tm_upsample_run(work->recorder, job, err));
    for (size_t t = 0; t < job->labels; t++) {
        tm_slice plane = {job->out.buffer, job->out.offset + t * band_bytes, band_bytes};
        float *to = session->probability->data + t * pixels + (size_t)job->first_row * session->width;
        TM_TRY(tm_readback(work->recorder, plane, to, err));
    }
    return TAGMASK_OK;
}

// share of the CRF's marginals and the rest of the maps that it started from, in place. Where the maps of all tags add
// up to more than 1 they are divided by that sum, so that probabilities stay a distribution over the tags.
static tagmask_status record_shares(tagmask_session *session, tm_work *work, const tm_settings *settings,
                                    size_t tag_count, tm_slice marginals, tm_error *err) {
    uint64_t plane = crf_plane_bytes(session), stride = tm_plane_bytes(session->crf_width, session->crf_height);
    TM_TRY(prepare_refined(session, settings, tag_count, err));
    TM_TRY(record_refined(session, work, settings, tag_count, err));
    struct {
        uint32_t count, stride, tags;
        float share;
    } push = {(uint32_t)(plane / 4), (uint32_t)(stride / 4), (uint32_t)tag_count, settings->crf_share};
    tm_map_call call = {.shader = "fuse/share",
                        .bindings = {{session->refined, 0, stride * tag_count}, marginals},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = push.count,
                        .flops_per_element = 4.0 * (double)tag_count};
    return tm_map_dispatch(work, &call, err);
}

// What the bands read: the tags' marginals (plane 0 of them is the background), or without a CRF the refined maps.
static tagmask_status gather_maps(tagmask_session *session, tm_work *work, const tm_settings *settings,
                                  size_t tag_count, tm_slice maps, tm_error *err) {
    uint64_t plane = crf_plane_bytes(session);
    if (settings->crf_iterations) {
        TM_TRY(tm_copy(work->recorder, (tm_slice){session->marginals, plane, plane * tag_count}, maps, err));
        return settings->crf_share < 1 ? record_shares(session, work, settings, tag_count, maps, err) : TAGMASK_OK;
    }
    TM_TRY(record_refined(session, work, settings, tag_count, err));
    for (size_t t = 0; t < tag_count; t++) {
        tm_slice to = {maps.buffer, maps.offset + plane * t, plane};
        TM_TRY(tm_copy(work->recorder, tm_session_refined(session, t).slice, to, err));
    }
    return TAGMASK_OK;
}

// Maps of the CRF's size along the photo's edges, band by band, so that device memory does not grow with the photo.
static tagmask_status sharpen_maps(tagmask_session *session, const tm_settings *settings, size_t tag_count,
                                   tm_error *err) {
    tm_gpu *gpu = session->engine->device->gpu;
    uint64_t plane = crf_plane_bytes(session);
    if (!settings->crf_iterations) TM_TRY(prepare_refined(session, settings, tag_count, err));
    TM_TRY(tm_ensure_buffer(gpu, &session->tag_marginals, plane * tag_count, err));
    tm_upsample job = {.width = session->width,
                       .height = session->height,
                       .guide = {session->crf_image, 0, plane * 4},
                       .maps = {session->tag_marginals, 0, plane * tag_count},
                       .map_width = session->crf_width,
                       .map_height = session->crf_height,
                       .labels = (uint32_t)tag_count};
    uint32_t rows = tm_upsample_band(tm_gpu_get_info(gpu), job.width, job.height, job.labels, UPSAMPLE_BAND_BYTES);
    for (job.first_row = 0; job.first_row < job.height; job.first_row += rows) {
        job.rows = TM_MIN(rows, job.height - job.first_row);
        tm_work work;
        TM_TRY(tm_work_begin(&work, gpu, &session->scratch, err));
        tagmask_status status = TAGMASK_OK;
        if (!job.first_row) status = gather_maps(session, &work, settings, tag_count, job.maps, err);
        if (!status) status = record_band(session, &work, &job, err);
        if (!settings->crf_iterations) session->refined_key = 0;
        TM_TRY(tm_work_close(&work, status, err));
        if (!settings->crf_iterations) session->refined_key = refined_key(session, settings);
    }
    return TAGMASK_OK;
}

// Tags that nothing tells apart have shared their probability: the first of them gets it whole.
static void join_alike(tagmask_session *session, size_t tag_count) {
    size_t pixels = (size_t)session->width * session->height;
    for (size_t t = 1; t < tag_count; t++) {
        size_t first = tm_session_first_alike(session, t);
        float *from = session->probability->data + t * pixels, *to = session->probability->data + first * pixels;
        for (size_t i = 0; first != t && i < pixels; i++) {
            to[i] = TM_MIN(to[i] + from[i], 1.0f);
            from[i] = 0;
        }
    }
}

tagmask_status tm_session_probability(tagmask_session *session, const tm_settings *settings, size_t tag_count,
                                      tm_error *err) {
    bool sharpens = settings->crf_iterations || settings->edge != TM_EDGE_NONE;
    uint64_t key = settings->crf_iterations ? session->crf_key : refined_key(session, settings) + 1;
    if (session->probability_key == key) return TAGMASK_OK;
    session->probability_key = 0;
    tm_planes_drop(session->probability);
    session->probability = tm_planes_create((size_t)session->width * session->height * tag_count);
    if (!session->probability)
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for %zu masks of %ux%u", tag_count, session->width,
                       session->height);
    TM_TRY(sharpens ? sharpen_maps(session, settings, tag_count, err) : enlarge_maps(session, tag_count, err));
    join_alike(session, tag_count);
    session->probability_key = key;
    return TAGMASK_OK;
}
