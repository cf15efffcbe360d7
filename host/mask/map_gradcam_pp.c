// Grad-CAM++ (Chattopadhyay et al., "Grad-CAM++: Improved Visual Explanations for Deep Convolutional Networks", WACV
// 2018): the places count by equation 19, so that several objects of a class do.
#include "mask/map_table.h"

static tagmask_status of_gradients(tm_work *work, const tm_tensor *features, const tm_tensor *gradients, tm_map *map,
                                   tm_error *err) {
    tm_slice weights;
    TM_TRY(tm_map_channel_weights(work, features, gradients, TM_CHANNEL_PLUS, &weights, err));
    return tm_map_weighted(work, features, weights, map, err);
}

const tm_map_method tm_map_gradcam_pp = TM_MAP_OF_GRADIENTS("gradcam++", of_gradients);
