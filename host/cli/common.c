// What several verbs need: the engine, a preset's text, and the parameters over it.
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

tagmask_status cli_open_engine(const char *device_selector, const cli_packs *packs, tagmask_device **device,
                               tagmask_engine **engine, tm_error *err) {
    const tagmask_load_options how = {
        .struct_size = sizeof how, .precision = packs->precision, .second = packs->second, .features = packs->features};
    *device = NULL;
    *engine = NULL;
    TM_TRY(tagmask_device_open(device_selector, device, err));
    tagmask_status status = tagmask_engine_create_with(*device, packs->model, packs->saliency, &how, engine, err);
    if (status != TAGMASK_OK) {
        tagmask_device_close(*device);
        *device = NULL;
    }
    return status;
}

char *cli_preset_text(const char *preset, tm_error *err) {
    size_t size = 0;
    if (tagmask_preset_text(preset, NULL, &size, err) != TAGMASK_OK) return NULL;
    char *text = tm_calloc(size, 1);
    if (!text) {
        tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for a preset's text");
        return NULL;
    }
    if (tagmask_preset_text(preset, text, &size, err) == TAGMASK_OK) return text;
    free(text);
    return NULL;
}

void cli_params_numbers(const tagmask_params *params, cli_number numbers[CLI_PARAM_NUMBERS]) {
    const cli_number given[CLI_PARAM_NUMBERS] = {
        {"working_size", params->working_size},
        {"threshold", (double)params->threshold},
        {"crf_gaussian_sxy", (double)params->crf_gaussian_sxy},
        {"crf_gaussian_compat", (double)params->crf_gaussian_compat},
        {"crf_bilateral_sxy", (double)params->crf_bilateral_sxy},
        {"crf_bilateral_srgb", (double)params->crf_bilateral_srgb},
        {"crf_bilateral_compat", (double)params->crf_bilateral_compat},
        {"crf_iterations", params->crf_iterations},
        {"score_limit", (double)params->score_limit},
        {"min_part", (double)params->min_part},
        {"polygon_tolerance", (double)params->polygon_tolerance},
        {"max_parts", params->max_parts},
    };
    memcpy(numbers, given, sizeof given);
}
