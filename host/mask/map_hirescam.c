// HiResCAM (Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural
// networks", arXiv 2011.08891, 2020): gradients times features, place by place.
#include "mask/map_table.h"

static tagmask_status of_gradients(tm_work *work, const tm_tensor *features, const tm_tensor *gradients, tm_map *map,
                                   tm_error *err) {
    return tm_map_products(work, features, gradients, TM_PRODUCT_PLAIN, map, err);
}

const tm_map_method tm_map_hirescam = {.name = "hirescam",
                                       .needs = TM_MAP_FEATURES | TM_MAP_GRADIENTS,
                                       .network = TM_NETWORK_GRADIENTS,
                                       .of_class = true,
                                       .of_layer = true,
                                       .make = tm_map_make_of_gradients,
                                       .of_gradients = of_gradients};
