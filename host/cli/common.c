// What several verbs need: the engine, and preset files.
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/platform.h"
#include "cli/cli.h"

tagmask_status cli_open_engine(const char *device_selector, const char *model, const char *saliency,
                               tagmask_device **device, tagmask_engine **engine, tm_error *err) {
    *device = NULL;
    *engine = NULL;
    TM_TRY(tagmask_device_open(device_selector, device, err));
    tagmask_status status = tagmask_engine_create(*device, model, saliency, engine, err);
    if (status != TAGMASK_OK) {
        tagmask_device_close(*device);
        *device = NULL;
    }
    return status;
}

static const cli_option *find_row(const cli_option *rows, const char *key) {
    char name[64];
    size_t length = strlen(key);
    if (length >= sizeof name) return NULL;
    for (size_t i = 0; i <= length; i++) name[i] = key[i] == '_' ? '-' : key[i];
    for (; rows->name; rows++) {
        if (!strcmp(rows->name, name)) return rows;
    }
    return NULL;
}

static bool is_unset(const cli_option *row, const void *options) {
    static const char zeros[sizeof(void *)];
    size_t size = row->kind == CLI_TEXT ? sizeof(char *) : sizeof(float);
    return !memcmp((const char *)options + row->offset, zeros, size);
}

static tagmask_status apply_item(const char *path, const cli_option *rows, const cJSON *item, void *options,
                                 const tagmask_params *params, tm_error *err) {
    char number[40];
    const cli_option *row = find_row(rows, item->string);
    size_t start = (size_t)((const char *)params - (const char *)options);
    bool is_param = row && row->offset >= start && row->offset < start + sizeof *params;
    if (!is_param) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%s: \"%.60s\" is no option that a preset can set", path,
                       item->string);
    }
    const char *text = cJSON_GetStringValue(item);
    if (row->kind != CLI_TEXT && cJSON_IsNumber(item)) {
        snprintf(number, sizeof number, "%.9g", item->valuedouble);
        text = number;
    }
    if (!text) return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%s: \"%s\": expected %s", path, item->string, row->value);
    if (!is_unset(row, options)) return TAGMASK_OK;
    if (!cli_store(row, text, options, err)) return tm_fail_prefix(err, "%s", path);
    return TAGMASK_OK;
}

tagmask_status cli_preset_apply(const cli_option *rows, void *options, tagmask_params *params, cli_preset *preset,
                                tm_error *err) {
    preset->json = NULL;
    const char *path = params->preset;
    if (!path || !strpbrk(path, TM_SEPARATORS ".")) return TAGMASK_OK;
    uint8_t *data = NULL;
    size_t size = 0;
    TM_TRY(tm_read_file(path, 1u << 20, &data, &size, err));
    cJSON *root = cJSON_ParseWithLength((const char *)data, size);
    free(data);
    preset->json = root;
    if (!cJSON_IsObject(root)) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%s: expected a JSON object of options by name", path);
    }
    params->preset = NULL;  // the file may name the one it starts from
    const cJSON *item;
    cJSON_ArrayForEach(item, root) TM_TRY(apply_item(path, rows, item, options, params, err));
    return TAGMASK_OK;
}

void cli_preset_free(cli_preset *preset) {
    cJSON_Delete(preset->json);
    preset->json = NULL;
}
