#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mask/preset.h"

tagmask_status tagmask_params_default(const char *preset, tagmask_params *params, tagmask_error *error) {
    tagmask_params wanted = {.struct_size = sizeof wanted, .preset = preset};
    tm_settings settings;
    if (!params) return tm_fail(error, TAGMASK_ERROR_ARGUMENT, "tagmask_params_default needs params");
    TM_TRY(tm_settings_resolve(&wanted, &settings, error));
    tagmask_params made = {.struct_size = sizeof made,
                           .working_size = settings.working_size,
                           .threshold = settings.threshold,
                           .crf_gaussian_sxy = settings.crf_gaussian_sxy,
                           .crf_gaussian_compat = settings.crf_gaussian_compat,
                           .crf_bilateral_sxy = settings.crf_bilateral_sxy,
                           .crf_bilateral_srgb = settings.crf_bilateral_srgb,
                           .crf_bilateral_compat = settings.crf_bilateral_compat,
                           .crf_iterations = settings.crf_iterations ? (int32_t)settings.crf_iterations : -1,
                           .min_part = settings.regions.min_part,
                           .polygon_tolerance = settings.regions.tolerance,
                           .max_parts = settings.regions.max_parts,
                           .score_limit = settings.score_limit};
    if (tm_struct_write(params, &made, sizeof made)) return TAGMASK_OK;
    return tm_fail(error, TAGMASK_ERROR_ARGUMENT, "tagmask_params: struct_size is not set");
}

tagmask_status tagmask_preset_text(const char *preset, char *text, size_t *size, tagmask_error *error) {
    tagmask_params wanted = {.struct_size = sizeof wanted, .preset = preset};
    tm_settings settings;
    if (!size || (*size && !text))
        return tm_fail(error, TAGMASK_ERROR_ARGUMENT, "tagmask_preset_text needs size, and text unless *size is 0");
    TM_TRY(tm_settings_resolve(&wanted, &settings, error));
    char *json = tm_preset_print(&settings);
    if (!json) return tm_fail(error, TAGMASK_ERROR_MEMORY, "no memory for a preset's text");
    size_t room = *size;
    *size = strlen(json) + 1;
    if (room) (void)snprintf(text, room, "%s", json);
    free(json);
    return TAGMASK_OK;
}
