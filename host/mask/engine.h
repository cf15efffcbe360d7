// A device with its model packs, ready to run.
#ifndef TM_ENGINE_H
#define TM_ENGINE_H

#include "gpu/handle.h"
#include "graph/graph.h"
#include "mask/pack.h"
#include "mask/tags.h"

struct tagmask_engine {
    tagmask_device *device;
    tm_pack classifier, saliency;
    bool has_saliency;
    tm_graph *classifier_graph, *saliency_graph;
    size_t features_output, affinity_output;  // outputs of the classifier's graph; SIZE_MAX: no affinity layer
    int64_t class_count, channels;
    tm_buffer *class_weights;  // (classes, channels) on the device
    tm_tags *tags;
};

#endif
