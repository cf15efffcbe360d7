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

static bool turns_back(const tm_node *node) {
    size_t count = 0;
    const int64_t *perm = tm_attr_ints(node, "perm", &count);
    return count == 4 && perm[0] == 0 && perm[1] == 2 && perm[2] == 3 && perm[3] == 1;
}

// Back to what says where the channels are; *left: how many nodes may still be looked at.
static bool has_channels_last(const tm_graph *graph, int32_t value, int *left) {
    int32_t n = value < 0 ? -1 : graph->values[value].producer;
    if (n < 0 || --*left < 0) return false;
    const tm_node *node = &graph->nodes[n];
    if (IS(node, "Transpose")) return turns_back(node);
    if (IS(node, "MatMul", "Gemm")) return node->input_count > 1 && tm_constant_input(graph, node, 1);
    if (IS(node, "LayerNormalization", "RMSNormalization")) {
        int64_t axis = tm_attr_int(node, "axis", -1);
        return axis == -1 || axis == 3;
    }
    bool last = false;
    for (size_t i = 0; is_element_wise(node) && i < node->input_count && !last; i++)
        last = has_channels_last(graph, node->inputs[i], left);
    return last;
}

tm_feature_form tm_form_of(const tm_graph *graph, int32_t value, const tm_shape *shape) {
    int left = NODES_MOST;
    if (shape->rank == 3) return TM_FORM_TOKENS;
    return shape->rank == 4 && has_channels_last(graph, value, &left) ? TM_FORM_LAST : TM_FORM_PLACES;
}

tm_feature_form tm_graph_form(const tm_graph *graph, size_t output, const tm_shape *shape) {
    return tm_form_of(graph, graph->outputs[output], shape);
}

bool tm_has_features(tm_dtype dtype, const tm_shape *shape, tm_feature_form form) {
    if (dtype != TM_FLOAT32 || shape->rank != (form == TM_FORM_TOKENS ? 3 : 4) || shape->dim[0] != 1) return false;
    switch (form) {
        case TM_FORM_TOKENS:
            return shape->dim[1] > 1 && shape->dim[2] > 1;
        case TM_FORM_LAST:
            return shape->dim[1] * shape->dim[2] > 1 && shape->dim[3] > 0;
        default:
            return shape->dim[2] * shape->dim[3] > 1;
    }
}
