// The members of a preset, one row each: what files may set, what is allowed, and how they are printed.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "mask/preset.h"

static const char *const methods[] = {"cam", NULL};

#define NUMBER(kind, member, low, high) \
    { #member, kind, offsetof(tm_settings, member), low, high, false, NULL, 0, 0 }
#define WHOLE(member, low, high) NUMBER(TM_MEMBER_WHOLE, member, low, high)
#define REAL(member, low, high) NUMBER(TM_MEMBER_REAL, member, low, high)
#define FLAG(member) NUMBER(TM_MEMBER_FLAG, member, 0, 1)
#define CHOICE(member, choices) \
    { #member, TM_MEMBER_CHOICE, offsetof(tm_settings, member), 0, 0, false, choices, 0, 0 }
#define LIST(kind, member, count, low, high, most) \
    { #member, kind, offsetof(tm_settings, member), low, high, false, NULL, offsetof(tm_settings, count), most }

static const tm_member members[] = {
    CHOICE(method, methods),
    {"layer", TM_MEMBER_TEXT, offsetof(tm_settings, layer), 0, 0, false, NULL, 0, 0},
    LIST(TM_MEMBER_WHOLES, scales, scale_count, 64, 2048, TM_MAX_SCALES),
    FLAG(mirror),
    WHOLE(affinity_size, 0, 2048),
    REAL(affinity_temperature, 0.001, 10),
    WHOLE(rivals, 0, TM_MAX_RIVALS),
    REAL(rivalry, 0, 4),
    FLAG(saliency_mirror),
    LIST(TM_MEMBER_REALS, crops, crop_count, 1, 10, TM_MAX_CROPS),
    REAL(gate_low, 0, 1),
    REAL(gate_span, 0.001, 1),
    REAL(gate_strength, 0, 1),
    REAL(cam_high, 0, 0.99),
    REAL(unary_gain, 0.01, 1000),
    REAL(unary_centre, 0, 1),
    WHOLE(working_size, 128, 2048),
    WHOLE(crf_divisor, 1, 8),
    REAL(crf_gaussian_sxy, 0.1, 100),
    REAL(crf_gaussian_compat, 0.001, 1000),
    REAL(crf_bilateral_sxy, 0.5, 1000),
    REAL(crf_bilateral_srgb, 0.5, 1000),
    REAL(crf_bilateral_compat, 0.001, 1000),
    WHOLE(crf_iterations, 0, 50),
    REAL(threshold, 1e-4, 0.9999),
    {"min_part", TM_MEMBER_REAL, offsetof(tm_settings, regions.min_part), 0, 1, true, NULL, 0, 0},
    {"polygon_tolerance", TM_MEMBER_REAL, offsetof(tm_settings, regions.tolerance), 0, 1000, true, NULL, 0, 0},
    {"max_parts", TM_MEMBER_WHOLE, offsetof(tm_settings, regions.max_parts), 0, UINT32_MAX, false, NULL, 0, 0},
};

const tm_member *tm_preset_member(size_t index) {
    return index < TM_ARRAY_LEN(members) ? &members[index] : NULL;
}

const tm_member *tm_preset_find(const char *name) {
    for (size_t i = 0; i < TM_ARRAY_LEN(members); i++) {
        if (!strcmp(members[i].name, name)) return &members[i];
    }
    return NULL;
}

tagmask_status tm_preset_set_number(tm_settings *settings, const char *source, const tm_member *member, double value,
                                    tm_error *err) {
    bool whole = member->kind == TM_MEMBER_WHOLE || member->kind == TM_MEMBER_WHOLES;
    if (!(value >= member->low && value <= member->high) && !(member->or_minus_one && value == -1))
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%s %s: %.9g is outside %.9g..%.9g%s", source, member->name, value,
                       member->low, member->high, member->or_minus_one ? " (0 or -1: off)" : "");
    if (whole && value != floor(value))
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%s %s: %.9g; expected a whole number", source, member->name,
                       value);
    if (member->or_minus_one && value == 0) value = -1;  // what is read as "the default" by those who get it is 0
    void *at = (char *)settings + member->offset;
    switch (member->kind) {
        case TM_MEMBER_WHOLE:
            *(uint32_t *)at = (uint32_t)value;
            return TAGMASK_OK;
        case TM_MEMBER_REAL:
            *(float *)at = (float)value;
            return TAGMASK_OK;
        case TM_MEMBER_FLAG:
            *(bool *)at = value != 0;
            return TAGMASK_OK;
        default:
            break;
    }
    // Lists grow by one element.
    uint32_t *count = (uint32_t *)((char *)settings + member->count_offset);
    if (member->kind == TM_MEMBER_WHOLES) ((uint32_t *)at)[(*count)++] = (uint32_t)value;
    if (member->kind == TM_MEMBER_REALS) ((float *)at)[(*count)++] = (float)value;
    return TAGMASK_OK;
}

tagmask_status tm_preset_set_text(tm_settings *settings, const char *source, const tm_member *member, const char *text,
                                  tm_error *err) {
    void *at = (char *)settings + member->offset;
    if (member->kind == TM_MEMBER_TEXT) {
        if (strlen(text) >= TM_LAYER_LENGTH)
            return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%s %s: \"%.40s...\" is too long; expected at most %d bytes",
                           source, member->name, text, TM_LAYER_LENGTH - 1);
        memcpy(at, text, strlen(text) + 1);
        return TAGMASK_OK;
    }
    char known[256] = "";
    for (uint32_t i = 0; member->choices[i]; i++) {
        if (!strcmp(member->choices[i], text)) {
            *(uint32_t *)at = i;
            return TAGMASK_OK;
        }
        size_t used = strlen(known);
        (void)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", member->choices[i]);
    }
    return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "%s %s: \"%.60s\" is unknown; expected %s", source, member->name,
                   text, known);
}
