#include "mask/preset.h"

#include <math.h>
#include <string.h>

// What the presets share. docs/quality.md tells how the figures were chosen.
#define COMMON                                                                                              \
    .affinity_temperature = 0.1f, .rivals = 5, .rivalry = 0.5f, .gate_low = 0.25f, .gate_span = 0.35f,      \
    .gate_strength = 0.65f, .cam_high = 0.7f, .unary_gain = 16, .unary_centre = 0.38f, .working_size = 640, \
    .crf_divisor = 2, .crf_gaussian_sxy = 3, .crf_gaussian_compat = 3, .crf_bilateral_sxy = 50,             \
    .crf_bilateral_srgb = 5, .crf_bilateral_compat = 5, .crf_iterations = 5, .threshold = 0.5f

static const tm_settings presets[] = {
    {COMMON, .preset = "fast", .scales = {448}, .scale_count = 1, .affinity_size = 448},
    {COMMON, .preset = "balanced", .scales = {448, 832}, .scale_count = 2, .affinity_size = 448,
     .saliency_mirror = true},
    {COMMON, .preset = "best", .scales = {288, 448, 640, 832}, .scale_count = 4, .mirror = true, .affinity_size = 640,
     .saliency_mirror = true, .crops = {1.4f, 2.0f}, .crop_count = 2},
};

// Members that the caller may set: 0 keeps the preset's value, others must be in [low, high].
static tagmask_status set_float(float given, const char *name, float low, float high, float *value, tm_error *err) {
    if (given == 0) return TAGMASK_OK;
    if (!(given >= low && given <= high))
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "parameter %s: %g is outside %g..%g", name, (double)given,
                       (double)low, (double)high);
    *value = given;
    return TAGMASK_OK;
}

static tagmask_status apply(const tagmask_params *p, tm_settings *s, tm_error *err) {
    if (p->working_size && (p->working_size < 128 || p->working_size > 2048))
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "parameter working_size: %u is outside 128..2048", p->working_size);
    if (p->working_size) s->working_size = p->working_size;
    if (p->crf_iterations < -1 || p->crf_iterations > 50)
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "parameter crf_iterations: %d is outside 1..50 (-1: no CRF)",
                       p->crf_iterations);
    if (p->crf_iterations) s->crf_iterations = TM_MAX(p->crf_iterations, 0);
    TM_TRY(set_float(p->threshold, "threshold", 1e-4f, 0.9999f, &s->threshold, err));
    TM_TRY(set_float(p->crf_gaussian_sxy, "crf_gaussian_sxy", 0.1f, 100, &s->crf_gaussian_sxy, err));
    TM_TRY(set_float(p->crf_gaussian_compat, "crf_gaussian_compat", 0.001f, 1000, &s->crf_gaussian_compat, err));
    TM_TRY(set_float(p->crf_bilateral_sxy, "crf_bilateral_sxy", 0.5f, 1000, &s->crf_bilateral_sxy, err));
    TM_TRY(set_float(p->crf_bilateral_srgb, "crf_bilateral_srgb", 0.5f, 1000, &s->crf_bilateral_srgb, err));
    TM_TRY(set_float(p->crf_bilateral_compat, "crf_bilateral_compat", 0.001f, 1000, &s->crf_bilateral_compat, err));
    s->regions = (tm_region_rules){p->min_part, p->polygon_tolerance, p->max_parts};
    if (p->min_part != -1) TM_TRY(set_float(p->min_part, "min_part", 0, 1, &s->regions.min_part, err));
    if (p->polygon_tolerance != -1)
        TM_TRY(set_float(p->polygon_tolerance, "polygon_tolerance", 0, 1000, &s->regions.tolerance, err));
    s->cache_dir = p->cache_dir && *p->cache_dir ? p->cache_dir : NULL;
    s->progress = p->progress;
    s->progress_user = p->progress_user;
    if (p->method && strcmp(p->method, "cam"))
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "parameter method: \"%s\" is unknown; expected cam", p->method);
    s->layer = p->layer && *p->layer ? p->layer : NULL;
    return TAGMASK_OK;
}

tagmask_status tm_settings_resolve(const tagmask_params *params, tm_settings *settings, tm_error *err) {
    tagmask_params own = {.struct_size = sizeof own};
    if (params && !tm_struct_read(&own, sizeof own, params))
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "tagmask_params: struct_size is not set");
    const char *wanted = own.preset && *own.preset ? own.preset : "balanced";
    for (size_t i = 0; i < TM_ARRAY_LEN(presets); i++) {
        if (strcmp(presets[i].preset, wanted)) continue;
        tm_settings made = presets[i];
        TM_TRY(apply(&own, &made, err));
        *settings = made;
        return TAGMASK_OK;
    }
    return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "parameter preset: \"%s\" is unknown; expected fast, balanced or best",
                   wanted);
}
