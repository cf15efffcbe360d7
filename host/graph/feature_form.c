// How tensors that maps are made of lie: with channels before height and width, as convolutions have them; behind, as
// layer normalization and products with matrices of weights have them (Swin and others); or as tokens.
#include <string.h>

#include "graph/internal.h"

enum { NODES_MOST = 400 };  // that are looked at for one tensor

static bool is_one_of(const tm_node *node, const char *const *types, size_t count) {
    for (size_t i = 0; !*node->op->domain && i < count; i++)
        if (!strcmp(node->op_type, types[i])) return true;
    return false;
}
#define IS(node, ...) \
    is_one_of(node, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static bool is_element_wise(const tm_node *node) {
    return IS(node, "Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "Relu", "Gelu", "Erf", "Tanh", "Sigmoid", "Clip",
              "HardSwish", "HardSigmoid", "LeakyRelu", "Swish", "Identity", "Dropout", "Cast", "Where", "Softplus");
}

// Where a tensor has its channels: behind the batch, or last of all.
typedef enum channels { UNKNOWN = 0, FIRST, LAST } channels;

static channels find(const tm_graph *graph, int32_t value, int *left);

// What the operators before a transposition say of its input decides what it makes.
static channels of_transpose(const tm_graph *graph, const tm_node *node, int *left) {
    static const int64_t to_last[] = {0, 2, 3, 1}, to_first[] = {0, 3, 1, 2};
    size_t count = 0;
    const int64_t *perm = tm_attr_ints(node, "perm", &count);
    if (perm && count == 4 && !memcmp(perm, to_last, sizeof to_last)) return LAST;
    if (perm && count == 4 && !memcmp(perm, to_first, sizeof to_first)) return FIRST;
    bool turned = perm && count == 3 && perm[0] == 0 && perm[1] == 2;
    channels before = turned ? find(graph, node->inputs[0], left) : UNKNOWN;
    return before == FIRST ? LAST : before == LAST ? FIRST : UNKNOWN;
}

// Products with matrices of weights map the last dimension: the channels, unless those are known to be elsewhere.
static channels of_product(const tm_graph *graph, const tm_node *node, int *left) {
    if (node->input_count < 2) return UNKNOWN;
    if (tm_constant_input(graph, node, 1)) return find(graph, node->inputs[0], left) == FIRST ? FIRST : LAST;
    return tm_constant_input(graph, node, 0) ? FIRST : UNKNOWN;
}

// Back to what says where the channels are; *left: how many nodes may still be looked at.
static channels find(const tm_graph *graph, int32_t value, int *left) {
    int32_t n = value < 0 ? -1 : graph->values[value].producer;
    if (n < 0 || --*left < 0) return UNKNOWN;
    const tm_node *node = &graph->nodes[n];
    if (IS(node, "Conv", "ConvTranspose", "BatchNormalization", "InstanceNormalization", "GroupNormalization",
           "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Resize", "PRelu"))
        return FIRST;
    if (IS(node, "Transpose")) return of_transpose(graph, node, left);
    if (IS(node, "MatMul", "Gemm")) return of_product(graph, node, left);
    if (IS(node, "LayerNormalization", "RMSNormalization")) {
        int64_t axis = tm_attr_int(node, "axis", -1);
        return axis == -1 || axis == 3 ? LAST : UNKNOWN;
    }
    bool passes = is_element_wise(node) || IS(node, "Concat"),
         moves = IS(node, "Reshape", "Flatten", "Slice", "Split", "Pad", "Expand", "Gather");
    channels found = UNKNOWN;
    for (size_t i = 0; (passes || (moves && i < 1)) && i < node->input_count && !found; i++)
        found = find(graph, node->inputs[i], left);
    return found;
}

tm_feature_form tm_form_of(const tm_graph *graph, int32_t value, const tm_shape *shape) {
    int left = NODES_MOST;
    channels where = shape->rank == 3 || shape->rank == 4 ? find(graph, value, &left) : UNKNOWN;
    if (shape->rank == 3) return where == FIRST ? TM_FORM_UNKNOWN : TM_FORM_TOKENS;
    return where == LAST ? TM_FORM_LAST : TM_FORM_PLACES;
}

tm_feature_form tm_graph_form(const tm_graph *graph, size_t output, const tm_shape *shape) {
    return tm_form_of(graph, graph->outputs[output], shape);
}

bool tm_has_features(tm_dtype dtype, const tm_shape *shape, tm_feature_form form) {
    if (dtype != TM_FLOAT32 || shape->rank != (form == TM_FORM_TOKENS ? 3 : 4) || shape->dim[0] != 1) return false;
    switch (form) {
        case TM_FORM_UNKNOWN:
            return false;
        case TM_FORM_TOKENS:
            return shape->dim[1] > 1 && shape->dim[2] > 1;
        case TM_FORM_LAST:
            return shape->dim[1] * shape->dim[2] > 1 && shape->dim[3] > 0;
        default:
            return shape->dim[2] * shape->dim[3] > 1;
    }
}
