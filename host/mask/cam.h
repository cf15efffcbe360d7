// The map of a tag from classifier views: the method's (map_table.h) of each view, several scales and mirror images
// merged.
#ifndef TM_CAM_H
#define TM_CAM_H

#include "mask/preset.h"
#include "mask/views.h"

// The classes a tag's map is made of.
typedef struct tm_cam_rows {
    uint32_t rows[1 + TM_MAX_RIVALS];  // the tag's most probable class, then the most probable other classes
    uint32_t rivals;
} tm_cam_rows;
// scores: mean logits of the views (class_count). classes: the tag's (at least one).
void tm_cam_choose(const float *scores, size_t class_count, const int32_t *classes, size_t tag_classes, uint32_t rivals,
                   tm_cam_rows *rows);

// How a view's map joins the others.
typedef enum tm_cam_role {
    TM_CAM_MEAN = 0,  // all of these, each over its maximum, are added up and min-max normalized
    TM_CAM_MAX,       // weight times this, min-max normalized, is a lower bound
    TM_CAM_TIMES      // the normalized sum M of all of these: map^(1 - weight) M^weight
} tm_cam_role;
typedef struct tm_cam_part {
    tm_view *view;
    tm_cam_role role;
    float weight;  // of TM_CAM_MAX, and of the first TM_CAM_TIMES
} tm_cam_part;

// cam/combine.comp: target = max(target, weight source), or for TM_CAM_TIMES target^(1 - weight) source^weight.
tagmask_status tm_cam_combine(tm_work *work, const tm_map *source, tm_cam_role role, float weight, const tm_map *target,
                              tm_error *err);

// target = the parts' maps, each bilinear to the target's size, joined by their roles: mean, times, max. At least one
// is TM_CAM_MEAN. disagreement (may be NULL): how much those differ from place to place, 0..1.
tagmask_status tm_cam_record(tm_work *work, const tagmask_engine *engine, const tm_cam_part *parts, size_t part_count,
                             const tm_cam_rows *rows, float rivalry, const tm_map *target, const tm_map *disagreement,
                             tm_error *err);

// The mean of each channel of (1, channels, height, width) over its places: channels floats in scratch (affinity.c).
tagmask_status tm_feature_means(tm_work *work, const tm_tensor *features, tm_map *means, tm_error *err);

// Spreads a map over similar places, by the affinity features of `view` (affinity.c), by all that a features network
// says of them, or by attention (a view of tm_map_affinity, of which only the steps count): target = min-max of the
// result.
typedef struct tm_affinity {
    float temperature;  // of exp((cosine - 1) / temperature)
    uint32_t steps;     // of the random walk
    float ridge;        // lambda of the ridge regression whose prediction the map is multiplied with; 0: none
    bool centred;       // features less their mean over the photo: a transformer's share most of their direction
} tm_affinity;
tagmask_status tm_affinity_record(tm_work *work, const tm_view *view, const tm_affinity *how, const tm_map *source,
                                  const tm_map *target, tm_error *err);

#endif
