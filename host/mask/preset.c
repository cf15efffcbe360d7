#include "mask/preset.h"

#include <string.h>

#include "base/platform.h"

// What the presets share. docs/quality.md tells how the figures were chosen.
#define VIEWS_COMMON .tried_channels = 64, .cutout_share = 0.3f, .cutout_cell = 56, .mixup_weight = 0.5f
#define CAM_COMMON                                                                                          \
    .rivals = 5, .rivalry = 0.5f, .erase_above = 0.6f, .erase_stop = 0.5f, .drop_above = 0.6f,              \
    .affinity_temperature = 0.15f, .affinity_steps = 1, .features_size = 518, .features_temperature = 0.2f, \
    .attention_blocks = 3, .features_strength = 0.45f, .features_high = 0.8f, .features_above = 0.6f,       \
    .crop_source = TM_CROP_FUSED, .crop_above = 0.4f
#define FUSION_COMMON                                                                                     \
    .gate_low = 0.25f, .gate_span = 0.35f, .gate_strength = 0.65f, .cam_high = 0.7f, .eps_overlap = 0.4f, \
    .eps_share = 0.5f
#define EDGE_COMMON .edge_radius = 8, .edge_iterations = 10, .edge_eps = 1e-3f, .edge_srgb = 20
#define CRF_COMMON                                                                                                  \
    .unary_gain = 16, .unary_centre = 0.5f, .seed_high = 0.5f, .seed_low = 0.25f, .gt_prob = 0.7f,                  \
    .colour_iterations = 2, .working_size = 640, .crf_divisor = 2, .crf_gaussian_sxy = 3, .crf_gaussian_compat = 3, \
    .crf_bilateral_sxy = 50, .crf_bilateral_srgb = 5, .crf_bilateral_compat = 5, .crf_iterations = 5,               \
    .crf_share = 0.5f
#define MASK_COMMON .threshold = 0.5f, .score_limit = 0.016f, .regions = {.min_part = 0.05f, .tolerance = 1}
#define COMMON VIEWS_COMMON, CAM_COMMON, FUSION_COMMON, EDGE_COMMON, CRF_COMMON, MASK_COMMON

static const tm_settings presets[] = {
    {COMMON, .preset = "fast", .scales = {448}, .scale_count = 1, .classifiers = 1, .expand_size = 448,
     .affinity_size = 448, .ridge = 3},
    {COMMON, .preset = "balanced", .scales = {640}, .scale_count = 1, .classifiers = 2, .expand_size = 640,
     .affinity_from = TM_AFFINITY_FEATURES, .affinity_size = 640, .ridge = 3, .crops = {1.4f}, .crop_count = 1},
    {COMMON, .preset = "best", .scales = {448, 640, 832}, .scale_count = 3, .mirror = true, .classifiers = 2,
     .expand_size = 448, .affinity_from = TM_AFFINITY_FEATURES, .affinity_size = 640, .ridge = 6,
     .saliency_mirror = true, .crops = {1.4f, 2.0f}, .crop_count = 2},
};

bool tm_preset_builtin(const char *name, tm_settings *settings) {
    for (size_t i = 0; i < TM_ARRAY_LEN(presets); i++) {
        if (strcmp(presets[i].preset, name)) continue;
        *settings = presets[i];
        return true;
    }
    return false;
}

static tagmask_status choose_builtin(const char *name, tm_settings *settings, tm_error *err) {
    if (tm_preset_builtin(name, settings)) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_ARGUMENT,
                   "parameter preset: \"%.60s\" is unknown; expected fast, balanced or best, or a JSON file", name);
}

// Members that the caller may set: 0 keeps the preset's value.
static tagmask_status apply(const tagmask_params *p, tm_settings *settings, tm_error *err) {
    const struct {
        const char *name;
        double value;
    } given[] = {
        {"working_size", p->working_size},
        {"threshold", (double)p->threshold},
        {"crf_gaussian_sxy", (double)p->crf_gaussian_sxy},
        {"crf_gaussian_compat", (double)p->crf_gaussian_compat},
        {"crf_bilateral_sxy", (double)p->crf_bilateral_sxy},
        {"crf_bilateral_srgb", (double)p->crf_bilateral_srgb},
        {"crf_bilateral_compat", (double)p->crf_bilateral_compat},
        {"crf_iterations", p->crf_iterations},
        {"score_limit", (double)p->score_limit},
        {"min_part", (double)p->min_part},
        {"polygon_tolerance", (double)p->polygon_tolerance},
        {"max_parts", p->max_parts},
    };
    for (size_t i = 0; i < TM_ARRAY_LEN(given); i++) {
        double value = given[i].value;
        if (value == 0) continue;
        if (!strcmp(given[i].name, "crf_iterations") && value == -1) value = 0;
        TM_TRY(tm_preset_set_number(settings, "parameter", tm_preset_find(given[i].name), value, err));
    }
    if (p->method) TM_TRY(tm_preset_set_text(settings, "parameter", tm_preset_find("method"), p->method, err));
    if (p->layer) TM_TRY(tm_preset_set_text(settings, "parameter", tm_preset_find("layer"), p->layer, err));
    settings->cache_dir = p->cache_dir && *p->cache_dir ? p->cache_dir : NULL;
    settings->keep_maps = p->keep_maps;
    settings->progress = p->progress;
    settings->progress_user = p->progress_user;
    return TAGMASK_OK;
}

static bool has_scale(const tm_settings *settings, uint32_t size) {
    for (uint32_t i = 0; i < settings->scale_count; i++) {
        if (settings->scales[i] == size) return true;
    }
    return false;
}

static bool expands(const tm_settings *s) {
    return s->turn_count || s->shift_count || s->cutouts || s->mixup > 0 || s->dilation_count || s->erase_steps ||
           s->drop_steps;
}

// What members must be to each other.
static tagmask_status check(const tm_settings *settings, const char *source, tm_error *err) {
    if (!settings->scale_count)
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%s scales: expected at least one long side in px", source);
    char low[TM_NUMBER_LENGTH], high[TM_NUMBER_LENGTH];
    if (settings->seed_low > settings->seed_high)
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%s seed_low: %s is above seed_high, %s; expected at most that",
                       source, tm_number_text((double)settings->seed_low, low),
                       tm_number_text((double)settings->seed_high, high));
    if (settings->affinity_size && !has_scale(settings, settings->affinity_size))
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT,
                       "%s affinity_size: %u is none of the scales; expected one of them, or 0", source,
                       settings->affinity_size);
    if (expands(settings) && !has_scale(settings, settings->expand_size))
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%s expand_size: %u is none of the scales; expected one of them",
                       source, settings->expand_size);
    return TAGMASK_OK;
}

tagmask_status tm_settings_resolve(const tagmask_params *params, tm_settings *settings, tm_error *err) {
    tagmask_params own = {.struct_size = sizeof own};
    if (params && !tm_struct_read(&own, sizeof own, params))
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "tagmask_params: struct_size is not set");
    const char *wanted = own.preset && *own.preset ? own.preset : "balanced";
    bool is_file = strpbrk(wanted, TM_SEPARATORS ".") != NULL;
    tm_settings made = {0};
    TM_TRY(is_file ? tm_preset_read(wanted, &made, err) : choose_builtin(wanted, &made, err));
    TM_TRY(check(&made, is_file ? wanted : "preset", err));
    TM_TRY(apply(&own, &made, err));
    *settings = made;
    return TAGMASK_OK;
}
