// Maps: what a classifier's network says about where a class is. A method is one file map_NAME.c that defines a
// `const tm_map_method`, and one row of TM_MAP_METHODS; the preset member `method` takes its names from there.
// docs/maps.md has their papers, formulas and costs.
#ifndef TM_MAP_TABLE_H
#define TM_MAP_TABLE_H

#include "mask/views.h"

#define TM_MAP_METHODS(ROW)           \
    ROW(cam, "cam")                   \
    ROW(eigencam, "eigencam")         \
    ROW(gradcam, "gradcam")           \
    ROW(gradcam_pp, "gradcam++")      \
    ROW(xgradcam, "xgradcam")         \
    ROW(hirescam, "hirescam")         \
    ROW(layercam, "layercam")         \
    ROW(elementwise, "elementwise")   \
    ROW(eigengradcam, "eigengradcam") \
    ROW(fullgrad, "fullgrad")         \
    ROW(attention, "attention")       \
    ROW(rollout, "rollout")           \
    ROW(relevance, "relevance")       \
    ROW(scorecam, "scorecam")         \
    ROW(ablationcam, "ablationcam")

// What a method needs, one bit each.
typedef enum tm_map_needs {
    TM_MAP_CLASS_WEIGHTS = 1,  // a network that ends in a global average pooling and one linear map to classes
    TM_MAP_FEATURES = 2,       // of a layer with height and width
    TM_MAP_GRADIENTS = 4,      // of a class's score by those features
    TM_MAP_ATTENTION = 16,     // blocks of a transformer
    TM_MAP_RERUNS = 8,         // of the network, or of what follows the layer
} tm_map_needs;

// The classes that a map is made of; `rows` are on the device: the tag's, then `rivals` others.
typedef struct tm_map_classes {
    tm_slice rows;
    uint32_t rivals;
    float rivalry;
} tm_map_classes;

struct tm_map_method {
    const char *name;
    uint32_t needs;
    bool of_class;  // the map differs from class to class
    bool of_layer;  // and from layer to layer: the member `layer` names any that has height and width, or any block
    tm_network_kind network;  // that `make` runs; that of features: none
    uint32_t revision;        // counts how often the same photo came to another map: kept ones are made anew
    // Makes the map of a view, for view->row: in recordings of its own, from the features of view->source or from the
    // network's input on; ends with tm_view_keep_map. The caller holds the device's lock. NULL: the map is made anew
    // for every tag of the features that views keep, by tm_map_cam_record.
    tagmask_status (*make)(const tm_views_context *context, tm_view *view, tm_error *err);
    // For tm_map_make_of_gradients, which some have for `make`: features and gradients of one shape -> map.
    tagmask_status (*of_gradients)(tm_work *work, const tm_tensor *features, const tm_tensor *gradients, tm_map *map,
                                   tm_error *err);
};

#define TM_MAP_DECLARE(id, name) extern const tm_map_method tm_map_##id;
TM_MAP_METHODS(TM_MAP_DECLARE)
#undef TM_MAP_DECLARE

// By the position in the member `method`.
const tm_map_method *tm_map_method_at(uint32_t index);

// The class map of a view's features (map_cam.c).
tagmask_status tm_map_cam_record(tm_work *work, const tagmask_engine *engine, const tm_view *view,
                                 const tm_map_classes *classes, tm_map *map, tm_error *err);

// ---- For methods (map_weighted.c)

// map = relu(w_c . h - rivalry max(0, max over rivals o of w_o . h)) with the rows w of `weights` (classes, channels).
tagmask_status tm_map_class(tm_work *work, const tm_tensor *features, tm_slice weights, const tm_map_classes *classes,
                            tm_map *map, tm_error *err);
// map = relu(sum over channels k of weights[k] features[k]).
tagmask_status tm_map_weighted(tm_work *work, const tm_tensor *features, tm_slice weights, tm_map *map, tm_error *err);

// map_gradient.c: the plan of one of the classifier's networks for a view, and its run; with gradients, of the score of
// the class `row`.
tagmask_status tm_map_plan(tagmask_engine *engine, const tm_engine_network *network, const tm_view *view,
                           tm_plan **plan, tm_error *err);
tagmask_status tm_map_record_plan(const tm_views_context *context, tm_work *work, const tm_view *view, tm_plan *plan,
                                  bool gradients, tm_error *err);
// map_gradient.c: runs the network forward and backward for the class `row`, then method->of_gradients.
tagmask_status tm_map_make_of_gradients(const tm_views_context *context, tm_view *view, tm_error *err);
// The row of a method whose map is `function` of features and gradients of any layer.
#define TM_MAP_OF_GRADIENTS(id, function)                                                                           \
    {                                                                                                               \
        .name = id, .needs = TM_MAP_FEATURES | TM_MAP_GRADIENTS, .network = TM_NETWORK_GRADIENTS, .of_class = true, \
        .of_layer = true, .make = tm_map_make_of_gradients, .of_gradients = function                                \
    }
// One weight a channel k of features a and their gradients g, sums over its places; tm_map_weighted takes them.
typedef enum tm_channel_rule {
    TM_CHANNEL_MEAN = 0,  // mean of g
    TM_CHANNEL_PLUS,      // sum of relu(g) g^2 / (2 g^2 + sum(a) g^3 + 1e-6), where g is not 0
    TM_CHANNEL_SHARE      // sum of g a / (sum(a) + 1e-7)
} tm_channel_rule;
tagmask_status tm_map_channel_weights(tm_work *work, const tm_tensor *features, const tm_tensor *gradients,
                                      tm_channel_rule rule, tm_slice *weights, tm_error *err);
// map = relu(sum over channels of ...) at each place.
typedef enum tm_product_rule {
    TM_PRODUCT_PLAIN = 0,  // g a
    TM_PRODUCT_LAYER,      // relu(g) a
    TM_PRODUCT_ELEMENTS    // relu(g a)
} tm_product_rule;
tagmask_status tm_map_products(tm_work *work, const tm_tensor *features, const tm_tensor *gradients,
                               tm_product_rule rule, tm_map *map, tm_error *err);
// products (1, channels, height, width), linear: g a.
tagmask_status tm_map_times(tm_work *work, const tm_tensor *features, const tm_tensor *gradients, tm_tensor *products,
                            tm_error *err);
// Along the first principal component of the centred features, where above their mean (map_eigen.c).
tagmask_status tm_map_principal(tm_work *work, const tm_tensor *features, tm_map *map, tm_error *err);

#endif
