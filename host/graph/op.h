// What an operator is. One file of host/ops per operator family holds its rules side by side and exports
// `const tm_op tm_ops_FAMILY[]`; host/ops/table.c lists the families, one line each.
#ifndef TM_OP_H
#define TM_OP_H

#include "graph/graph.h"

typedef struct tm_node tm_node;
typedef struct tm_op tm_op;
typedef struct tm_backward tm_backward;

// Activation fused into the producer (conv, gemm, add, batch norm): applied after bias and residual.
typedef enum tm_act {
    TM_ACT_NONE = 0,
    TM_ACT_RELU,
    TM_ACT_CLIP,
    TM_ACT_LEAKY,
    TM_ACT_HARDSWISH,
    TM_ACT_SIGMOID,
    TM_ACT_SILU
} tm_act;
typedef struct tm_fused {
    tm_act act;
    float a, b;        // clip: min, max; leaky: slope
    int32_t residual;  // index of the node input added before the activation; -1: none
} tm_fused;
// What the fusion pass may put into a node's tm_fused (tm_op.fuses). A fused residual has exactly the shape of output 0
// and is appended as the node's last input; Conv, ConvTranspose and Gemm then always have it at index 3 (an absent bias
// is input 2 with value -1: ctx->in[2].dtype is TM_DTYPE_NONE).
#define TM_FUSES_ACT 1u
#define TM_FUSES_RESIDUAL 2u

// ---- Attributes (from the file, or set by a pass). Getters return the default when the attribute is absent.
int64_t tm_attr_int(const tm_node *node, const char *name, int64_t otherwise);
float tm_attr_float(const tm_node *node, const char *name, float otherwise);
const char *tm_attr_string(const tm_node *node, const char *name, const char *otherwise);
const int64_t *tm_attr_ints(const tm_node *node, const char *name, size_t *count);  // NULL and 0 when absent
const float *tm_attr_floats(const tm_node *node, const char *name, size_t *count);
const tm_host_tensor *tm_attr_tensor(const tm_node *node, const char *name);
bool tm_attr_has(const tm_node *node, const char *name);

struct tm_node {
    const tm_op *op;
    const char *name;  // from the file, or "OpType_index"
    const char *op_type;
    int64_t opset;                     // version of the default domain the model imports
    size_t input_count, output_count;  // trailing absent inputs are dropped; an absent middle input has value -1
    int32_t *inputs, *outputs;         // value indices
    tm_fused fused;
    struct tm_attr *attrs;
    size_t attr_count;
    bool backward;   // made by a gradient rule; such nodes come after all others
    void *prepared;  // owned by the op: what `prepare` made (packed weights); freed by `release`
};

// What the rules of a node see of one plan. Index i is the node's i-th input or output.
typedef struct tm_op_ctx {
    tm_gpu *gpu;
    tm_node *node;
    size_t input_count, output_count;
    // For shape and fold: dtype and shape are known for inputs; `in[i].data` is non-NULL when input i is a host value
    // (constants and what derives from shapes). in[i].dtype is TM_DTYPE_NONE for an absent optional input.
    // shape() fills out[i].dtype and out[i].shape. fold() is called with out[i] shaped and data allocated.
    tm_host_tensor *in, *out;
    // For record: device tensors. Inputs that are host values and are consumed by a GPU node were uploaded (as words).
    tm_tensor *gin, *gout;
    struct tm_plan *plan;    // NULL while loading
    struct tm_graph *graph;  // for tm_op_alloc_weights
    void *arena;             // tm_arena of the plan for scratch host data in shape/fold
    // Filled by shape() when the op wants device scratch memory during record (bytes; given as `scratch`).
    uint64_t scratch_bytes;
    tm_slice scratch;
    double flops;    // filled by shape(): multiply-adds count as two
    int32_t choice;  // filled by shape(), for cut() and record(): which of its ways the operator takes in this plan
    bool view;       // filled by shape(): output 0 is input 0 in this plan, as with tm_op.is_view
    // Filled by shape() when a value that is not known before the network runs can make the operator fail: the message.
    // A shader reports that by writing a 1 into the word `alarm` (graph/alarm.c).
    const char *alarm_text;
    tm_slice alarm;
    // For record of a piece (see tm_cut): where the piece starts on each axis. gin and gout are the piece's, with its
    // shapes and only its bytes; in and out stay those of the whole operator. NULL: nothing was cut.
    const int64_t *first;
} tm_op_ctx;

// ---- Cutting. A device binds a limited number of bytes at once (info.max_storage_range). An operator with larger
// tensors is recorded several times, each time on a piece: ranges along some of its axes. Pieces that do not lie in
// memory as the operator expects them, or start where nothing can be bound, are copied from and to scratch memory.

// An axis along which the outputs fall into parts that do not need each other.
typedef struct tm_cut_axis {
    int64_t extent, grain;  // of the outputs; parts start at multiples of grain
    // div > 0: outputs a to b - 1 need of input 0 the elements floor((a * mul + low) / div) to
    // floor(((b - 1) * mul + high) / div), as far as they exist. div 0: all tensors have the axis as it is.
    int64_t mul, div, low, high;
} tm_cut_axis;

#define TM_CUT_HIDDEN 3
typedef struct tm_cut {
    bool itself;   // record() binds parts on its own, whatever the tensors' sizes
    uint32_t own;  // bit i: only input i is bound in parts by record()
    size_t axis_count;
    tm_cut_axis axis[TM_MAX_RANK];  // preferred ones first
    int8_t (*dim)[TM_MAX_RANK];     // [inputs, then outputs][axis]: the dimension that is the axis; -1: none
    // What record() binds besides tensors: bytes of the whole, and the axes (bits) with which they shrink.
    struct {
        uint64_t bytes;
        uint32_t axes;
    } hidden[TM_CUT_HIDDEN];
} tm_cut;
// Adds an axis that no tensor follows yet; returns its index.
size_t tm_cut_add(tm_cut *cut, int64_t extent, int64_t grain);

struct tm_op {
    const char *type;    // ONNX op_type
    const char *domain;  // "" for the default domain
    int since, until;    // opset versions handled, inclusive; until 0: current
    // Required: checks attributes and inputs (counts, dtypes, ranks; every value from the file is hostile), infers
    // outputs.
    tagmask_status (*shape)(tm_op_ctx *ctx, tm_error *err);
    // Optional: computes outputs on the host when every input is a host value (needed for all shape arithmetic).
    tagmask_status (*fold)(tm_op_ctx *ctx, tm_error *err);
    // Bit i set: input i must be a host value in shape() (Reshape's shape, Resize's sizes, Slice's starts, Pad's pads,
    // axes...). It is never uploaded, and a graph input that reaches it is asked for as host data when planning.
    uint32_t host_inputs;
    // Bit i set: only the shape and dtype of input i count. Its elements are not kept for the operator, nor computed.
    uint32_t shape_inputs;
    bool fold_from_shapes;  // fold() needs only the inputs' shapes and dtypes: Shape, Size
    // Optional: layouts. Called after shape(); for each input and output says TM_LINEAR or TM_C4. `wanted_in` arrives
    // holding the layouts the producers chose. NULL: everything linear. The planner inserts conversions where they
    // disagree.
    void (*layout)(tm_op_ctx *ctx, tm_layout *in, tm_layout *out);
    // Optional: bit i set = output 0 may alias input i's memory (same layout and bytes): reshape-like (no dispatch is
    // recorded then) when `is_view`, or computed in place when the input dies here.
    uint32_t alias_inputs;
    bool is_view;
    // Optional: once per load, after the passes, if every present input whose bit is set in constant_inputs is a
    // constant: packs weights into device buffers (node->prepared). Constant inputs are host tensors in ctx->in; those
    // of constant_inputs are not uploaded separately then. Otherwise node->prepared stays NULL and all inputs are
    // bound.
    tagmask_status (*prepare)(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err);
    void (*release)(tm_node *node);
    uint32_t constant_inputs;
    // Optional: how the operator can be cut into pieces: lists axes and which dimension of each tensor follows them
    // (all of cut is zero, dim -1). May read in and out, not gin and gout. NULL: not at all.
    void (*cut)(tm_op_ctx *ctx, tm_cut *cut);
    uint32_t fuses;  // TM_FUSES_ bits the op honours in its record rule (a fold rule never sees a fused node)
    // Required unless is_view or host-only: records the dispatches. Changes nothing in the node: ctx->node may be a
    // copy that belongs to the plan (a residual is fused, if the shapes allow it, when a plan is made).
    tagmask_status (*record)(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err);
    // Optional: appends nodes that compute the gradients of the inputs from those of the outputs (graph/gradient.h).
    // Runs when a network is loaded for its gradients, after constants are folded and before any other pass; shapes are
    // not known then. NULL: nothing can be differentiated through the operator.
    void (*gradient)(tm_backward *back);
};

// The domain of operators that only gradient rules make; a model that names it is refused.
#define TM_GRADIENT_DOMAIN "tagmask.gradient"

// The table. NULL when the operator or its opset is not supported; *known tells whether the op_type exists at any
// version.
const tm_op *tm_op_find(const char *domain, const char *type, int64_t opset, bool *known);

// Sub-allocates device memory that lives as long as the graph, for prepare(): packed weights of many nodes share few
// buffers. The slice starts at buffer_alignment; nothing is freed by release() for it.
tagmask_status tm_op_alloc_weights(tm_op_ctx *ctx, uint64_t size, tm_slice *slice, tm_error *err);
// The same with content, of which just `bytes` are read: the slice is rounded up.
tagmask_status tm_op_upload(tm_op_ctx *ctx, const void *data, uint64_t bytes, tm_slice *slice, tm_recorder *recorder,
                            tm_error *err);

// Constant weights on the device.
typedef struct tm_weights {
    tm_slice slice;  // buffer NULL: none
    bool half;       // 16-bit floats
} tm_weights;
// For prepare(): uploads weights, as 16-bit floats where the graph was loaded so, their number is even and they stay
// what they are, up to the rounding of a half: see weights.c.
tagmask_status tm_op_upload_weights(tm_op_ctx *ctx, const float *values, size_t count, tm_weights *weights,
                                    tm_recorder *recorder, tm_error *err);
// Whether the graph was loaded to hold its weights as 16-bit floats.
bool tm_op_wants_halves(const tm_op_ctx *ctx);

// Errors of rules: prefixes node name, operator and opset: "node 'x' (Conv, opset 11): ...".
tagmask_status tm_op_fail(const tm_op_ctx *ctx, tm_error *err, tagmask_status code, const char *format, ...)
    TM_PRINTF(4, 5);

#endif
