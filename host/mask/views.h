// Network passes over views of a photo: a view is a rectangle of the photo, resampled to a size, perhaps mirrored.
// Outputs stay on the device with the view, and may be kept on disk so that the next session of the same photo and pack
// needs no network.
#ifndef TM_VIEWS_H
#define TM_VIEWS_H

#include "mask/edit.h"
#include "mask/engine.h"
#include "mask/preset.h"

#define TM_VIEW_OUTPUTS 2

typedef struct tm_map_method tm_map_method;  // map_table.h

typedef struct tm_view {
    // The request.
    tm_role role;            // which network
    uint32_t width, height;  // of the network's input
    bool mirror;
    tm_box box;    // of the base image
    tm_edit edit;  // of the network's input
    // The tail's kind, dilation 0: the whole network. With a tail, the network goes on from the affinity features of
    // `source`, a view with the same rectangle, where edit.kind may only be TM_EDIT_ERASE, of features.
    uint32_t tail_dilation, tail_dense;
    char layer[TM_LAYER_LENGTH];  // of the classifier's features; "": the engine's own
    // NULL: the view is features and scores. Else it is the map that the method makes for the class `row` (0 where it
    // is the same for all), from the features of `source`, a view that is the same but for this.
    const tm_map_method *method;
    uint32_t row, option;
    // Read when it runs; edit.mask_key and the rest of the request stand for them.
    const struct tm_view *source;
    tm_map mask;  // of edits that have one
    // The result, once ready. Classifier: [0] features, [1] affinity features if the pack names a layer. Second
    // classifier, and features: [0] features. Saliency, and with a method: [0] the map, or of tm_map_affinity a matrix.
    bool ready;
    tm_tensor outputs[TM_VIEW_OUTPUTS];  // each slice is all of its own buffer
    size_t output_count;
    float *scores;        // classifiers, without a method: class_count logits
    size_t score_places;  // numbers that each of them was the mean of
    float *seen;          // class_count: what it sees of each class (presence.h); NULL until asked for
    uint64_t asked;       // the session's proposal that asked for it last
} tm_view;
void tm_view_clear(tm_view *view);  // frees the result
static inline bool tm_view_has_scores(const tm_view *view) {
    return (view->role == TM_ROLE_CLASSIFIER || view->role == TM_ROLE_SECOND) && !view->method;
}

typedef struct tm_views_context {
    tagmask_engine *engine;
    tm_scratch *scratch;
    tm_map base;          // packed image
    uint64_t photo_hash;  // names the photo in the cache
    const char *cache_dir;
    // Told between the passes of a view which part of them, 0..1, is done; a failure ends the view. NULL: nobody.
    tagmask_status (*progress)(void *user, float part, tm_error *err);
    void *progress_user;
} tm_views_context;
// Runs the network on every view that is not ready, in one recording; a view may be listed twice. Takes the device's
// lock.
tagmask_status tm_views_run(const tm_views_context *context, tm_view *const *views, size_t count, tm_error *err);

// ---- For methods that run the network themselves (map_table.h)

// The view's picture -> the input of the classifier's network.
tagmask_status tm_view_record_input(const tm_views_context *context, tm_work *work, const tm_view *view,
                                    const tm_tensor *input, tm_error *err);
// Tells context->progress, without the device's lock: others may plan and record meanwhile, so plan again afterwards.
tagmask_status tm_view_progress(const tm_views_context *context, float part, tm_error *err);
// Copies the map; it becomes the view's output 0.
tagmask_status tm_view_keep_map(tm_work *work, tm_view *view, const tm_map *map, tm_error *err);

#endif
