// The members of a preset, one row each: what files may set, what is allowed, and how they are printed.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "mask/map_table.h"

#define NAME(id, name) name,
static const char *const methods[] = {TM_MAP_METHODS(NAME) NULL};
#undef NAME
static const char *const affinity_sources[] = {"classifier", "features", "attention", NULL};
static const char *const crop_sources[] = {"cam", "fused", NULL};
static const char *const fusions[] = {
    [TM_FUSION_GATE] = "gate", [TM_FUSION_PRODUCT] = "product",     [TM_FUSION_MAX] = "max",
    [TM_FUSION_EPS] = "eps",   [TM_FUSION_AGREEMENT] = "agreement", [TM_FUSION_MODES] = NULL};
static const char *const edges[] = {[TM_EDGE_NONE] = "none",
                                    [TM_EDGE_GUIDED] = "guided",
                                    [TM_EDGE_PAMR] = "pamr",
                                    [TM_EDGE_JOINT] = "joint",
                                    [TM_EDGE_METHODS] = NULL};
static const char *const unaries[] = {[TM_UNARY_LOGIT] = "logit", [TM_UNARY_SEEDS] = "seeds", [TM_UNARY_KINDS] = NULL};

#define ROW(stage, kind, name, at, low, high, off) \
    { TM_STAGE_##stage, name, kind, at, low, high, off, NULL, 0, 0 }
#define NUMBER(stage, kind, member, low, high) \
    ROW(stage, kind, #member, offsetof(tm_settings, member), low, high, false)
#define WHOLE(stage, member, low, high) NUMBER(stage, TM_MEMBER_WHOLE, member, low, high)
#define REAL(stage, member, low, high) NUMBER(stage, TM_MEMBER_REAL, member, low, high)
#define FLAG(stage, member) NUMBER(stage, TM_MEMBER_FLAG, member, 0, 1)
#define CHOICE(stage, member, choices) \
    { TM_STAGE_##stage, #member, TM_MEMBER_CHOICE, offsetof(tm_settings, member), 0, 0, false, choices, 0, 0 }
#define LIST(stage, kind, member, count, low, high, most)                                       \
    {                                                                                           \
        TM_STAGE_##stage, #member, kind, offsetof(tm_settings, member), low, high, false, NULL, \
            offsetof(tm_settings, count), most                                                  \
    }

static const tm_member members[] = {
    CHOICE(VIEWS, method, methods),
    ROW(VIEWS, TM_MEMBER_TEXT, "layer", offsetof(tm_settings, layer), 0, 0, false),
    WHOLE(VIEWS, head, 0, 256),
    WHOLE(VIEWS, tried_channels, 0, 65536),
    LIST(VIEWS, TM_MEMBER_WHOLES, scales, scale_count, 64, 2048, TM_MAX_SCALES),
    FLAG(VIEWS, mirror),
    WHOLE(VIEWS, classifiers, 1, 2),
    WHOLE(VIEWS, expand_size, 64, 2048),
    LIST(VIEWS, TM_MEMBER_REALS, turns, turn_count, -45, 45, TM_MAX_EXTRAS),
    LIST(VIEWS, TM_MEMBER_REALS, shifts, shift_count, -0.25, 0.25, TM_MAX_EXTRAS),
    WHOLE(VIEWS, cutouts, 0, TM_MAX_CUTOUTS),
    REAL(VIEWS, cutout_share, 0.01, 0.95),
    WHOLE(VIEWS, cutout_cell, 4, 512),
    WHOLE(VIEWS, seed, 0, UINT32_MAX),
    REAL(VIEWS, mixup, 0, 0.95),
    REAL(VIEWS, mixup_weight, 0, 1),
    LIST(VIEWS, TM_MEMBER_WHOLES, dilations, dilation_count, 1, 8, TM_MAX_EXTRAS),
    FLAG(VIEWS, dense),
    WHOLE(MAPS, erase_steps, 0, TM_MAX_EXTRAS),
    REAL(MAPS, erase_above, 0.05, 0.95),
    REAL(MAPS, erase_stop, 0, 1),
    WHOLE(MAPS, drop_steps, 0, TM_MAX_EXTRAS),
    REAL(MAPS, drop_above, 0.05, 0.95),
    REAL(MAPS, uncertainty, 0, 1),
    WHOLE(MAPS, affinity_size, 0, 2048),
    REAL(MAPS, affinity_temperature, 0.001, 10),
    WHOLE(MAPS, affinity_steps, 1, 16),
    REAL(MAPS, ridge, 0, 1000),
    CHOICE(VIEWS, affinity_from, affinity_sources),
    WHOLE(VIEWS, features_size, 64, 2048),
    WHOLE(VIEWS, attention_blocks, 0, TM_MAX_ATTENTIONS),
    REAL(MAPS, features_temperature, 0.001, 10),
    REAL(MAPS, features_strength, 0, 1),
    REAL(MAPS, features_high, 0, 0.99),
    REAL(MAPS, features_above, 0.05, 0.95),
    WHOLE(MAPS, rivals, 0, TM_MAX_RIVALS),
    REAL(MAPS, rivalry, 0, 4),
    FLAG(VIEWS, saliency_mirror),
    FLAG(MAPS, classical_saliency),
    CHOICE(MAPS, crop_source, crop_sources),
    REAL(MAPS, crop_above, 0.05, 0.95),
    LIST(MAPS, TM_MEMBER_REALS, crops, crop_count, 1, 10, TM_MAX_CROPS),
    CHOICE(MAPS, fusion, fusions),
    REAL(MAPS, gate_low, 0, 1),
    REAL(MAPS, gate_span, 0.001, 1),
    REAL(MAPS, gate_strength, 0, 1),
    REAL(MAPS, cam_high, 0, 0.99),
    REAL(MAPS, eps_overlap, 0, 1),
    REAL(MAPS, eps_share, 0, 1),
    CHOICE(REFINED, edge, edges),
    WHOLE(REFINED, edge_radius, 1, 32),
    REAL(REFINED, edge_eps, 1e-6, 1),
    REAL(REFINED, edge_srgb, 0.5, 1000),
    WHOLE(REFINED, edge_iterations, 1, 50),
    CHOICE(UNARY, unary, unaries),
    REAL(UNARY, unary_gain, 0.01, 1000),
    REAL(UNARY, unary_centre, 0, 1),
    REAL(UNARY, seed_high, 0, 1),
    REAL(UNARY, seed_low, 0, 1),
    REAL(UNARY, gt_prob, 0.01, 0.9999),
    REAL(UNARY, colour_weight, 0, 10),
    WHOLE(UNARY, colour_iterations, 1, 10),
    WHOLE(IMAGES, working_size, 128, 2048),
    WHOLE(IMAGES, crf_divisor, 1, 8),
    REAL(CRF, crf_gaussian_sxy, 0.1, 100),
    REAL(CRF, crf_gaussian_compat, 0.001, 1000),
    REAL(CRF, crf_bilateral_sxy, 0.5, 1000),
    REAL(CRF, crf_bilateral_srgb, 0.5, 1000),
    REAL(CRF, crf_bilateral_compat, 0.001, 1000),
    WHOLE(CRF, crf_iterations, 0, 50),
    REAL(CRF, crf_share, 0, 1),
    REAL(RESULT, threshold, 1e-4, 0.9999),
    ROW(RESULT, TM_MEMBER_REAL, "score_limit", offsetof(tm_settings, score_limit), 0, 1, true),
    ROW(RESULT, TM_MEMBER_REAL, "min_part", offsetof(tm_settings, regions.min_part), 0, 1, true),
    ROW(RESULT, TM_MEMBER_REAL, "polygon_tolerance", offsetof(tm_settings, regions.tolerance), 0, 1000, true),
    ROW(RESULT, TM_MEMBER_WHOLE, "max_parts", offsetof(tm_settings, regions.max_parts), 0, UINT32_MAX, false),
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

static uint64_t hash_member(const tm_settings *settings, const tm_member *member, uint64_t seed) {
    const char *base = (const char *)settings, *at = base + member->offset;
    switch (member->kind) {
        case TM_MEMBER_FLAG:
            return tm_hash64(at, sizeof(bool), seed);
        case TM_MEMBER_TEXT:
            return tm_hash64(at, strlen(at) + 1, seed);
        case TM_MEMBER_WHOLES:
        case TM_MEMBER_REALS: {
            uint32_t count = *(const uint32_t *)(base + member->count_offset);
            return tm_hash64(at, count * sizeof(float), seed + count);
        }
        default:
            return tm_hash64(at, sizeof(float), seed);
    }
}

uint64_t tm_preset_hash(const tm_settings *settings, tm_preset_stage stage, uint64_t seed) {
    for (size_t i = 0; i < TM_ARRAY_LEN(members); i++) {
        if (members[i].stage == stage) seed = hash_member(settings, &members[i], seed);
    }
    return seed;
}

bool tm_member_takes(const tm_member *member, double value) {
    if (member->or_minus_one && value == -1) return true;
    if (value >= member->low && value <= member->high) return true;
    if (member->kind != TM_MEMBER_REAL && member->kind != TM_MEMBER_REALS) return false;
    // A bound that came as a float may be a little beyond what was typed: 0.0001.
    return fabs(value) < 1e30 && ((float)value == (float)member->low || (float)value == (float)member->high);
}

tagmask_status tm_preset_set_number(tm_settings *settings, const char *source, const tm_member *member, double value,
                                    tm_error *err) {
    bool whole = member->kind == TM_MEMBER_WHOLE || member->kind == TM_MEMBER_WHOLES;
    char given[TM_NUMBER_LENGTH], low[TM_NUMBER_LENGTH], high[TM_NUMBER_LENGTH];
    (void)tm_number_text(value, given);
    if (!tm_member_takes(member, value))
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%s %s: %s is outside %s..%s%s", source, member->name, given,
                       tm_number_text(member->low, low), tm_number_text(member->high, high),
                       member->or_minus_one ? " (0 or -1: off)" : "");
    if (whole && value != floor(value))
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%s %s: %s; expected a whole number", source, member->name, given);
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
    char known[512] = "";
    for (uint32_t i = 0; member->choices[i]; i++) {
        if (!strcmp(member->choices[i], text)) {
            *(uint32_t *)at = i;
            return TAGMASK_OK;
        }
        size_t used = strlen(known);
        (void)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", member->choices[i]);
    }
    return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%s %s: \"%.60s\" is unknown; expected %s", source, member->name, text,
                   known);
}
