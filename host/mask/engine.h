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

struct tagmask_engine {
    tagmask_device *device;
    tm_pack classifier, saliency;
    bool has_saliency;
    tm_precision precision;
    tm_graph *classifier_graph, *saliency_graph;
    size_t features_output, affinity_output;  // outputs of the classifier's graph; SIZE_MAX: no affinity layer
    int64_t class_count, channels;
    tm_buffer *class_weights;  // (classes, channels) on the device
    tm_tags *tags;
    tm_engine_tail tails[TM_MAX_TAILS];
    size_t tail_count;
};

// The caller holds the device's lock. Errors: UNSUPPORTED when the pack names no affinity layer, where tails begin, or
// the network cannot be cut there.
tagmask_status tm_engine_tail_get(tagmask_engine *engine, uint32_t dilation, uint32_t dense,
                                  const tm_engine_tail **tail, tm_error *err);

#endif
