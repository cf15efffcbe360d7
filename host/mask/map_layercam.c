// LayerCAM (Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization", IEEE Transactions
// on Image Processing 30, 2021): positive gradients times features, place by place.
#include "mask/map_table.h"

static tagmask_status of_gradients(tm_work *work, const tm_tensor *features, const tm_tensor *gradients, tm_map *map,
                                   tm_error *err) {
    return tm_map_products(work, features, gradients, TM_PRODUCT_LAYER, map, err);
}

const tm_map_method tm_map_layercam = TM_MAP_OF_GRADIENTS("layercam", of_gradients);
