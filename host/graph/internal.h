// What the files of host/graph share. Nothing outside this folder includes it.
#ifndef TM_GRAPH_INTERNAL_H
#define TM_GRAPH_INTERNAL_H

#include "graph/op.h"

#define TM_OPSET_MIN 1
#define TM_OPSET_MAX 28
// One host value (a constant or what is computed from shapes) may not be larger than this.
#define TM_HOST_VALUE_MAX ((size_t)1 << 31)
// What folding may allocate: for one output, for all that the constant-folding pass computes, and for one plan.
#define TM_FOLD_MAX ((size_t)1 << 28)
#define TM_FOLD_TOTAL_MAX ((size_t)1 << 30)
#define TM_PLAN_HOST_MAX ((size_t)1 << 27)
// A few bytes of a file can ask for any number of elements: the pass, and each plan, go through this many and so many
// times the constants of the file, and leave the rest to the device.
#define TM_FOLD_ELEMENTS ((size_t)1 << 24)
#define TM_FOLD_REPEATS 4

typedef enum tm_attr_kind {
    TM_ATTR_INT,
    TM_ATTR_FLOAT,
    TM_ATTR_STRING,
    TM_ATTR_INTS,
    TM_ATTR_FLOATS,
    TM_ATTR_TENSOR,
    TM_ATTR_OTHER  // graphs, types, lists of strings: present, but nothing here reads them
} tm_attr_kind;

struct tm_attr {
    const char *name;
    tm_attr_kind kind;
    bool misread;  // a rule asked for it as another kind, `expected`
    tm_attr_kind expected;
    int64_t i;
    float f;
    const char *s;
    size_t count;
    int64_t *ints;
    float *floats;
    tm_host_tensor tensor;
};

// Fails when a rule asked for an attribute as one kind and the file has it as another: its default would be a wrong
// answer. After the rules of a node have run.
tagmask_status tm_check_attributes(const tm_node *node, tm_error *err);

typedef struct tm_value {
    const char *name;
    tm_dtype dtype;      // of a constant or graph input; TM_DTYPE_NONE: decided when planning
    tm_shape shape;      // of a constant; declared shape of a graph input or output; rank -1: unknown
    void *data;          // constant: linear elements, in the graph's arena; NULL otherwise
    int32_t producer;    // node index; -1: constant or graph input
    int32_t input;       // position among the graph inputs; -1
    bool output;         // one of the graph's outputs: no pass may remove it
    bool kept;           // a constant that stays a tensor on the device: nothing is computed from it beforehand
    bool wanted_host;    // decides shapes: must be known on the host when planning
    tm_slice device[2];  // constant: its copy on the device by layout, made when a plan first needs it
} tm_value;

// Weights of many nodes in few device buffers.
typedef struct tm_weight_pool {
    tm_buffer **buffers;
    size_t count, capacity;
    uint64_t used;   // bytes used of the last buffer
    uint64_t total;  // bytes handed out
    uint64_t chunk;  // size of a buffer unless a request is larger
} tm_weight_pool;

#define TM_MAX_HEADS 4  // outputs beyond are not looked at
struct tm_graph {
    tm_gpu *gpu;  // NULL: shapes only, nothing can be recorded
    tm_precision precision;
    tm_arena arena;
    char *name;              // for messages
    const char *nan_weight;  // the first initializer with a NaN; NULL: none
    tm_value *values;
    size_t value_count, value_capacity;
    tm_node *nodes;  // in topological order
    size_t node_count;
    int32_t *inputs, *outputs;  // value indices
    size_t input_count, output_count;
    tm_value_info *input_infos, *output_infos;
    tm_weight_pool pool;
    bool repeats;                // what is made by gradient rules may be recorded again
    size_t folded, most_folded;  // elements that folding went through since the pass or plan began, and may
    tm_plan *plans;              // most recently used first
    size_t plan_count;
    struct tm_activations *activations;
    // Found at load, by output; features NULL: head_errors says why there is none.
    tm_cam_head heads[TM_MAX_HEADS];
    tm_error head_errors[TM_MAX_HEADS];
    const char **attentions;  // found at load; room for TM_MAX_ATTENTIONS
    size_t attention_count;
    tm_bias *biases;  // found before the passes; room for TM_MAX_BIASES
    size_t bias_count;
};

// ---- prescan.c: walks the protobuf wire format with the descriptors of onnx.proto before protobuf-c allocates.
// Checks nesting, that every field lies inside its parent, and how many messages and bytes protobuf-c will allocate.
tagmask_status tm_prescan(const uint8_t *data, size_t size, size_t *allocation, tm_error *err);

// ---- import.c: a scanned model becomes nodes and values. folder: where external data may lie; NULL: nowhere.
tagmask_status tm_import(tm_graph *graph, const uint8_t *data, size_t size, const char *folder,
                         const char *const *extra_outputs, size_t extra_count, tm_error *err);
// import_tensor.c: TensorProto -> host tensor in the arena. what: "initializer 'x'".
struct Onnx__TensorProto;
tagmask_status tm_import_tensor(tm_arena *arena, const struct Onnx__TensorProto *proto, const char *folder,
                                const char *what, tm_host_tensor *tensor, tm_error *err);
// float16, bfloat16 and float64 live on as float32; TM_DTYPE_NONE for what cannot be held.
tm_dtype tm_host_dtype(int64_t onnx_type);

// ---- passes: rewrite nodes and constants once after the import.
tagmask_status tm_run_passes(tm_graph *graph, tm_error *err);
tagmask_status tm_pass_fold_constants(tm_graph *graph, tm_error *err);
tagmask_status tm_pass_fold_affine(tm_graph *graph, tm_error *err);  // BatchNorm, Mul, Add, Pad into Conv/Gemm
tagmask_status tm_pass_fuse_activations(tm_graph *graph, tm_error *err);
void tm_pass_remove_identities(tm_graph *graph);
tagmask_status tm_pass_remove_dead(tm_graph *graph, tm_error *err);
// Is this node an activation that tm_fused can express on its input 0?
bool tm_match_activation(const tm_graph *graph, const tm_node *node, tm_fused *fused);

// Who reads each value: how often, and the last reader. Recomputed by a pass when it starts and after it rewires.
typedef struct tm_uses {
    uint32_t *count;
    int32_t *reader;  // node index; -1: none
} tm_uses;
tagmask_status tm_uses_find(const tm_graph *graph, tm_uses *uses, tm_error *err);
void tm_uses_free(tm_uses *uses);
// The only node that reads value, if it is read once and is no output; else NULL.
tm_node *tm_only_reader(const tm_graph *graph, const tm_uses *uses, int32_t value);
// Constant data of input i of node; NULL when absent or computed.
const tm_value *tm_constant_input(const tm_graph *graph, const tm_node *node, size_t i);
// A new constant with uninitialized float data in the graph's arena; -1 when out of memory.
int32_t tm_add_constant(tm_graph *graph, const char *name, tm_dtype dtype, const tm_shape *shape);
int32_t tm_add_value(tm_graph *graph, const char *name);
// Makes `node` produce `value` instead of its output 0; the producer of value before that becomes dead.
void tm_take_over(tm_graph *graph, tm_node *node, int32_t value);

// ---- tail.c: for tm_graph_load_tail, between the import and the passes, and after them (Pads are merged by then).
tagmask_status tm_tail_cut(tm_graph *graph, const char *from, tm_error *err);
tagmask_status tm_tail_widen(tm_graph *graph, uint32_t dilation, bool dense, tm_error *err);

// gradient.c: for tm_graph_load_gradient, between the import and the passes.
tagmask_status tm_gradient_append(tm_graph *graph, const tm_gradient *gradient, tm_error *err);

// bias.c
tagmask_status tm_find_biases(tm_graph *graph, tm_error *err);

// attention.c
// feature_form.c
tm_feature_form tm_form_of(const tm_graph *graph, int32_t value, const tm_shape *shape);
tagmask_status tm_find_attentions(tm_graph *graph, tm_error *err);
// For the import: the value of that name, which tm_graph_attentions gives, as one more output of an operator Attention;
// -1 where there is no such operator.
tagmask_status tm_attention_expose(tm_graph *graph, const char *name, int32_t *value, tm_error *err);
// For tm_graph_load_attention, between the import and the passes: the outputs, which are probabilities, become one.
tagmask_status tm_attention_mean(tm_graph *graph, tm_error *err);

// cam_head.c
void tm_find_cam_heads(tm_graph *graph);

// ---- Evaluating one node's shape and fold rules. in[] is filled by the caller.
tm_op_ctx *tm_make_ctx(tm_arena *arena, tm_gpu *gpu, tm_node *node, tm_error *err);
// Runs shape() and checks what it said; then, when all inputs are known, fold(). *folded says whether out[] has data.
tagmask_status tm_evaluate(tm_op_ctx *ctx, bool allow_fold, bool *folded, tm_error *err);

// ---- Device memory.
tagmask_status tm_pool_alloc(tm_graph *graph, uint64_t size, tm_slice *slice, tm_error *err);
void tm_pool_free(tm_graph *graph);
// The arena that all plans of one device share; see arena.c.
typedef struct tm_activations tm_activations;
typedef struct tm_arena_buffer tm_arena_buffer;  // counted reference to one generation of the arena
tagmask_status tm_activations_get(tm_gpu *gpu, tm_activations **activations, tm_error *err);
void tm_activations_release(tm_activations *activations);
tagmask_status tm_activations_reserve(tm_activations *activations, uint64_t size, tm_arena_buffer **buffer,
                                      tm_error *err);  // *buffer: what the caller holds already, or NULL
tm_buffer *tm_arena_buffer_get(const tm_arena_buffer *buffer);
void tm_arena_buffer_release(tm_arena_buffer *buffer);  // NULL allowed
tagmask_status tm_arena_buffer_keep(tm_arena_buffer *buffer, tm_recorder *recorder, tm_error *err);

// ---- Host elements to 32-bit words and back.
tagmask_status tm_to_words(const tm_host_tensor *tensor, uint32_t *words, const char *name, tm_error *err);
void tm_from_words(const uint32_t *words, tm_host_tensor *tensor);  // tensor->data is allocated, dtype and shape set
void tm_words_to_c4(const uint32_t *linear, uint32_t *c4, const tm_shape *shape);
void tm_words_from_c4(const uint32_t *c4, uint32_t *linear, const tm_shape *shape);

void tm_plan_drop_oldest(tm_graph *graph);
tagmask_status tm_memory_fail(tm_error *err);

#endif
