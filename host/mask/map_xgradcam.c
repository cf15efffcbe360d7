// XGrad-CAM (Fu et al., "Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of CNNs", BMVC 2020):
// gradients count by the share of the channel's features that lies at their place.
#include "mask/map_table.h"

static tagmask_status of_gradients(tm_work *work, const tm_tensor *features, const tm_tensor *gradients, tm_map *map,
                                   tm_error *err) {
    tm_slice weights;
    TM_TRY(tm_map_channel_weights(work, features, gradients, TM_CHANNEL_SHARE, &weights, err));
    return tm_map_weighted(work, features, weights, map, err);
}

const tm_map_method tm_map_xgradcam = TM_MAP_OF_GRADIENTS("xgradcam", of_gradients);
