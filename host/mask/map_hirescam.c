// HiResCAM (Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural
// networks", arXiv 2011.08891, 2020): gradients times features, place by place.
#include "mask/map_table.h"

static tagmask_status of_gradients(tm_work *work, const tm_tensor *features, const tm_tensor *gradients, tm_map *map,
                                   tm_error *err) {
    return tm_map_products(work, features, gradients, TM_PRODUCT_PLAIN, map, err);
}

const tm_map_method tm_map_hirescam = TM_MAP_OF_GRADIENTS("hirescam", of_gradients);
