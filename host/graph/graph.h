// Networks: an ONNX file becomes a tm_graph (nodes and values, optimized once); a graph and concrete input shapes
// become a tm_plan (shapes, layouts, memory); a plan is recorded into a tm_recorder as dispatches.
//
// Shapes are decided when a plan is made, never at load: height and width, and shape operands (Resize sizes, Reshape
// targets, Slice bounds), may depend on the inputs' shapes or on integer inputs. A value whose content is known on the
// host at plan time (constants, initializers, Shape and everything computed from it, host inputs) is a *host value*;
// nodes whose inputs are all host values are evaluated on the host by their `fold` rule; the rest run on the GPU.
#ifndef TM_GRAPH_H
#define TM_GRAPH_H

#include "gpu/gpu.h"

#define TM_MAX_RANK 8

typedef enum tm_dtype {  // numbers as in onnx.proto's TensorProto.DataType
    TM_DTYPE_NONE = 0,
    TM_FLOAT32 = 1,
    TM_UINT8 = 2,
    TM_INT8 = 3,
    TM_UINT16 = 4,
    TM_INT16 = 5,
    TM_INT32 = 6,
    TM_INT64 = 7,
    TM_STRING = 8,
    TM_BOOL = 9,
    TM_FLOAT16 = 10,
    TM_FLOAT64 = 11,
    TM_UINT32 = 12,
    TM_UINT64 = 13,
    TM_BFLOAT16 = 16
} tm_dtype;
// On the GPU every element is a 32-bit word: float32, or int32 (integers and bool; int64 is narrowed with a range check
// on upload). float16/float64/bfloat16 weights are converted to float32 at load.

typedef struct tm_shape {
    int32_t rank;
    int64_t dim[TM_MAX_RANK];
} tm_shape;
// Elements; false on negative dimensions, and where those that are not 0 make more than 2^56.
bool tm_shape_count(const tm_shape *shape, size_t *count);
bool tm_shape_equal(const tm_shape *a, const tm_shape *b);
const char *tm_shape_text(const tm_shape *shape, char *buffer, size_t size);  // "1x3x224x224"

// How elements lie in memory.
typedef enum tm_layout {
    TM_LINEAR = 0,  // ONNX order, tightly packed scalars
    TM_C4  // rank 4 (N,C,H,W) as [N][ceil(C/4)][H][W] vec4; the channels that pad C to a multiple of 4 are ZERO:
           // every producer of a C4 tensor must write zeros there and every consumer may rely on it
} tm_layout;
size_t tm_layout_bytes(const tm_shape *shape, tm_layout layout);  // 4-byte elements, padding included

// A tensor on the device.
typedef struct tm_tensor {
    tm_dtype dtype;
    tm_layout layout;
    tm_shape shape;
    tm_slice slice;
} tm_tensor;

// A tensor on the host: linear, in its own dtype (float16/64 already widened/narrowed to float32; int32/64 as stored).
typedef struct tm_host_tensor {
    tm_dtype dtype;
    tm_shape shape;
    void *data;  // owned by whoever documents it
} tm_host_tensor;

typedef struct tm_graph tm_graph;

// How constant weights of convolutions and matrix products lie on the device. Everything is computed in 32 bits.
typedef enum tm_precision { TM_FP32 = 0, TM_FP16 } tm_precision;
// What a caller's options (NULL: none) say; *own, a whole struct, receives them. Errors: ARGUMENT.
tagmask_status tm_load_options_read(const tagmask_load_options *options, tagmask_load_options *own,
                                    tm_precision *precision, tm_error *err);
typedef struct tm_plan tm_plan;

// ---- Loading. Bounded: file <= 2 GiB, nesting, counts and offsets are pre-scanned before protobuf-c sees a byte. An
// operator or opset that is not supported is an error that names node, operator and opset. External data is read only
// from the model's own folder. `extra_outputs` (count may be 0) names inner tensors to keep as outputs besides the
// model's.
tagmask_status tm_graph_load_as(tm_gpu *gpu, tm_precision precision, const char *path, const char *const *extra_outputs,
                                size_t extra_count, tm_graph **graph, tm_error *err);
tagmask_status tm_graph_load_memory_as(tm_gpu *gpu, tm_precision precision, const uint8_t *data, size_t size,
                                       const char *name_for_messages, const char *const *extra_outputs,
                                       size_t extra_count, tm_graph **graph, tm_error *err);
static inline tagmask_status tm_graph_load(tm_gpu *gpu, const char *path, const char *const *extra_outputs,
                                           size_t extra_count, tm_graph **graph, tm_error *err) {
    return tm_graph_load_as(gpu, TM_FP32, path, extra_outputs, extra_count, graph, err);
}
static inline tagmask_status tm_graph_load_memory(tm_gpu *gpu, const uint8_t *data, size_t size,
                                                  const char *name_for_messages, const char *const *extra_outputs,
                                                  size_t extra_count, tm_graph **graph, tm_error *err) {
    return tm_graph_load_memory_as(gpu, TM_FP32, data, size, name_for_messages, extra_outputs, extra_count, graph, err);
}
// The network as far as inner tensors need it: they are its outputs, in the order of the model's own outputs and then
// in theirs.
tagmask_status tm_graph_load_layers(tm_gpu *gpu, tm_precision precision, const char *path, const char *const *layers,
                                    size_t count, tm_graph **graph, tm_error *err);
// The network as far as attention blocks (at least one, names as tm_graph_attentions gives them) need it. Its only
// output, "attention", is the sum over the blocks of the mean of each one's heads, (queries, keys) or with a batch
// before: added up while the network runs, so that the heads of one block at a time are in memory.
tagmask_status tm_graph_load_attention(tm_gpu *gpu, tm_precision precision, const char *path, const char *const *blocks,
                                       size_t count, tm_graph **graph, tm_error *err);
// The network from the inner tensor `from` (float32, rank 4) on, as a network with that one input. dilation: the taps
// of all convolutions with an extent are so many times as far apart. dense: strides of convolutions become 1 and what
// follows them is dilated instead, so that the output is as fine as the input. Pads become half of a kernel's reach.
// UNSUPPORTED when something after the tensor reads what is made before it (a skip connection).
typedef struct tm_tail {
    const char *from;
    uint32_t dilation;  // 1: as in the model
    bool dense;
    tm_precision precision;
    size_t output;  // of the model's: what leads to the others alone is left out, and they become this one
} tm_tail;
tagmask_status tm_graph_load_tail(tm_gpu *gpu, const char *path, const tm_tail *tail, const char *const *extra_outputs,
                                  size_t extra_count, tm_graph **graph, tm_error *err);
// The network with gradients of one of its tensors as further outputs, computed by reverse mode (gradient.c). The graph
// has one more input, the last: "gradient of OF", float32 of that tensor's shape, which says how much each of its
// elements counts (1 at one class's score and 0 elsewhere: the gradient of that score). Its outputs are the model's,
// then the extra ones, then "gradient of NAME" for each tensor of with_respect_to, in the shape of that tensor: inputs
// of the network, inner tensors, or weights. What no output needs is neither computed nor kept. Forward values are
// those of the plain network, up to the rounding that follows from other fusions. At a kink: Relu and Clip have
// derivative 0 at their bounds, Abs 0 at 0; of equal maxima the first counts in Max, Min and MaxPool, and all in equal
// parts in reductions. Errors: ARGUMENT for a tensor that does not exist or that `of` does not depend on, UNSUPPORTED
// (naming the node) for an operator in between that cannot be differentiated.
typedef struct tm_gradient {
    const char *of;  // NULL: output 0
    const char *const *with_respect_to;
    size_t count;
    tm_precision precision;
    bool repeats;  // tm_plan_record_gradient may follow; plans then hold what it reads for longer
} tm_gradient;
tagmask_status tm_graph_load_gradient(tm_gpu *gpu, const char *path, const tm_gradient *gradient,
                                      const char *const *extra_outputs, size_t extra_count, tm_graph **graph,
                                      tm_error *err);
tagmask_status tm_graph_load_gradient_memory(tm_gpu *gpu, const uint8_t *data, size_t size,
                                             const char *name_for_messages, const tm_gradient *gradient,
                                             const char *const *extra_outputs, size_t extra_count, tm_graph **graph,
                                             tm_error *err);
// A weight that the network is differentiated by stays a tensor of its own on the device, linear and in the model's
// shape, which plans read: what recordings write there between runs counts from then on. There once the network was
// planned.
tagmask_status tm_graph_weight(const tm_graph *graph, const char *name, tm_tensor *weight, tm_error *err);
void tm_graph_free(tm_graph *graph);

typedef struct tm_value_info {
    const char *name;
    tm_dtype dtype;
    tm_shape shape;  // rank -1: unknown; dim -1: dynamic
} tm_value_info;
size_t tm_graph_inputs(const tm_graph *graph, const tm_value_info **infos);
size_t tm_graph_outputs(const tm_graph *graph, const tm_value_info **infos);  // model outputs, then extra outputs

// How a tensor that a map can be made of lies.
typedef enum tm_feature_form {
    TM_FORM_PLACES = 0,  // (1, channels, height, width)
    TM_FORM_LAST,        // (1, height, width, channels)
    TM_FORM_TOKENS,      // (1, tokens, channels)
    TM_FORM_UNKNOWN      // (1, channels, tokens), of which no map is made
} tm_feature_form;

// What a CAM needs, found by walking back from an output: Gemm/MatMul(+Add) <- Flatten/Reshape/Squeeze <-
// GlobalAveragePool/ ReduceMean <- features. weight is (classes, channels) row-major, owned by the graph.
// TAGMASK_ERROR_UNSUPPORTED when the graph does not end that way (the message says what was found instead).
typedef struct tm_cam_head {
    const char *features;  // name of the tensor before the pooling: load again with it as extra output
    tm_feature_form form;  // of the features
    const float *weight;
    int64_t classes, channels;
} tm_cam_head;
tagmask_status tm_graph_cam_head(const tm_graph *graph, size_t output, tm_cam_head *head, tm_error *err);

// The probabilities of the network's attention blocks, (batch, heads, queries, keys) or without the batch, in the order
// of computation, at most TM_MAX_ATTENTIONS: names to load as extra outputs, owned by the graph. attention.c says what
// a block is.
#define TM_MAX_ATTENTIONS 64
size_t tm_graph_attentions(const tm_graph *graph, const char *const **names);
// Whether `layer` names the block: the probabilities, or what the operator Attention makes with them.
bool tm_attention_is_of(const char *probabilities, const char *layer);
// The tokens, (1, tokens, channels), that queries and keys of block i are made of by matrices: a transformer's
// features, of which the scores depend on each where later layers count for the class token alone. NULL: they are made
// otherwise.
const char *tm_attention_tokens(const tm_graph *graph, size_t i);

// The constant biases of the network's convolutions and batch normalizations (there what does not depend on the input),
// in the order of computation; owned by the graph. The count tells all, of which the first TM_MAX_BIASES are listed.
#define TM_MAX_BIASES 256
typedef struct tm_bias {
    const char *tensor;  // that it is part of: usable as extra output
    const float *values;
    int64_t channels;
} tm_bias;
size_t tm_graph_biases(const tm_graph *graph, const tm_bias **biases);

// The first of the model's initializers that holds a NaN; NULL: none does. Shaders may lose it on the way.
const char *tm_graph_nan_weight(const tm_graph *graph);

// The tensor whose softmax output i is; the output itself where there is no softmax.
const char *tm_graph_logits(const tm_graph *graph, size_t i);

// ---- Planning. `inputs` gives each graph input's dtype and shape in graph order; data may be NULL for tensors that
// live on the GPU and must be given for integer inputs that decide shapes. Plans are cached in the graph by shapes (and
// by host data); the pointer stays valid until tm_graph_free or until more than `TM_PLAN_CACHE` newer plans were made.
#define TM_PLAN_CACHE 16
tagmask_status tm_graph_plan(tm_graph *graph, const tm_host_tensor *inputs, size_t count, tm_plan **plan,
                             tm_error *err);
// Threads: the arena is one a device, so whoever plans and records holds the device's lock (gpu/handle.h) from
// tm_graph_plan to tm_recorder_finish; tm_graph_run expects the caller to hold it, too.
// Where to write input i before, and where to read output i after the recorded plan. All plans of one device share one
// activation arena, so contents last only until another plan is recorded: record consumers directly after the plan.
// Inputs are TM_LINEAR, are consumed by the recording (write them again before the next one), and have slice.buffer
// NULL when their values were given as host data that decides shapes. Outputs are in whichever layout the tensor says
// (the consumer shader handles C4 or asks for linear through tm_plan_output_linear before recording). An output that is
// a host value has slice.buffer NULL.
tm_tensor tm_plan_input(const tm_plan *plan, size_t i);
tm_tensor tm_plan_output(const tm_plan *plan, size_t i);
const tm_host_tensor *tm_plan_output_host(const tm_plan *plan, size_t i);  // non-NULL if output i is a host value
// Outputs that the caller wants linear: before recording. Changes the plan's memory: ask for tensors afterwards.
tagmask_status tm_plan_output_linear(tm_plan *plan, size_t i, tm_error *err);
tagmask_status tm_plan_record(tm_plan *plan, tm_recorder *recorder, tm_error *err);
// Once more the gradients alone, for another "gradient of OF" (the last input, written before), while the network's
// other inputs are those of the last tm_plan_record, which must have been of this plan: its gradients are consumed by
// then. Of a network that was loaded with tm_gradient.repeats.
tagmask_status tm_plan_record_gradient(tm_plan *plan, tm_recorder *recorder, tm_error *err);
typedef struct tm_plan_stats {
    uint64_t activation_bytes;  // planned arena size
    uint64_t liveness_bytes;    // lower bound: the largest sum of tensors alive at once
    uint64_t weight_bytes;
    double flops;
    size_t dispatches;
} tm_plan_stats;
tm_plan_stats tm_plan_get_stats(const tm_plan *plan);
// Layers by name: every tensor that the plan computes on the device, in order. false beyond the last.
typedef struct tm_layer_info {
    const char *name;     // of the tensor: usable as extra output
    const char *op_type;  // of the operator that makes it
    tm_dtype dtype;
    tm_shape shape;
    tm_feature_form form;
} tm_layer_info;
bool tm_plan_layer(const tm_plan *plan, size_t i, tm_layer_info *layer);
// How output i of the graph, which has that shape, lies, as far as the operators before it tell.
tm_feature_form tm_graph_form(const tm_graph *graph, size_t i, const tm_shape *shape);
// Whether a map can be made of the tensor: it has more than one place, or token (mask/tokens.h).
bool tm_has_features(tm_dtype dtype, const tm_shape *shape, tm_feature_form form);
// What comes nearest to the features before a pooling where there is none: the last layer before the outputs that tells
// several things of several places; after the last attention block, or else the tokens of that. NULL: there is none.
// *unclear: there is nothing but tokens in some order, whose places nobody knows.
const char *tm_plan_last_features(const tm_plan *plan, bool *unclear);

// ---- Convenience for tests, `tagmask run` and `bench`: uploads host inputs, runs, reads back every output as host
// tensors in the ONNX dtype (data malloc'ed; free each with free()). outputs has room for tm_graph_outputs().
tagmask_status tm_graph_run(tm_graph *graph, const tm_host_tensor *inputs, size_t count, tm_host_tensor *outputs,
                            tm_error *err);

#endif
