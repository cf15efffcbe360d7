// Saliency of the whole photo and of crops around the CAM, and its fusion with the CAM.
#ifndef TM_FUSION_H
#define TM_FUSION_H

#include "mask/preset.h"
#include "mask/views.h"

// target = min-max of the sum of the views' min-max-normalized maps (mirror images undone), bilinear to the target's
// size.
tagmask_status tm_saliency_record(tm_work *work, tm_view *const *views, size_t count, const tm_map *target,
                                  tm_error *err);
// The min-max-normalized map of a crop, pasted where the crop lies in the target; 0 elsewhere. scale: target / base
// pixels.
tagmask_status tm_saliency_paste(tm_work *work, const tm_view *view, float scale_x, float scale_y, const tm_map *target,
                                 tm_error *err);

// Where to look again: the parts of a map above `above` of its maximum that hold the peak or at least half the mass of
// the part with the peak; their bounding box grown by `grow`, at least a quarter of each side, sides at most 2 : 1,
// clipped to the map. cam: height x width on the host.
tagmask_status tm_crop_box(const float *cam, uint32_t width, uint32_t height, float above, float grow, tm_box *crop,
                           tm_error *err);

// fused = min-max of what the mode of the settings makes of the CAM and the mixed saliency (fuse/mix.comp, then the
// shader of the mode, by default fuse/gate.comp). high: the CAM that says where agreement is measured; sources:
// `source_count` planes (1..3) at `stride` floats in one buffer, the whole photo's first.
typedef struct tm_fusion_input {
    tm_map cam, high;
    tm_slice sources;
    uint32_t source_stride, source_count;
} tm_fusion_input;
tagmask_status tm_fusion_record(tm_work *work, const tm_fusion_input *input, const tm_settings *settings,
                                const tm_map *target, tm_error *err);

// target *= 1 - claim: leaves to a map what another one of its size, 0..1, does not claim.
tagmask_status tm_fusion_without(tm_work *work, const tm_map *claim, const tm_map *target, tm_error *err);

#endif
