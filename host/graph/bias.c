// The biases of a network's convolutions and batch normalizations, as they are in the file: passes merge them later.
#include <math.h>
#include <string.h>

#include "graph/internal.h"

static const tm_value *constant_row(const tm_graph *graph, const tm_node *node, size_t input, int64_t count) {
    const tm_value *value = tm_constant_input(graph, node, input);
    bool fits = value && value->dtype == TM_FLOAT32 && value->shape.rank == 1 &&
                (count < 0 || value->shape.dim[0] == count) && value->shape.dim[0] > 0;
    return fits ? value : NULL;
}

// Of y = scale (x - mean) / sqrt(variance + epsilon) + shift, what does not depend on x.
static const float *batch_bias(tm_graph *graph, const tm_node *node, int64_t *count) {
    const tm_value *row[4];
    *count = -1;
    for (size_t i = 0; i < 4; i++) {
        row[i] = constant_row(graph, node, i + 1, *count);
        if (!row[i]) return NULL;
        *count = row[i]->shape.dim[0];
    }
    float *bias = tm_arena_alloc(&graph->arena, (size_t)*count * sizeof *bias);
    float epsilon = tm_attr_float(node, "epsilon", 1e-5f);
    const float *scale = row[0]->data, *shift = row[1]->data, *mean = row[2]->data, *variance = row[3]->data;
    for (int64_t k = 0; bias && k < *count; k++) bias[k] = shift[k] - mean[k] * scale[k] / sqrtf(variance[k] + epsilon);
    return bias;
}

tagmask_status tm_find_biases(tm_graph *graph, tm_error *err) {
    graph->biases = tm_arena_alloc(&graph->arena, TM_MAX_BIASES * sizeof *graph->biases);
    if (!graph->biases) return tm_memory_fail(err);
    for (size_t n = 0; n < graph->node_count; n++) {
        const tm_node *node = &graph->nodes[n];
        if (*node->op->domain || !node->output_count || node->outputs[0] < 0) continue;
        tm_bias found = {.tensor = graph->values[node->outputs[0]].name};
        const tm_value *row = NULL;
        if (!strcmp(node->op_type, "Conv")) row = constant_row(graph, node, 2, -1);
        if (row) {
            found.channels = row->shape.dim[0];
            float *copy = tm_arena_alloc(&graph->arena, (size_t)found.channels * sizeof *copy);
            if (!copy) return tm_memory_fail(err);
            found.values = memcpy(copy, row->data, (size_t)found.channels * sizeof *copy);
        }
        if (!strcmp(node->op_type, "BatchNormalization")) found.values = batch_bias(graph, node, &found.channels);
        if (found.values && graph->bias_count < TM_MAX_BIASES) graph->biases[graph->bias_count] = found;
        graph->bias_count += found.values != NULL;
    }
    return TAGMASK_OK;
}

size_t tm_graph_biases(const tm_graph *graph, const tm_bias **biases) {
    *biases = graph->biases;
    return graph->bias_count;
}
