// Eigen-Grad-CAM, as pytorch-grad-cam calls it (Gildenblat et al.): the first principal component, as in map_eigen.c,
// of gradients times features, so that it is one of the class.
#include "mask/map_table.h"

static tagmask_status of_gradients(tm_work *work, const tm_tensor *features, const tm_tensor *gradients, tm_map *map,
                                   tm_error *err) {
    tm_tensor products;
    TM_TRY(tm_map_times(work, features, gradients, &products, err));
    return tm_map_principal(work, &products, map, err);
}

const tm_map_method tm_map_eigengradcam = {.name = "eigengradcam",
                                           .needs = TM_MAP_FEATURES | TM_MAP_GRADIENTS,
                                           .of_class = true,
                                           .of_layer = true,
                                           .network = TM_NETWORK_GRADIENTS,
                                           .revision = 1,
                                           .make = tm_map_make_of_gradients,
                                           .of_gradients = of_gradients};
