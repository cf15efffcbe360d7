// Presets as JSON: {"preset": "best", "threshold": 0.4, "scales": [448, 832]}. docs/presets.md lists the members.
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "mask/preset.h"

#define FILE_LIMIT ((size_t)1 << 20)

#define MOST_MEMBERS 128

static tagmask_status check_names(const char *path, const cJSON *root, tm_error *err) {
    const char *names[MOST_MEMBERS + 2] = {"preset"};
    const tm_json_members known = {names, "a preset", "'tagmask preset balanced'"};
    for (size_t i = 0; i < MOST_MEMBERS && tm_preset_member(i); i++) names[i + 1] = tm_preset_member(i)->name;
    return tm_json_check_members(path, root, &known, err);
}

static tagmask_status wrong_kind(const char *source, const tm_member *member, tm_error *err) {
    static const char *const expected[] = {"a whole number",   "a number", "true or false",
                                           "a text",           "a text",   "a list of whole numbers",
                                           "a list of numbers"};
    return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%s %s: expected %s", source, member->name, expected[member->kind]);
}

static tagmask_status read_list(const char *source, const tm_member *member, const cJSON *list, tm_settings *settings,
                                tm_error *err) {
    const cJSON *item;
    if (!cJSON_IsArray(list)) return wrong_kind(source, member, err);
    if (cJSON_GetArraySize(list) > (int)member->most)
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%s %s: %d numbers; expected at most %u", source, member->name,
                       cJSON_GetArraySize(list), member->most);
    *(uint32_t *)((char *)settings + member->count_offset) = 0;
    cJSON_ArrayForEach(item, list) {
        if (!cJSON_IsNumber(item)) return wrong_kind(source, member, err);
        TM_TRY(tm_preset_set_number(settings, source, member, item->valuedouble, err));
    }
    return TAGMASK_OK;
}

static tagmask_status read_member(const char *path, const cJSON *item, tm_settings *settings, tm_error *err) {
    char source[4200];
    (void)snprintf(source, sizeof source, "%s: member", path);
    const tm_member *member = tm_preset_find(item->string);
    switch (member->kind) {
        case TM_MEMBER_WHOLE:
        case TM_MEMBER_REAL:
            if (!cJSON_IsNumber(item)) return wrong_kind(source, member, err);
            return tm_preset_set_number(settings, source, member, item->valuedouble, err);
        case TM_MEMBER_FLAG:
            if (!cJSON_IsBool(item)) return wrong_kind(source, member, err);
            return tm_preset_set_number(settings, source, member, cJSON_IsTrue(item), err);
        case TM_MEMBER_CHOICE:
        case TM_MEMBER_TEXT:
            if (!cJSON_IsString(item)) return wrong_kind(source, member, err);
            return tm_preset_set_text(settings, source, member, item->valuestring, err);
        default:
            return read_list(source, member, item, settings, err);
    }
}

static tagmask_status read_members(const char *path, cJSON *root, tm_settings *settings, tm_error *err) {
    cJSON *item;
    if (!cJSON_IsObject(root))
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%s: expected a JSON object with members of a preset", path);
    cJSON_ArrayForEach(item, root) {
        for (char *at = item->string; *at; at++) *at = *at == '-' ? '_' : *at;  // as options are written
    }
    TM_TRY(check_names(path, root, err));
    const cJSON *base = cJSON_GetObjectItemCaseSensitive(root, "preset");
    if (base && !cJSON_IsString(base))
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%s: member preset: expected fast, balanced or best", path);
    if (!tm_preset_builtin(base ? base->valuestring : "balanced", settings))
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT,
                       "%s: member preset: \"%.60s\" is unknown; expected fast, balanced or best", path,
                       base->valuestring);
    cJSON_ArrayForEach(item, root) {
        if (item != base) TM_TRY(read_member(path, item, settings, err));
    }
    return TAGMASK_OK;
}

tagmask_status tm_preset_read(const char *path, tm_settings *settings, tm_error *err) {
    cJSON *root = NULL;
    tagmask_status status = tm_json_read(path, FILE_LIMIT, &root, err);
    if (!status) status = read_members(path, root, settings, err);
    cJSON_Delete(root);
    if (status != TAGMASK_ERROR_FORMAT) return status;
    if (err) err->status = TAGMASK_ERROR_ARGUMENT;  // like every other mistake in a preset
    return TAGMASK_ERROR_ARGUMENT;
}

// ---- Printing

static void add_real(cJSON *to, const char *name, float value) {
    char text[TM_NUMBER_LENGTH];
    cJSON *item = cJSON_CreateRaw(tm_number_text((double)value, text));
    if (name) cJSON_AddItemToObject(to, name, item);
    if (!name) cJSON_AddItemToArray(to, item);
}

static void add_list(cJSON *root, const tm_settings *settings, const tm_member *member) {
    const void *at = (const char *)settings + member->offset;
    cJSON *list = cJSON_AddArrayToObject(root, member->name);
    uint32_t count = *(const uint32_t *)((const char *)settings + member->count_offset);
    for (uint32_t i = 0; i < count && list; i++) {
        if (member->kind == TM_MEMBER_REALS) add_real(list, NULL, ((const float *)at)[i]);
        if (member->kind == TM_MEMBER_WHOLES) cJSON_AddItemToArray(list, cJSON_CreateNumber(((const uint32_t *)at)[i]));
    }
}

char *tm_preset_print(const tm_settings *settings) {
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "preset", settings->preset);
    for (size_t i = 0; tm_preset_member(i); i++) {
        const tm_member *member = tm_preset_member(i);
        const void *at = (const char *)settings + member->offset;
        switch (member->kind) {
            case TM_MEMBER_WHOLE:
                cJSON_AddNumberToObject(root, member->name, *(const uint32_t *)at);
                break;
            case TM_MEMBER_REAL:
                add_real(root, member->name, *(const float *)at);
                break;
            case TM_MEMBER_FLAG:
                cJSON_AddBoolToObject(root, member->name, *(const bool *)at);
                break;
            case TM_MEMBER_CHOICE:
                cJSON_AddStringToObject(root, member->name, member->choices[*(const uint32_t *)at]);
                break;
            case TM_MEMBER_TEXT:
                cJSON_AddStringToObject(root, member->name, at);
                break;
            default:
                add_list(root, settings, member);
        }
    }
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    return text;
}
