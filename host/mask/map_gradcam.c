// Grad-CAM (Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV
// 2017): features weighed by the mean of their gradients.
#include "mask/map_table.h"

static tagmask_status of_gradients(tm_work *work, const tm_tensor *features, const tm_tensor *gradients, tm_map *map,
                                   tm_error *err) {
    tm_slice weights;
    TM_TRY(tm_map_channel_weights(work, features, gradients, TM_CHANNEL_MEAN, &weights, err));
    return tm_map_weighted(work, features, weights, map, err);
}

const tm_map_method tm_map_gradcam = TM_MAP_OF_GRADIENTS("gradcam", of_gradients);
