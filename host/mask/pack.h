// Model packs: a folder with pack.json and what it names. docs/packs.md documents the format.
#ifndef TM_PACK_H
#define TM_PACK_H

#include "base/base.h"
#include "mask/maps.h"

// Sides of a network's input, px.
#define TM_MIN_INPUT 16
#define TM_MAX_INPUT 4096

typedef enum tm_pack_kind { TM_PACK_CLASSIFIER = 0, TM_PACK_SALIENCY, TM_PACK_FEATURES, TM_PACK_KINDS } tm_pack_kind;

typedef struct tm_pack {
    char *folder, *name;
    tm_pack_kind kind;
    char *model_path;
    char *labels_path, *tags_path;  // classifier; NULL when the pack has none
    float mean[3], scale[3];        // network input = (rgb - mean) / scale, rgb in 0..255
    bool divide_by_max;             // rgb is first stretched so that its largest value is 255
    uint32_t multiple_of;           // sides of the network input are multiples of this
    uint32_t width, height;         // fixed input size; 0: any
    tm_filter filter;               // how photos are resampled
    int32_t output;                 // which output is the map, the class scores or the features
    char *cam_layer;                // tensor before the pooling; NULL: found in the graph
    char *affinity_layer;           // tensor whose features tell which places belong together; NULL: none
    // Of features: the tensor, (1, channels, height, width); or (1, places, channels) of squares of `patch` px in rows,
    // after other tokens if there are more. NULL: the output.
    char *features_layer;
    uint32_t patch;
    uint64_t hash;  // of pack.json and the model file: changes when the pack does
} tm_pack;

// name_or_path: a folder with pack.json, or the name of one below TAGMASK_MODELS (paths separated by ':'), then the
// installed data folder, then the build tree's models, both found from where the library's file is. `kind` is what the
// caller expects.
tagmask_status tm_pack_load(const char *name_or_path, tm_pack_kind kind, tm_pack *pack, tm_error *err);
void tm_pack_free(tm_pack *pack);
// Whether there is a pack of this name or path; it may be damaged. Errors: MEMORY.
tagmask_status tm_pack_exists(const char *name_or_path, bool *found, tm_error *err);

#endif
