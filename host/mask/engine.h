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

// The classifier's network loaded for more of it than its scores; weights are there once more.
typedef enum tm_network_kind {
    TM_NETWORK_FEATURES = 0,  // of a layer
    TM_NETWORK_GRADIENTS,     // and how the scores change with them: one more input, as tm_graph_load_gradient says
    TM_NETWORK_ATTENTION,     // one block, which `layer` names; "": the last
    TM_NETWORK_ALL_ATTENTION,
    TM_NETWORK_ATTENTION_GRADIENTS,  // of all blocks, and how the scores change with them
    TM_NETWORK_BIASES,               // how the scores change with the picture, and with all that biases are part of
    TM_NETWORK_TAIL                  // what follows a layer, whose features are the input
} tm_network_kind;
#define TM_MAX_NETWORKS 12  // for TM_MAX_LAYERS layers, features and gradients
typedef struct tm_engine_network {
    tm_network_kind kind;
    char *layer;           // NULL: none is loaded
    tm_feature_form form;  // of features: the layer's
    tm_graph *graph;
    // Outputs of the graph. Affinity SIZE_MAX: no such layer.
    size_t features_output, affinity_output, gradient_output;
    struct {
        size_t probabilities, gradient;
    } blocks[TM_MAX_BIASES];  // or what has biases, in the order of computation
    size_t block_count;
    uint64_t used;
} tm_engine_network;

// Which network a view passes through.
typedef enum tm_role {
    TM_ROLE_CLASSIFIER = 0,
    TM_ROLE_SALIENCY,
    TM_ROLE_SECOND,   // another classifier of the same classes
    TM_ROLE_FEATURES  // describes places, so that places of one object are known to belong together
} tm_role;

// A network that only some presets ask for: loaded when one does.
typedef struct tm_engine_aide {
    char *wanted;  // name or path of the pack; NULL: the engine has none
    tm_pack pack;
    tm_graph *graph;  // NULL: not loaded yet
    size_t features_output;
    int64_t channels;  // of a classifier, with its class weights
    tm_buffer *class_weights;
} tm_engine_aide;

// Attention that says which places belong together: a network as far as its attention blocks need it.
typedef struct tm_engine_attention {
    uint32_t blocks;  // how many of the last ones, or as many as there are; 0: all
    tm_role role;     // whose network it is
    tm_graph *graph;  // of one output, as tm_graph_load_attention; NULL: none is loaded
} tm_engine_attention;

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
    bool features_unclear;  // the usual layer has no places that anybody knows: maps need another, or attention
    tm_engine_aide second, features;
    tm_engine_attention attention;
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

// The network of a kind for a layer ("": the engine's own), loaded when first asked for and kept until others take its
// place. The caller holds the device's lock. Errors: FORMAT or ARGUMENT (no such layer), UNSUPPORTED (a layer without
// height and width, or between which and the scores something has no gradient).
tagmask_status tm_engine_network_get(tagmask_engine *engine, tm_network_kind kind, const char *layer,
                                     const tm_engine_network **network, tm_error *err);
// Whether the attention block that the layer names has so many heads, as far as that is known without a photo. Errors:
// as tm_engine_network_get, whose lock it takes, and ARGUMENT.
tagmask_status tm_engine_check_head(tagmask_engine *engine, const char *layer, uint32_t head, tm_error *err);
// The tensor whose features views have when no layer is named.
const char *tm_engine_features(const tagmask_engine *engine);

const tm_pack *tm_engine_pack(const tagmask_engine *engine, tm_role role);

// ---- engine_aide.c

// Of TM_ROLE_SECOND and TM_ROLE_FEATURES.
tm_engine_aide *tm_engine_aide_of(tagmask_engine *engine, tm_role role);
// Makes such a network, which the engine has (wanted), ready. Takes the device's lock. Errors: those of loading a pack
// and its network; UNSUPPORTED when the second classifier has other classes than the first.
tagmask_status tm_engine_need(tagmask_engine *engine, tm_role role, tm_error *err);
// Its pack, without the network. The caller holds the device's lock.
tagmask_status tm_engine_aide_pack(tagmask_engine *engine, tm_role role, tm_error *err);
// For engine.c: which packs are taken. classifier: the first one's name as the caller gave it. The caller holds the
// device's lock.
tagmask_status tm_engine_choose_aides(tagmask_engine *engine, const char *classifier,
                                      const tagmask_load_options *options, tm_error *err);
void tm_engine_free_aides(tagmask_engine *engine);
tagmask_status tm_engine_upload_weights(tm_gpu *gpu, const tm_cam_head *head, tm_buffer **weights, tm_error *err);

// ---- engine_attention.c

// The network of so many attention blocks: of the features network, or of the classifier where there is none or it has
// no attention. The one that was asked for last is kept. The caller holds the device's lock. Errors: UNSUPPORTED
// (neither has attention, or it is not between places), those of loading.
tagmask_status tm_engine_attention_get(tagmask_engine *engine, uint32_t blocks, const tm_engine_attention **attention,
                                       tm_error *err);
// Makes it ready, with the lock; errors name the preset's members. *role: whose it is.
tagmask_status tm_engine_need_attention(tagmask_engine *engine, uint32_t blocks, tm_role *role, tm_error *err);
// How its output, asked linear of a plan for a picture of that size, is made of places: a matrix of tokens, the last
// columns x rows of which are the picture's patches in rows.
tagmask_status tm_engine_attention_grid(const tm_pack *pack, const tm_tensor *matrix, uint32_t width, uint32_t height,
                                        uint32_t *tokens, uint32_t *columns, uint32_t *rows, tm_error *err);

// ---- engine_network.c, for engine.c

// The classifier's network, its classes and, unless no CAM can be made, *head, which belongs to the graph.
tagmask_status tm_engine_load_classifier(tagmask_engine *engine, tm_cam_head *head, tm_error *err);
void tm_engine_free_networks(tagmask_engine *engine);
// The position among the graph's outputs; SIZE_MAX: it is none.
size_t tm_engine_find_output(const tm_graph *graph, const char *name);

// ---- engine_check.c, for the other parts of the engine

// The side of the picture that a network of free size is looked at with.
#define TM_USUAL_SIDE 224u
// Whether photos can pass through the network: its weights are numbers, its input is a picture. Errors: FORMAT,
// UNSUPPORTED.
tagmask_status tm_engine_check_input(const tm_pack *pack, const tm_graph *graph, tm_error *err);
// And whether it has the output that the pack names, before `asked_for` others.
tagmask_status tm_engine_check_network(const tm_pack *pack, const tm_graph *graph, size_t asked_for, tm_error *err);
// A pack without a size has the one that its network declares, where it takes no other. Before the first photo.
void tm_engine_settle_size(tm_pack *pack, tm_graph *graph);
// When a network could not be loaded: names the member of pack.json whose layer it has not; `status` where that is not
// the reason.
tagmask_status tm_engine_name_layer(const tm_pack *pack, tagmask_status status, tm_error *err);

#endif
