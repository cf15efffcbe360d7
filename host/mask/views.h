// Network passes over views of a photo: a view is a rectangle of the photo, resampled to a size, perhaps mirrored.
// Outputs stay on the device with the view, and may be kept on disk so that the next session of the same photo and pack
// needs no network.
#ifndef TM_VIEWS_H
#define TM_VIEWS_H

#include "mask/edit.h"
#include "mask/engine.h"

#define TM_VIEW_OUTPUTS 2

typedef struct tm_view {
    // The request.
    bool saliency;           // which network
    uint32_t width, height;  // of the network's input
    bool mirror;
    tm_box box;    // of the base image
    tm_edit edit;  // of the network's input
    // The tail's kind, dilation 0: the whole network. With a tail, the network goes on from the affinity features of
    // `source`, a view with the same rectangle, where edit.kind may only be TM_EDIT_ERASE, of features.
    uint32_t tail_dilation, tail_dense;
    // Read when it runs; edit.mask_key and the rest of the request stand for them.
    const struct tm_view *source;
    tm_map mask;  // of edits that have one
    // The result, once ready. Classifier: [0] features, [1] affinity features if the pack names a layer. Saliency: [0]
    // the map.
    bool ready;
    tm_tensor outputs[TM_VIEW_OUTPUTS];  // each slice is all of its own buffer
    size_t output_count;
    float *scores;   // classifier: class_count logits
    uint64_t asked;  // the session's proposal that asked for it last
} tm_view;
void tm_view_clear(tm_view *view);  // frees the result

typedef struct tm_views_context {
    tagmask_engine *engine;
    tm_scratch *scratch;
    tm_map base;          // packed image
    uint64_t photo_hash;  // names the photo in the cache
    const char *cache_dir;
} tm_views_context;
// Runs the network on every view that is not ready, in one recording; a view may be listed twice. Takes the device's
// lock.
tagmask_status tm_views_run(const tm_views_context *context, tm_view *const *views, size_t count, tm_error *err);

#endif
