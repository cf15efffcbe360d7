// What a session keeps of a photo. Stages know by a key (a hash of everything they depend on) whether their result
// still holds, so that a changed tag or parameter recomputes only what follows from it:
//   images -> views (networks) -> fused maps (CAM, crops, saliency, fusion) -> refined -> CRF -> probabilities ->
//   labels, regions
#ifndef TM_SESSION_H
#define TM_SESSION_H

#include "mask/cam.h"
#include "mask/crf.h"
#include "mask/fusion.h"
#include "mask/result.h"

#define TM_MAX_TAGS 254
// The image that views are taken from is at most this long; larger photos are reduced by a whole factor on the host.
#define TM_BASE_SIDE 4096u

#define TM_MAX_VIEW_PARTS (4 * TM_MAX_SCALES + 3 * TM_MAX_EXTRAS + TM_MAX_CUTOUTS + 1)
// Of one tag: those, and its own, for each layer.
#define TM_MAX_TAG_PARTS (TM_MAX_LAYERS * (TM_MAX_VIEW_PARTS + 2 * TM_MAX_EXTRAS))

// Crops differ from tag to tag and from one working size to the next.
#define TM_KEPT_VIEWS 48

// A fused map that may serve again.
typedef struct tm_kept_map {
    uint64_t key;   // of everything it depends on; 0: it holds nothing
    uint64_t used;  // the proposal that used it last
    tm_buffer *buffer;
    bool flat;  // the class map that it was made of is the same everywhere: it shows no place
} tm_kept_map;

struct tagmask_session {
    tagmask_engine *engine;
    tm_scratch scratch;
    uint32_t width, height;
    uint32_t *photo;  // packed words, width x height, kept for the final upsampling
    uint64_t photo_hash;

    tm_buffer *base_buffer, *work_buffer, *crf_image;
    bool base_ready;    // the photo is in base_buffer
    tm_map base, work;  // packed images: for the networks, and at working size
    uint32_t crf_width, crf_height;
    uint64_t images_key;

    uint64_t proposal;  // counts them
    tm_view **views;    // every one asked for: up to TM_KEPT_VIEWS, or what one proposal needs
    size_t view_count, view_capacity;
    tm_cam_part parts[TM_MAX_VIEW_PARTS];  // the settings' scales, of one classifier or two, classifier_count of them,
                                           // then further views
    size_t part_count, classifier_count;
    float *scores;  // mean logits over the scales
    tm_view *saliency_views[2];
    size_t saliency_count;
    tm_view *features_view;  // of the features network, or of attention; NULL: the classifier's own give affinities
    uint64_t views_key;

    tm_buffer *mask;      // what a view has erased, while it runs
    tm_buffer *saliency;  // 1 + TM_MAX_CROPS planes at working size: the whole photo's, then the tag's crops
    uint64_t saliency_key;
    tm_kept_map *maps;  // fused maps of tags of this proposal and of earlier ones
    size_t map_count, map_capacity;
    tm_buffer *fused[TM_MAX_TAGS];  // of the proposal's tags in order, belonging to maps
    bool flat[TM_MAX_TAGS];         // as theirs
    uint64_t fused_key;

    tm_buffer *refined;  // [tags] planes of the CRF's size: fused maps, along the photo's edges if the preset says so
    uint64_t refined_key;

    tm_crf *crf;                   // for images of the CRF's size; NULL until needed
    bool crf_image_set;            // it holds crf_image
    tm_buffer *unary, *marginals;  // [tags + 1][crf pixels], the background first
    tm_buffer *tag_marginals;      // [tags][crf pixels]
    uint64_t unary_key, crf_key;

    tm_planes *probability;  // tags planes of the photo's size, shared with results
    uint64_t probability_key;

    // The last proposal, for the maps of its stages; tag_count 0: there is none that succeeded.
    tm_settings settings;  // without what belongs to the caller
    tagmask_tag_info *tags;
    size_t tag_count;
};

// Whether the affinity step is that of attention.
bool tm_session_wants_attention(const tm_settings *settings);
// Puts the preset's values for maps that a features network or attention has spread in place, where they are.
void tm_session_adapt(const tagmask_engine *engine, tm_settings *settings);
// Each makes its stage hold for the settings (and tags); does nothing when it does already.
tagmask_status tm_session_images(tagmask_session *session, const tm_settings *settings, tm_error *err);
tagmask_status tm_session_views(tagmask_session *session, const tm_settings *settings, tm_error *err);
tagmask_status tm_session_fuse(tagmask_session *session, const tm_settings *settings, const tagmask_tag_info *tags,
                               size_t tag_count, tm_error *err);
tagmask_status tm_session_crf(tagmask_session *session, const tm_settings *settings, size_t tag_count, tm_error *err);
tagmask_status tm_session_probability(tagmask_session *session, const tm_settings *settings, size_t tag_count,
                                      tm_error *err);

// The view that the request describes, new or from an earlier proposal, to be run; NULL without memory.
tm_view *tm_session_view(tagmask_session *session, const tm_view *request);
tm_view tm_session_saliency_request(const tagmask_session *session, tm_box box, bool mirror);
// Runs those that are not ready, one recording each, so that a host may stop between them; `span` is what the progress
// callback is told.
typedef struct tm_progress_span {
    const char *stage;
    float from, to;
} tm_progress_span;
tagmask_status tm_session_run_views(tagmask_session *session, const tm_settings *settings, tm_view *const *views,
                                    size_t count, tm_progress_span span, tm_error *err);

// The fused map of a tag of the proposal whose maps hold.
tm_map tm_session_fused(const tagmask_session *session, size_t tag);
// The first tag of the proposal with the same fused map: words of the same classes, or two without any. The tag itself
// where there is none before it.
size_t tm_session_first_alike(const tagmask_session *session, size_t tag);
// From the network, or a classical one that the settings ask for.
bool tm_session_has_saliency(const tagmask_session *session, const tm_settings *settings);
// The map that the CRF (or without one the upsampling) starts from.
tm_map tm_session_refined(const tagmask_session *session, size_t tag);
void tm_session_free_maps(tagmask_session *session);
// What one tag's class activation map is made of.
typedef struct tm_tag_cam {
    tm_cam_rows rows;
    tm_cam_part parts[TM_MAX_TAG_PARTS];
    size_t part_count, common;  // the first ones are of views that all tags share
} tm_tag_cam;
// Chooses the tag's classes and parts, and runs the views that only it needs. The views must hold.
tagmask_status tm_session_tag_cam(tagmask_session *session, const tm_settings *settings, const tagmask_tag_info *tag,
                                  tm_tag_cam *cam, tm_error *err);
// The tag's class activation map `high` and, in `spread`, the same after the affinity step (the map itself in presets
// without it), both of the target's size. disagreement (may be NULL): as tm_cam_record.
tagmask_status tm_session_record_cam(tagmask_session *session, tm_work *work, const tm_settings *settings,
                                     const tm_tag_cam *cam, const tm_map *target, tm_map *high, tm_map *spread,
                                     const tm_map *disagreement, tm_error *err);
// stage_map.c: gives the result of the last proposal its class maps.
tagmask_status tm_session_attach_maps(tagmask_session *session, tagmask_result *result, tm_error *err);
// presence.c: what the views see of each class, for tm_session_presence; nothing without a score limit. The views must
// hold.
tagmask_status tm_session_look(tagmask_session *session, const tm_settings *settings, tm_error *err);
// How sure the classifier is that the tag's thing is somewhere in the photo, 0..1: over the tag's classes the most that
// a view sees, the geometric mean over the views, less for tags of many classes. 1 without a class, of which nothing is
// known. Where the network has no class weights for the views' features, or they are too large to be bound: how
// probable the tag's likeliest class is beside the photo's.
float tm_session_presence(const tagmask_session *session, const tagmask_tag_info *info);
// Whether that reaches the score limit.
bool tm_session_sees(const tagmask_session *session, const tm_settings *settings, const tagmask_tag_info *info);
// map_views.c: whether the method and the layer fit the engine. *settings: a layer that need not be named is "".
tagmask_status tm_map_check(tagmask_engine *engine, tm_settings *settings, tm_error *err);
// Appends what a view's part gives to a tag's map: itself, or for each layer a part whose view the method makes of it
// for the tag's class, run.
tagmask_status tm_session_add_part(tagmask_session *session, const tm_settings *settings, const tm_cam_part *part,
                                   tm_tag_cam *cam, tm_error *err);
// The layer at a position in a list of settings.layer ("" at 0 when it names none); false: there is none, or more than
// TM_MAX_LAYERS.
bool tm_layer_at(const char *layers, size_t position, char layer[TM_LAYER_LENGTH]);
// expand.c: appends the views beyond the scales to the session's parts; appends a tag's own to its.
tagmask_status tm_session_expand_views(tagmask_session *session, const tm_settings *settings, tm_error *err);
tagmask_status tm_session_expand_tag(tagmask_session *session, const tm_settings *settings, tm_tag_cam *cam,
                                     tm_error *err);
// The scale whose view the further ones are made from: the first of its views, not mirrored.
tm_view *tm_session_scale_view(tagmask_session *session, const tm_settings *settings, uint32_t size);
// Calls the progress callback; TAGMASK_ERROR_ABORTED when it says so.
tagmask_status tm_session_progress(const tm_settings *settings, float done, const char *stage, tm_error *err);

#endif
