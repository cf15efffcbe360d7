// What a proposal is made with: the presets and the caller's parameters, resolved and checked.
#ifndef TM_PRESET_H
#define TM_PRESET_H

#include "mask/regions.h"

#define TM_MAX_SCALES 8
#define TM_MAX_CROPS 2

typedef struct tm_settings {
    const char *preset;
    const char *layer;  // whose map is wanted; NULL: the method's
    // Classifier views: long sides in px, each also mirrored when mirror is set.
    uint32_t scales[TM_MAX_SCALES], scale_count;
    bool mirror;
    uint32_t affinity_size;  // the scale whose features give the affinities, must be one of scales; 0: no affinity step
    float affinity_temperature;
    // Class competition (class_map.comp): the tag's map less `rivalry` times the best of the `rivals` other classes.
    uint32_t rivals;
    float rivalry;
    // Saliency views: the whole photo (mirrored too when set) and crops around the CAM, grown by these factors.
    bool saliency_mirror;
    float crops[TM_MAX_CROPS];
    uint32_t crop_count;
    // Fusion (gate.comp) and unary (unary.comp).
    float gate_low, gate_span, gate_strength, cam_high;
    float unary_gain, unary_centre;
    // CRF, on a map of working_size / crf_divisor.
    uint32_t working_size, crf_divisor;
    float crf_gaussian_sxy, crf_gaussian_compat, crf_bilateral_sxy, crf_bilateral_srgb, crf_bilateral_compat;
    int32_t crf_iterations;  // 0: no CRF
    float threshold;
    tm_region_rules regions;  // as tm_result_create takes them
    const char *cache_dir;    // NULL: none
    tagmask_progress_fn progress;
    void *progress_user;
} tm_settings;

// params may be NULL (every default). Unknown names and values out of range are errors that name the member, the value
// and the allowed range.
tagmask_status tm_settings_resolve(const tagmask_params *params, tm_settings *settings, tm_error *err);

#endif
