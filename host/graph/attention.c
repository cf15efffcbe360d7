// Where a network attends: the probabilities of its attention blocks, found without names. A block is the operator
// Attention, or the chain that it stands for: a product of two computed matrices, scaled and masked, softmax, and a
// product of that with a third (Vaswani et al., "Attention Is All You Need", NIPS 2017, equation 1).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/internal.h"

#define PREFIX "probabilities of "
enum { STEPS_MAX = 8 };  // between a product and its softmax

static bool is_op(const tm_node *node, const char *const *types, size_t count) {
    for (size_t i = 0; !*node->op->domain && i < count; i++) {
        if (!strcmp(node->op_type, types[i])) return true;
    }
    return false;
}
#define IS_OP(node, ...) \
    is_op(node, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static bool is_computed(const tm_graph *graph, const tm_node *node, size_t input) {
    return input < node->input_count && node->inputs[input] >= 0 && graph->values[node->inputs[input]].producer >= 0;
}

static bool is_product(const tm_graph *graph, const tm_node *node) {
    return IS_OP(node, "MatMul", "Einsum", "Gemm") && is_computed(graph, node, 0) && is_computed(graph, node, 1);
}

// From the softmax back to the product of queries and keys; NULL: there is none.
static const tm_node *find_product(const tm_graph *graph, int32_t value, int steps) {
    int32_t n = value < 0 ? -1 : graph->values[value].producer;
    if (n < 0 || !steps) return NULL;
    const tm_node *node = &graph->nodes[n], *found = NULL;
    if (is_product(graph, node)) return node;
    if (!IS_OP(node, "Add", "Sub", "Mul", "Div", "Where", "Clip", "Reshape", "Cast", "Identity")) return NULL;
    for (size_t i = 0; i < node->input_count && !found; i++) found = find_product(graph, node->inputs[i], steps - 1);
    return found;
}

// And on to the product with the values.
static bool goes_into_product(const tm_graph *graph, int32_t value, int steps) {
    for (size_t n = 0; steps && n < graph->node_count; n++) {
        const tm_node *node = &graph->nodes[n];
        bool reads = false;
        for (size_t i = 0; i < node->input_count; i++) reads |= node->inputs[i] == value;
        if (!reads) continue;
        if (is_product(graph, node)) return true;
        if (IS_OP(node, "Dropout", "Reshape", "Cast", "Identity", "Where", "Mul") &&
            goes_into_product(graph, node->outputs[0], steps - 1))
            return true;
    }
    return false;
}

// The name of a node's probabilities in the graph's arena; NULL: it has none. *memory is false when there is none left.
static const char *probabilities_of(tm_graph *graph, const tm_node *node, bool *memory) {
    if (node->output_count < 1 || node->outputs[0] < 0) return NULL;
    const char *name = graph->values[node->outputs[0]].name;
    if (IS_OP(node, "Attention")) {
        bool own = node->output_count > 3 && node->outputs[3] >= 0;
        if (own)
            return tm_attr_int(node, "qk_matmul_output_mode", 0) == 3 ? graph->values[node->outputs[3]].name : NULL;
        char *made = tm_arena_alloc(&graph->arena, strlen(PREFIX) + strlen(name) + 1);
        *memory &= made != NULL;
        if (made) strcat(strcpy(made, PREFIX), name);
        return made;
    }
    bool attends = IS_OP(node, "Softmax") && find_product(graph, node->inputs[0], STEPS_MAX) &&
                   goes_into_product(graph, node->outputs[0], 3);
    return attends ? name : NULL;
}

tagmask_status tm_find_attentions(tm_graph *graph, tm_error *err) {
    bool memory = true;
    graph->attentions = tm_arena_alloc(&graph->arena, TM_MAX_ATTENTIONS * sizeof *graph->attentions);
    if (!graph->attentions) return tm_memory_fail(err);
    for (size_t n = 0; n < graph->node_count && graph->attention_count < TM_MAX_ATTENTIONS; n++) {
        const char *name = probabilities_of(graph, &graph->nodes[n], &memory);
        if (name) graph->attentions[graph->attention_count++] = name;
    }
    return memory ? TAGMASK_OK : tm_memory_fail(err);
}

size_t tm_graph_attentions(const tm_graph *graph, const char *const **names) {
    *names = graph->attentions;
    return graph->attention_count;
}

bool tm_attention_is_of(const char *probabilities, const char *layer) {
    size_t prefix = strlen(PREFIX);
    return !strcmp(probabilities, layer) ||
           (!strncmp(probabilities, PREFIX, prefix) && !strcmp(probabilities + prefix, layer));
}

// ---- The tokens that a block attends to

enum { CHAIN_MAX = 24 };

// Whether a value is computed from shapes and constants alone, like the scale of the products in some exports.
static bool is_of_shapes(const tm_graph *graph, int32_t value, int steps) {
    int32_t n = value < 0 ? -1 : graph->values[value].producer;
    if (value >= 0 && graph->values[value].data && n < 0) return true;
    if (n < 0 || !steps) return false;
    const tm_node *node = &graph->nodes[n];
    if (IS_OP(node, "Shape", "Size", "Constant")) return true;
    bool of_shapes = IS_OP(node, "Sqrt", "Cast", "Div", "Mul", "Pow", "Gather", "Slice", "Squeeze", "Unsqueeze",
                           "Reshape", "Reciprocal", "Concat", "Identity");
    for (size_t i = 0; i < node->input_count && of_shapes; i++)
        of_shapes = node->inputs[i] < 0 || is_of_shapes(graph, node->inputs[i], steps - 1);
    return of_shapes;
}

// One step back through what moves numbers, normalizes them or maps them linearly by constants; *product: by a matrix.
// -1: else.
static int32_t step_back(const tm_graph *graph, int32_t value, bool *product) {
    int32_t n = value < 0 ? -1 : graph->values[value].producer;
    const tm_node *node = n < 0 ? NULL : &graph->nodes[n];
    *product = false;
    if (!node || !node->input_count || node->fused.act != TM_ACT_NONE) return -1;
    if (IS_OP(node, "Reshape", "Transpose", "Split", "Slice", "Gather", "Squeeze", "Unsqueeze", "Identity",
              "LayerNormalization", "RMSNormalization"))
        return node->inputs[0];
    bool sum = IS_OP(node, "Add", "Mul", "Div");
    *product = IS_OP(node, "MatMul", "Gemm");
    if ((!sum && !*product) || node->input_count < 2) return -1;
    if (tm_constant_input(graph, node, 1)) return node->inputs[0];
    if (!sum) return -1;
    if (tm_constant_input(graph, node, 0)) return node->inputs[1];
    return is_of_shapes(graph, node->inputs[1], STEPS_MAX) ? node->inputs[0] : -1;
}

static size_t chain_of(const tm_graph *graph, int32_t value, int32_t *values, bool *products) {
    size_t count = 0;
    for (; value >= 0 && count < CHAIN_MAX; count++) {
        values[count] = value;
        value = step_back(graph, value, &products[count]);
    }
    return count;
}

// Where queries and keys part, and before the matrix that makes both of one tensor.
static int32_t common_source(const tm_graph *graph, const int32_t *both) {
    int32_t q[CHAIN_MAX], k[CHAIN_MAX];
    bool by_matrix[CHAIN_MAX], other[CHAIN_MAX], mapped = false;
    size_t queries = chain_of(graph, both[0], q, by_matrix), keys = chain_of(graph, both[1], k, other);
    bool parted = true;
    for (size_t i = 0; i < queries; i++) {
        for (size_t j = 0; j < keys && parted; j++) parted = q[i] != k[j];
        if (!parted && mapped) return q[i];
        mapped |= by_matrix[i];
    }
    return -1;
}

static const tm_node *attending_node(const tm_graph *graph, const char *probabilities) {
    for (size_t n = 0; n < graph->node_count; n++) {
        const tm_node *node = &graph->nodes[n];
        bool has = node->output_count && node->outputs[0] >= 0 && IS_OP(node, "Softmax", "Attention");
        bool own = has && node->output_count > 3 && node->outputs[3] >= 0 &&
                   !strcmp(graph->values[node->outputs[3]].name, probabilities);
        if (own || (has && tm_attention_is_of(probabilities, graph->values[node->outputs[0]].name))) return node;
    }
    return NULL;
}

const char *tm_attention_tokens(const tm_graph *graph, size_t block) {
    const tm_node *node = attending_node(graph, graph->attentions[block]);
    if (node && IS_OP(node, "Softmax")) node = find_product(graph, node->inputs[0], STEPS_MAX);
    int32_t value = node && node->input_count > 1 ? common_source(graph, node->inputs) : -1;
    return value < 0 ? NULL : graph->values[value].name;
}

// ---- The operator's optional output

static bool add_output(tm_graph *graph, tm_node *node, const char *name, int32_t *value) {
    struct tm_attr *attrs = tm_arena_alloc(&graph->arena, (node->attr_count + 1) * sizeof *attrs);
    int32_t *outputs = tm_arena_alloc(&graph->arena, 4 * sizeof *outputs);
    *value = attrs && outputs ? tm_add_value(graph, name) : -1;
    if (*value < 0) return false;
    for (size_t i = 0; i < 4; i++) outputs[i] = i < node->output_count ? node->outputs[i] : -1;
    outputs[3] = *value;
    size_t kept = 0;
    for (size_t i = 0; i < node->attr_count; i++)
        if (strcmp(node->attrs[i].name, "qk_matmul_output_mode")) attrs[kept++] = node->attrs[i];
    attrs[kept] = (struct tm_attr){.name = "qk_matmul_output_mode", .kind = TM_ATTR_INT, .i = 3};
    node->attrs = attrs;
    node->attr_count = kept + 1;
    node->outputs = outputs;
    node->output_count = 4;
    graph->values[*value].producer = (int32_t)(node - graph->nodes);
    return true;
}

tagmask_status tm_attention_expose(tm_graph *graph, const char *name, int32_t *value, tm_error *err) {
    size_t prefix = strlen(PREFIX);
    *value = -1;
    if (strncmp(name, PREFIX, prefix)) return TAGMASK_OK;
    for (size_t n = 0; n < graph->node_count; n++) {
        tm_node *node = &graph->nodes[n];
        bool wanted = IS_OP(node, "Attention") && node->output_count && node->outputs[0] >= 0 &&
                      !strcmp(graph->values[node->outputs[0]].name, name + prefix);
        if (!wanted || (node->output_count > 3 && node->outputs[3] >= 0)) continue;
        return add_output(graph, node, name, value) ? TAGMASK_OK : tm_memory_fail(err);
    }
    return TAGMASK_OK;
}

// ---- The sum of their heads' means

enum { MADE_OPSET = 13 };  // in which ReduceMean has its axes as an attribute

// A node after node `at` that makes a new value of others; the array of nodes has room for it. -1: no memory is left.
static int32_t insert_node(tm_graph *graph, size_t at, const char *type, const int32_t *inputs, size_t count) {
    char name[300];
    (void)snprintf(name, sizeof name, "%s of attention, up to '%.200s'", type, graph->nodes[at].name);
    tm_node made = {.op = tm_op_find("", type, MADE_OPSET, NULL),
                    .name = tm_arena_strdup(&graph->arena, name),
                    .op_type = tm_arena_strdup(&graph->arena, type),
                    .opset = MADE_OPSET,
                    .input_count = count,
                    .output_count = 1,
                    .inputs = tm_arena_alloc(&graph->arena, count * sizeof *made.inputs),
                    .outputs = tm_arena_alloc(&graph->arena, sizeof *made.outputs),
                    .fused = {.residual = -1}};
    int32_t value = tm_add_value(graph, name);
    if (!made.name || !made.op_type || !made.inputs || !made.outputs || value < 0) return -1;
    memcpy(made.inputs, inputs, count * sizeof *inputs);
    made.outputs[0] = value;
    memmove(graph->nodes + at + 2, graph->nodes + at + 1, (graph->node_count - at - 1) * sizeof made);
    graph->nodes[at + 1] = made;
    graph->node_count++;
    for (size_t v = 0; v < graph->value_count; v++)
        if (graph->values[v].producer > (int32_t)at) graph->values[v].producer++;
    graph->values[value].producer = (int32_t)at + 1;
    return value;
}

// The mean of the heads, which are the last dimension but two.
static int32_t mean_of_heads(tm_graph *graph, int32_t probabilities) {
    size_t at = (size_t)graph->values[probabilities].producer;
    struct tm_attr *attrs = tm_arena_alloc(&graph->arena, 2 * sizeof *attrs);
    int64_t *axes = tm_arena_alloc(&graph->arena, sizeof *axes);
    int32_t mean = attrs && axes ? insert_node(graph, at, "ReduceMean", &probabilities, 1) : -1;
    if (mean < 0) return -1;
    *axes = -3;
    attrs[0] = (struct tm_attr){.name = "axes", .kind = TM_ATTR_INTS, .count = 1, .ints = axes};
    attrs[1] = (struct tm_attr){.name = "keepdims", .kind = TM_ATTR_INT, .i = 0};
    graph->nodes[at + 1].attrs = attrs;
    graph->nodes[at + 1].attr_count = 2;
    return mean;
}

tagmask_status tm_attention_mean(tm_graph *graph, tm_error *err) {
    tm_node *nodes = tm_arena_alloc(&graph->arena, (graph->node_count + 2 * graph->output_count) * sizeof *nodes);
    if (!nodes) return tm_memory_fail(err);
    memcpy(nodes, graph->nodes, graph->node_count * sizeof *nodes);
    graph->nodes = nodes;
    int32_t sum = -1;
    for (size_t i = 0; i < graph->output_count; i++) {
        tm_value *probabilities = &graph->values[graph->outputs[i]];
        if (!probabilities->output) continue;  // an output of the model's own, too
        probabilities->output = false;
        int32_t mean = mean_of_heads(graph, graph->outputs[i]);
        if (mean < 0) return tm_memory_fail(err);
        int32_t at = graph->values[mean].producer;
        if (sum >= 0) at = TM_MAX(at, graph->values[sum].producer);
        sum = sum < 0 ? mean : insert_node(graph, (size_t)at, "Add", (const int32_t[]){sum, mean}, 2);
        if (sum < 0) return tm_memory_fail(err);
    }
    graph->values[sum].output = true;
    graph->outputs[0] = sum;
    graph->output_infos[0] = (tm_value_info){"attention", TM_FLOAT32, {.rank = -1}};
    graph->output_count = 1;
    return TAGMASK_OK;
}
