// Dense CRF: the interface, and the exact path that sums over all pairs of pixels. See crf.h.
#include "mask/crf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mask/crf_internal.h"

#define MAX_LABELS 255
#define EXACT_LABELS 8       // labels a dispatch of the exact path sums at once
#define EXACT_TARGETS 4      // as in crf/exact_message
#define EXACT_COST 3e8       // operations a dispatch of the exact path, to keep each one short
#define EXACT_SOURCES 16384  // source pixels a dispatch

tagmask_status tm_crf_create(tm_gpu *gpu, uint32_t width, uint32_t height, tm_crf **crf, tm_error *err) {
    const tm_gpu_info *info = tm_gpu_get_info(gpu);
    uint64_t count = (uint64_t)width * height;
    if (!count || count * 16 > info->max_storage_range || count > INT32_MAX / 16) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT,
                       "a CRF of %u x %u pixels is not possible: %s binds %llu bytes, 16 a pixel are needed; work at a "
                       "smaller size",
                       width, height, info->name, (unsigned long long)info->max_storage_range);
    }
    tm_crf *made = tm_calloc(1, sizeof *made);
    if (!made) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for a CRF of %u x %u pixels", width, height);
    made->gpu = gpu;
    made->info = info;
    made->width = width;
    made->height = height;
    made->count = (uint32_t)count;
    tagmask_status status = tm_buffer_create(gpu, count * 16, TM_MEMORY_DEVICE, &made->image, err);
    if (status != TAGMASK_OK) {
        tm_crf_destroy(made);
        return status;
    }
    *crf = made;
    return TAGMASK_OK;
}

void tm_crf_destroy(tm_crf *crf) {
    if (!crf) return;
    tm_crf_destroy_fast(crf);
    tm_buffer_destroy(crf->image);
    tm_buffer_destroy(crf->norms);
    tm_buffer_destroy(crf->messages);
    free(crf);
}

tagmask_status tm_crf_set_image(tm_crf *crf, tm_recorder *recorder, tm_slice image, tm_error *err) {
    uint64_t size = (uint64_t)crf->count * 16;
    if (image.size < size) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "the CRF's image has %llu bytes, expected %llu (16 a pixel)",
                       (unsigned long long)image.size, (unsigned long long)size);
    }
    image.size = size;
    TM_TRY(tm_copy(recorder, image, (tm_slice){crf->image, 0, size}, err));
    crf->has_image = true;
    crf->has_norms = false;
    tm_crf_forget_fast(crf);
    return TAGMASK_OK;
}

// ---- Dispatching
// -----------------------------------------------------------------------------------------------------

uint32_t tm_crf_local_size(const tm_crf *crf) {
    return crf->info->gpu_class == TM_GPU_CLASS_GPU ? 64 : 16;
}

void tm_crf_grid(const tm_crf *crf, uint64_t items, uint32_t groups[3]) {
    uint64_t total = (items + tm_crf_local_size(crf) - 1) / tm_crf_local_size(crf);
    groups[0] = (uint32_t)TM_MIN(total, 32768);
    groups[1] = groups[0] ? (uint32_t)((total + groups[0] - 1) / groups[0]) : 0;
    groups[2] = 1;
}

tagmask_status tm_crf_reserve(tm_crf *crf, tm_buffer **buffer, uint64_t size, tm_error *err) {
    if (*buffer && tm_buffer_size(*buffer) >= size) return TAGMASK_OK;
    tm_buffer_destroy(*buffer);
    *buffer = NULL;
    return tm_buffer_create(crf->gpu, size, TM_MEMORY_DEVICE, buffer, err);
}

static bool texels_serve(const tm_crf *crf, const tm_crf_job *job) {
    // lavapipe fetches more texels than it binds bytes.
    return job->texel_shader && crf->info->gpu_class == TM_GPU_CLASS_LAVAPIPE;
}

tagmask_status tm_crf_dispatch(const tm_crf *crf, tm_recorder *recorder, const tm_crf_job *job, tm_error *err) {
    const char *shader = texels_serve(crf, job) ? job->texel_shader : job->shader;
    uint32_t constants[1 + TM_ARRAY_LEN(job->constants)] = {tm_crf_local_size(crf)};
    memcpy(constants + 1, job->constants, sizeof job->constants);
    tm_dispatch_info info = {.push = job->push,
                             .push_size = job->push_size,
                             .groups = {job->groups[0], job->groups[1], job->groups[2]},
                             .flops = job->flops,
                             .label = shader};
    TM_TRY(tm_pipeline_get(crf->gpu, shader, constants, 1 + job->constant_count, &info.pipeline, err));
    memcpy(info.bindings, job->bindings, sizeof info.bindings);
    if (job->items) tm_crf_grid(crf, job->items, info.groups);
    if (job->at_most) {
        // lavapipe ends loops after 65,536 rounds in all: large images need many invocations there.
        uint64_t most = crf->info->gpu_class == TM_GPU_CLASS_GPU ? 262144 : TM_MAX(4096, crf->count / 64);
        tm_crf_grid(crf, TM_MIN(job->at_most, most), info.groups);
    }
    return tm_dispatch(recorder, &info, err);
}

// ---- Exact path
// ------------------------------------------------------------------------------------------------------

typedef struct exact_push {
    uint32_t width, count, first, last;  // targets
    float gaussian, bilateral, color;
    uint32_t row, rows;  // sources: rows [row, rows)
    float gaussian_compat, bilateral_compat;
    uint32_t label;  // first of the labels that are summed
} exact_push;

static exact_push exact_constants(const tm_crf *crf, const tm_crf_params *params) {
    return (exact_push){.width = crf->width,
                        .count = crf->count,
                        .gaussian = -0.5f / (params->gaussian_sxy * params->gaussian_sxy),
                        .bilateral = -0.5f / (params->bilateral_sxy * params->bilateral_sxy),
                        .color = -0.5f / (params->bilateral_srgb * params->bilateral_srgb),
                        .gaussian_compat = params->gaussian_compat,
                        .bilateral_compat = params->bilateral_compat};
}

// Calls for ranges of target pixels, each short enough for one submit, and for ranges of source rows: lavapipe ends
// loops after 65,536 rounds in all.
static tagmask_status exact_ranges(const tm_crf *crf, tm_recorder *recorder, tm_crf_job *job, exact_push *push,
                                   double cost, uint32_t targets, tm_error *err) {
    double affordable = EXACT_COST / (cost * crf->count);
    uint32_t step = affordable < 1024 ? 1024 : affordable > crf->count ? crf->count : (uint32_t)affordable;
    uint32_t grain = tm_crf_local_size(crf) * targets;
    step = tm_div_up(step, grain) * grain;
    for (uint64_t first = 0; first < crf->count; first += step) {
        push->first = (uint32_t)first;
        push->last = (uint32_t)TM_MIN(first + step, crf->count);
        job->groups[0] = tm_div_up(push->last - push->first, grain);
        job->groups[1] = job->groups[2] = 1;
        for (push->row = 0; push->row < crf->height; push->row = push->rows) {
            push->rows = TM_MIN(push->row + TM_MAX(EXACT_SOURCES / crf->width, 1), crf->height);
            job->flops = cost * (push->rows - push->row) * crf->width * (push->last - push->first);
            TM_TRY(tm_crf_dispatch(crf, recorder, job, err));
        }
    }
    return TAGMASK_OK;
}

static tagmask_status exact_norms(tm_crf *crf, tm_recorder *recorder, const tm_crf_params *params, tm_error *err) {
    const float key[3] = {params->gaussian_sxy, params->bilateral_sxy, params->bilateral_srgb};
    if (crf->has_norms && !memcmp(key, crf->norms_key, sizeof key)) return TAGMASK_OK;
    TM_TRY(tm_crf_reserve(crf, &crf->norms, (uint64_t)crf->count * 8, err));
    exact_push push = exact_constants(crf, params);
    tm_crf_job job = {.shader = "crf/exact_norm",
                      .bindings = {tm_slice_all(crf->image), tm_slice_all(crf->norms)},
                      .push = &push,
                      .push_size = offsetof(exact_push, gaussian_compat)};
    TM_TRY(exact_ranges(crf, recorder, &job, &push, 40, 1, err));
    memcpy(crf->norms_key, key, sizeof key);
    crf->has_norms = true;
    return TAGMASK_OK;
}

static tagmask_status exact_messages(tm_crf *crf, tm_recorder *recorder, const tm_crf_params *params, uint32_t labels,
                                     tm_slice marginals, tm_error *err) {
    exact_push push = exact_constants(crf, params);
    for (uint32_t first = 0; first < labels;) {
        uint32_t some = TM_MIN(labels - first, EXACT_LABELS);
        push.label = first;
        tm_crf_job job = {
            .shader = "crf/exact_message",
            .constants = {some},
            .constant_count = 1,
            .bindings = {tm_slice_all(crf->image), tm_slice_all(crf->norms), marginals, tm_slice_all(crf->messages)},
            .push = &push,
            .push_size = sizeof push};
        TM_TRY(exact_ranges(crf, recorder, &job, &push, 45 + 2.0 * some, EXACT_TARGETS, err));
        first += some;
    }
    return TAGMASK_OK;
}

static tagmask_status softmax(const tm_crf *crf, tm_recorder *recorder, uint32_t labels, tm_slice unary,
                              tm_slice messages, tm_slice marginals, bool with_messages, tm_error *err) {
    const uint32_t push[2] = {crf->count, labels};
    tm_crf_job job = {.shader = "crf/exact_softmax",
                      .constants = {with_messages},
                      .constant_count = 1,
                      .bindings = {unary, messages, marginals},
                      .push = push,
                      .push_size = sizeof push,
                      .items = crf->count,
                      .flops = 60.0 * crf->count * labels};
    return tm_crf_dispatch(crf, recorder, &job, err);
}

static tagmask_status run_exact(tm_crf *crf, tm_recorder *recorder, const tm_crf_params *params, uint32_t labels,
                                tm_slice unary, tm_slice marginals, tm_error *err) {
    if (unary.size > crf->info->max_storage_range) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT,
                       "%u labels on %u x %u pixels are too many for the exact CRF: %llu bytes, %s binds %llu; use the "
                       "fast path",
                       labels, crf->width, crf->height, (unsigned long long)unary.size, crf->info->name,
                       (unsigned long long)crf->info->max_storage_range);
    }
    TM_TRY(tm_crf_reserve(crf, &crf->messages, unary.size, err));
    TM_TRY(exact_norms(crf, recorder, params, err));
    TM_TRY(softmax(crf, recorder, labels, unary, unary, marginals, false, err));
    for (int t = 0; t < params->iterations; t++) {
        TM_TRY(exact_messages(crf, recorder, params, labels, marginals, err));
        TM_TRY(softmax(crf, recorder, labels, unary, tm_slice_all(crf->messages), marginals, true, err));
    }
    return TAGMASK_OK;
}

// ---- Run
// -------------------------------------------------------------------------------------------------------------

static tagmask_status check_width(float value, const char *name, tm_error *err) {
    if (value >= 0.1f && value <= 1e5f) return TAGMASK_OK;  // false for NaN
    return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "the CRF's %s is %g, expected 0.1 to 100000", name, (double)value);
}

static tagmask_status check_params(const tm_crf_params *params, tm_error *err) {
    TM_TRY(check_width(params->gaussian_sxy, "gaussian_sxy", err));
    TM_TRY(check_width(params->bilateral_sxy, "bilateral_sxy", err));
    TM_TRY(check_width(params->bilateral_srgb, "bilateral_srgb", err));
    if (!(fabsf(params->gaussian_compat) <= 1e4f) || !(fabsf(params->bilateral_compat) <= 1e4f)) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "the CRF's compatibilities are %g and %g, expected -10000 to 10000",
                       (double)params->gaussian_compat, (double)params->bilateral_compat);
    }
    if (params->iterations < 0 || params->iterations > 1000) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "the CRF shall iterate %d times, expected 0 to 1000",
                       params->iterations);
    }
    return TAGMASK_OK;
}

tagmask_status tm_crf_run(tm_crf *crf, tm_recorder *recorder, const tm_crf_params *params, uint32_t labels,
                          tm_slice unary, tm_slice marginals, tm_error *err) {
    TM_TRY(check_params(params, err));
    if (!crf->has_image) return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "the CRF has no image: call tm_crf_set_image");
    if (labels < 1 || labels > MAX_LABELS) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "the CRF has %u labels, expected 1 to %d", labels, MAX_LABELS);
    }
    uint64_t size = (uint64_t)crf->count * labels * 4;
    if (unary.size < size || marginals.size < size) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT,
                       "the CRF's energies and marginals have %llu and %llu bytes, expected %llu (%u labels)",
                       (unsigned long long)unary.size, (unsigned long long)marginals.size, (unsigned long long)size,
                       labels);
    }
    unary.size = marginals.size = size;
    if (labels == 1) {
        uint32_t one;
        memcpy(&one, &(float){1}, sizeof one);
        return tm_fill(recorder, marginals, one, err);
    }
    // Without messages there is nothing to filter: the same softmax serves both paths.
    bool direct = !params->iterations || (params->gaussian_compat == 0 && params->bilateral_compat == 0);
    if (direct) return softmax(crf, recorder, labels, unary, unary, marginals, false, err);
    return params->exact ? run_exact(crf, recorder, params, labels, unary, marginals, err)
                         : tm_crf_run_fast(crf, recorder, params, labels, unary, marginals, err);
}
