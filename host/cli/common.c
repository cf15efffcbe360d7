// What several verbs need: the engine, and a preset's text.
#include <stdlib.h>

#include "cli/cli.h"

tagmask_status cli_open_engine(const char *device_selector, const char *model, const char *saliency,
                               const char *precision, tagmask_device **device, tagmask_engine **engine, tm_error *err) {
    const tagmask_load_options how = {.struct_size = sizeof how, .precision = precision};
    *device = NULL;
    *engine = NULL;
    TM_TRY(tagmask_device_open(device_selector, device, err));
    tagmask_status status = tagmask_engine_create_with(*device, model, saliency, &how, engine, err);
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
