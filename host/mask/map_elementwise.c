// Element-wise Grad-CAM, as pytorch-grad-cam calls it (Gildenblat et al.): only products of gradient and feature that
// are positive count.
#include "mask/map_table.h"

static tagmask_status of_gradients(tm_work *work, const tm_tensor *features, const tm_tensor *gradients, tm_map *map,
                                   tm_error *err) {
    return tm_map_products(work, features, gradients, TM_PRODUCT_ELEMENTS, map, err);
}

const tm_map_method tm_map_elementwise = TM_MAP_OF_GRADIENTS("elementwise", of_gradients);
