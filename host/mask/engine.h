// A device with its model packs, ready to run.
#ifndef TM_ENGINE_H
#define TM_ENGINE_H

#include "gpu/handle.h"
#include "graph/graph.h"
#include "mask/pack.h"
#include "mask/tags.h"

// Tails of the classifier's network in use, by kind; made when first asked for, under the device's lock.
#define TM_MAX_TAILS 8
typedef struct tm_engine_tail {
    uint32_t dilation, dense;
    tm_graph *graph;
    size_t features_output;
} tm_engine_tail;

// The classifier's network loaded for features of a layer; weights are there once more.
#define TM_MAX_NETWORKS 4
typedef struct tm_engine_network {
    char *layer;  // NULL: none is loaded
    tm_graph *graph;
    size_t features_output, affinity_output;  // outputs of the graph; affinity SIZE_MAX: no such layer
    uint64_t used;
} tm_engine_network;

struct tagmask_engine {
    tagmask_device *device;
    tm_pack classifier, saliency;
    bool has_saliency;
    tm_precision precision;
    tm_engine_network network;  // the classifier's, with the features before the pooling, or else of the last layer
    tm_graph *saliency_graph;
    int64_t class_count, channels;
    tm_buffer *class_weights;  // (classes, channels) on the device; NULL: no CAM can be made, no_cam says why
    tm_error no_cam;
    tm_tags *tags;
    tm_engine_tail tails[TM_MAX_TAILS];
    size_t tail_count;
    tm_engine_network networks[TM_MAX_NETWORKS];  // for other layers; the one that was not used for longest goes first
    uint64_t network_uses;
};

// The caller holds the device's lock. Errors: UNSUPPORTED when the pack names no affinity layer, where tails begin, or
// the network cannot be cut there.
tagmask_status tm_engine_tail_get(tagmask_engine *engine, uint32_t dilation, uint32_t dense,
                                  const tm_engine_tail **tail, tm_error *err);

// The network with features of a layer ("": the engine's own), loaded when first asked for and kept until others take
// its place. The caller holds the device's lock. Errors: FORMAT (no such layer), UNSUPPORTED (a layer without height
// and width).
tagmask_status tm_engine_network_get(tagmask_engine *engine, const char *layer, const tm_engine_network **network,
                                     tm_error *err);
// The tensor whose features views have when no layer is named.
const char *tm_engine_features(const tagmask_engine *engine);

// ---- engine_network.c, for engine.c

// The classifier's network, its classes and, unless no CAM can be made, *head, which belongs to the graph.
tagmask_status tm_engine_load_classifier(tagmask_engine *engine, tm_cam_head *head, tm_error *err);
void tm_engine_free_networks(tagmask_engine *engine);
// The position among the graph's outputs; SIZE_MAX: it is none.
size_t tm_engine_find_output(const tm_graph *graph, const char *name);
tagmask_status tm_engine_check_output(const tm_pack *pack, const tm_graph *graph, size_t asked_for, tm_error *err);

#endif
