// What a proposal is made with: a preset, built in or from a file, and the caller's parameters, resolved and checked.
#ifndef TM_PRESET_H
#define TM_PRESET_H

#include "mask/regions.h"

#define TM_MAX_SCALES 8
#define TM_MAX_CROPS 2
#define TM_MAX_RIVALS 16
#define TM_MAX_EXTRAS 4  // turns, shifts, dilations, erasing steps
#define TM_MAX_CUTOUTS 16
#define TM_LAYER_LENGTH 512
#define TM_MAX_LAYERS 6

// Positions in the choices of the members `fusion`, `edge` and `unary`.
typedef enum tm_fusion_mode {
    TM_FUSION_GATE = 0,
    TM_FUSION_PRODUCT,
    TM_FUSION_MAX,
    TM_FUSION_EPS,
    TM_FUSION_AGREEMENT,
    TM_FUSION_MODES
} tm_fusion_mode;
typedef enum tm_edge_kind {
    TM_EDGE_NONE = 0,
    TM_EDGE_GUIDED,
    TM_EDGE_PAMR,
    TM_EDGE_JOINT,
    TM_EDGE_METHODS
} tm_edge_kind;
typedef enum tm_unary_kind { TM_UNARY_LOGIT = 0, TM_UNARY_SEEDS, TM_UNARY_KINDS } tm_unary_kind;

// Of the lists affinity_sources and crop_sources in preset_table.c.
enum { TM_AFFINITY_CLASSIFIER = 0, TM_AFFINITY_FEATURES, TM_AFFINITY_ATTENTION };
enum { TM_CROP_CAM = 0, TM_CROP_FUSED };

// docs/presets.md describes each member; preset_table.c has the rows that read, check and print them.
typedef struct tm_settings {
    const char *preset;  // the built-in one that it starts from
    uint32_t method;
    char layer[TM_LAYER_LENGTH];  // whose map is wanted, or several with commas between; "": the method's
    uint32_t tried_channels;      // of methods that run the network again for each: those with the most energy; 0: all
    uint32_t head;                // of the method attention, from 1 on; 0: the mean of all
    // Classifier views: long sides in px, each also mirrored when mirror is set.
    uint32_t scales[TM_MAX_SCALES], scale_count;
    bool mirror;
    uint32_t classifiers;  // how many of the engine's are asked: 1 or 2
    // Further views at the scale expand_size (expand.c): turned by degrees, moved by shares of the sides, with hidden
    // cells, mixed with their blurred copy, or through the network's tail with dilated convolutions.
    uint32_t expand_size;
    float turns[TM_MAX_EXTRAS], shifts[TM_MAX_EXTRAS];
    uint32_t turn_count, shift_count;
    uint32_t cutouts, cutout_cell, seed;
    float cutout_share;
    float mixup, mixup_weight;
    uint32_t dilations[TM_MAX_EXTRAS], dilation_count;
    bool dense;
    // Further views of one tag: with what its map shows erased, from the picture or from the features of the layer
    // where the tail begins.
    uint32_t erase_steps, drop_steps;
    float erase_above, erase_stop, drop_above;
    float uncertainty;       // how much a place counts for less where views disagree
    uint32_t affinity_size;  // the scale whose features give the affinities, must be one of scales; 0: no affinity step
    float affinity_temperature;
    uint32_t affinity_steps;
    // Or those of the engine's features network, if it has one: TM_AFFINITY_FEATURES. Or attention: that of its last
    // attention_blocks blocks (0: all), or of the classifier's.
    uint32_t affinity_from, features_size, attention_blocks;
    float features_temperature;
    // These take the place of gate_strength, cam_high and crop_above then: such a map deserves more trust.
    float features_strength, features_high, features_above;
    float ridge;  // lambda of the regression on the features (affinity.c); 0: none
    // Class competition (class_map.comp): the tag's map less `rivalry` times the best of the `rivals` other classes.
    uint32_t rivals;
    float rivalry;
    // Saliency views: the whole photo (mirrored too when set) and crops around the CAM, grown by these factors.
    bool saliency_mirror;
    bool classical_saliency;  // where the engine has no network for it
    uint32_t crop_source;     // TM_CROP_*
    float crop_above;         // share of the map's maximum above which its parts count
    float crops[TM_MAX_CROPS];
    uint32_t crop_count;
    // Fusion (fusion.c).
    uint32_t fusion;  // tm_fusion_mode
    float gate_low, gate_span, gate_strength, cam_high;
    float eps_overlap, eps_share;
    // Refinement along edges, at the CRF's size (edge.c).
    uint32_t edge;  // tm_edge_kind
    uint32_t edge_radius, edge_iterations;
    float edge_eps, edge_srgb;
    // What the CRF starts from (unary.c).
    uint32_t unary;  // tm_unary_kind
    float unary_gain, unary_centre;
    float seed_high, seed_low, gt_prob;
    float colour_weight;  // 0: no colour model
    uint32_t colour_iterations;
    // CRF, on a map of working_size / crf_divisor.
    uint32_t working_size, crf_divisor;
    float crf_gaussian_sxy, crf_gaussian_compat, crf_bilateral_sxy, crf_bilateral_srgb, crf_bilateral_compat;
    uint32_t crf_iterations;  // 0: no CRF
    float crf_share;          // of the CRF in the probability; the rest is the map it started from
    float threshold;
    float score_limit;        // a tag whose presence (tm_session_presence) is less gets no region; negative: any does
    tm_region_rules regions;  // as tm_result_create takes them
    const char *cache_dir;    // NULL: none
    bool keep_maps;           // in results
    tagmask_progress_fn progress;
    void *progress_user;
} tm_settings;

// params may be NULL (every default). Unknown names and values out of range are errors that name the file if there is
// one, the member, the value and what was expected.
tagmask_status tm_settings_resolve(const tagmask_params *params, tm_settings *settings, tm_error *err);

// ---- Members by name (preset_table.c)

typedef enum tm_member_kind {
    TM_MEMBER_WHOLE = 0,  // uint32_t
    TM_MEMBER_REAL,       // float
    TM_MEMBER_FLAG,       // bool
    TM_MEMBER_CHOICE,     // uint32_t, a position in `choices`
    TM_MEMBER_TEXT,       // char[TM_LAYER_LENGTH]
    TM_MEMBER_WHOLES,     // uint32_t[most], their count at count_offset
    TM_MEMBER_REALS       // float[most], their count at count_offset
} tm_member_kind;

// The first stage of a session that a member decides over: its key covers the member (session.h).
typedef enum tm_preset_stage {
    TM_STAGE_IMAGES = 0,
    TM_STAGE_VIEWS,
    TM_STAGE_MAPS,
    TM_STAGE_REFINED,
    TM_STAGE_UNARY,
    TM_STAGE_CRF,
    TM_STAGE_RESULT  // labels and regions, made anew by every proposal
} tm_preset_stage;

typedef struct tm_member {
    tm_preset_stage stage;
    const char *name;
    tm_member_kind kind;
    size_t offset;               // in tm_settings
    double low, high;            // allowed values of numbers, in lists of each
    bool or_minus_one;           // -1 is allowed too, and switches off
    const char *const *choices;  // NULL at the end
    size_t count_offset;
    uint32_t most;  // of a list
} tm_member;

// The member at a position, NULL beyond the last; the one with a name, or NULL.
const tm_member *tm_preset_member(size_t index);
const tm_member *tm_preset_find(const char *name);
// Whether a number is in the member's range.
bool tm_member_takes(const tm_member *member, double value);
// Of the members of one stage.
uint64_t tm_preset_hash(const tm_settings *settings, tm_preset_stage stage, uint64_t seed);
// Sets a number, a flag (0 or 1) or a choice's position. `source` (a file, or "parameter") begins the error's text.
tagmask_status tm_preset_set_number(tm_settings *settings, const char *source, const tm_member *member, double value,
                                    tm_error *err);
tagmask_status tm_preset_set_text(tm_settings *settings, const char *source, const tm_member *member, const char *text,
                                  tm_error *err);

// ---- Files (preset_file.c)

// The built-in preset of a name; false: there is none.
bool tm_preset_builtin(const char *name, tm_settings *settings);
// Reads a JSON object of members over the built-in preset that its member "preset" names ("balanced" without one).
// Errors: FILE; ARGUMENT for whatever the file says wrong.
tagmask_status tm_preset_read(const char *path, tm_settings *settings, tm_error *err);
// Such an object with every member; malloc'ed, NULL without memory.
char *tm_preset_print(const tm_settings *settings);

#endif
