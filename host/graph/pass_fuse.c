// Activations become part of the node that produces their input, where its record rule can do that (tm_op.fuses).
#include <float.h>
#include <math.h>
#include <string.h>

#include "graph/internal.h"

static bool is_op(const tm_node *node, const char *type) {
    return !*node->op->domain && !strcmp(node->op_type, type);
}

// A bound of Clip: an attribute up to opset 6, a constant input since opset 11.
static bool clip_bound(const tm_graph *graph, const tm_node *node, const char *name, size_t i, float otherwise,
                       float *bound) {
    *bound = tm_attr_float(node, name, otherwise);
    if (node->opset < 11 || i >= node->input_count || node->inputs[i] < 0) return true;
    const tm_value *value = tm_constant_input(graph, node, i);
    size_t count = 0;
    if (!value || value->dtype != TM_FLOAT32 || !tm_shape_count(&value->shape, &count) || count != 1) return false;
    *bound = *(const float *)value->data;
    return true;
}

bool tm_match_activation(const tm_graph *graph, const tm_node *node, tm_fused *fused) {
    tm_fused result = {.residual = -1};
    if (is_op(node, "Relu")) {
        result.act = TM_ACT_RELU;
    } else if (is_op(node, "Clip")) {
        result.act = TM_ACT_CLIP;
        if (!clip_bound(graph, node, "min", 1, -FLT_MAX, &result.a)) return false;
        if (!clip_bound(graph, node, "max", 2, FLT_MAX, &result.b)) return false;
    } else if (is_op(node, "LeakyRelu")) {
        result.act = TM_ACT_LEAKY;
        result.a = tm_attr_float(node, "alpha", 0.01f);
    } else if (is_op(node, "HardSwish")) {
        result.act = TM_ACT_HARDSWISH;
    } else if (is_op(node, "Sigmoid")) {
        result.act = TM_ACT_SIGMOID;
    } else if (is_op(node, "Swish") && tm_attr_float(node, "alpha", 1) == 1) {
        result.act = TM_ACT_SILU;
    } else {
        return false;
    }
    *fused = result;
    return true;
}

// x * gate(x): the two readers of `value` are the gate and the product.
static bool match_gated(const tm_graph *graph, const tm_uses *uses, int32_t value, tm_fused *fused, int32_t *output) {
    if (graph->values[value].output || uses->count[value] != 2) return false;
    const tm_node *product = &graph->nodes[uses->reader[value]];  // the last reader: the product comes after the gate
    if (!is_op(product, "Mul") || product->input_count != 2) return false;
    int32_t gated = product->inputs[product->inputs[0] == value ? 1 : 0];
    if (gated < 0 || gated == value || graph->values[gated].producer < 0) return false;
    const tm_node *gate = &graph->nodes[graph->values[gated].producer];
    if (gate->input_count != 1 || gate->inputs[0] != value || tm_only_reader(graph, uses, gated) != product)
        return false;
    tm_act act = TM_ACT_NONE;
    if (is_op(gate, "Sigmoid")) act = TM_ACT_SILU;
    // HardSwish is x * HardSigmoid(x) with these two constants.
    if (is_op(gate, "HardSigmoid") && fabsf(tm_attr_float(gate, "alpha", 0.2f) - 1.0f / 6) < 1e-6f &&
        tm_attr_float(gate, "beta", 0.5f) == 0.5f)
        act = TM_ACT_HARDSWISH;
    if (act == TM_ACT_NONE) return false;
    *fused = (tm_fused){.act = act, .residual = -1};
    *output = product->outputs[0];
    return true;
}

tagmask_status tm_pass_fuse_activations(tm_graph *graph, tm_error *err) {
    tm_uses uses;
    TM_TRY(tm_uses_find(graph, &uses, err));
    for (size_t n = 0; n < graph->node_count; n++) {
        tm_node *node = &graph->nodes[n];
        int32_t value = node->outputs[0], output;
        if (!(node->op->fuses & TM_FUSES_ACT) || node->output_count != 1 || value < 0) continue;
        if (graph->values[value].producer != (int32_t)n || node->fused.act != TM_ACT_NONE) continue;
        tm_fused fused;
        const tm_node *reader = tm_only_reader(graph, &uses, value);
        if (reader && reader->inputs[0] == value && tm_match_activation(graph, reader, &fused))
            output = reader->outputs[0];
        else if (!match_gated(graph, &uses, value, &fused, &output))
            continue;
        node->fused.act = fused.act;
        node->fused.a = fused.a;
        node->fused.b = fused.b;
        tm_take_over(graph, node, output);
    }
    tm_uses_free(&uses);
    return TAGMASK_OK;
}
