// The order of the passes, the small ones, and what they share. A pass rewires inputs and constants; nodes that nothing
// reads any more are removed at the end.
#include <stdlib.h>
#include <string.h>

#include "graph/internal.h"

tagmask_status tm_run_passes(tm_graph *graph, tm_error *err) {
    TM_TRY(tm_pass_fold_constants(graph, err));
    TM_TRY(tm_find_biases(graph, err));  // before others merge or change them
    tm_pass_remove_identities(graph);
    TM_TRY(tm_pass_remove_dead(graph, err));
    TM_TRY(tm_pass_fold_affine(graph, err));
    TM_TRY(tm_pass_remove_dead(graph, err));
    TM_TRY(tm_pass_fuse_activations(graph, err));
    return tm_pass_remove_dead(graph, err);
}

// ---- Uses.
tagmask_status tm_uses_find(const tm_graph *graph, tm_uses *uses, tm_error *err) {
    uses->count = tm_calloc(graph->value_count, sizeof *uses->count);
    uses->reader = tm_calloc(graph->value_count, sizeof *uses->reader);
    if (!uses->count || !uses->reader) {
        tm_uses_free(uses);
        return tm_memory_fail(err);
    }
    for (size_t n = 0; n < graph->node_count; n++) {
        for (size_t i = 0; i < graph->nodes[n].input_count; i++) {
            int32_t value = graph->nodes[n].inputs[i];
            if (value < 0) continue;
            uses->count[value]++;
            uses->reader[value] = (int32_t)n;
        }
    }
    return TAGMASK_OK;
}

void tm_uses_free(tm_uses *uses) {
    free(uses->count);
    free(uses->reader);
    *uses = (tm_uses){0};
}

tm_node *tm_only_reader(const tm_graph *graph, const tm_uses *uses, int32_t value) {
    if (value < 0 || graph->values[value].output || uses->count[value] != 1) return NULL;
    return &graph->nodes[uses->reader[value]];
}

const tm_value *tm_constant_input(const tm_graph *graph, const tm_node *node, size_t i) {
    if (i >= node->input_count || node->inputs[i] < 0) return NULL;
    const tm_value *value = &graph->values[node->inputs[i]];
    return value->data && !value->kept ? value : NULL;
}

// ---- Constant folding: what depends on constants only is computed once, now.
static tagmask_status fold_node(tm_graph *graph, tm_node *node, size_t *total, tm_error *err) {
    for (size_t i = 0; i < node->input_count; i++)
        if (node->inputs[i] >= 0 && (!graph->values[node->inputs[i]].data || graph->values[node->inputs[i]].kept))
            return TAGMASK_OK;
    if (!node->op->fold) return TAGMASK_OK;
    tm_op_ctx *ctx = tm_make_ctx(&graph->arena, graph->gpu, node, err);
    if (!ctx) return TAGMASK_ERROR_MEMORY;
    ctx->graph = graph;
    for (size_t i = 0; i < node->input_count; i++) {
        if (node->inputs[i] < 0) continue;
        const tm_value *value = &graph->values[node->inputs[i]];
        ctx->in[i] = (tm_host_tensor){value->dtype, value->shape, value->data};
    }
    size_t before = graph->arena.total;
    bool folded;
    TM_TRY(tm_evaluate(ctx, true, &folded, err));
    *total += graph->arena.total - before;
    if (*total > TM_FOLD_TOTAL_MAX)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "the model's computed constants take more than %zu MiB",
                          TM_FOLD_TOTAL_MAX >> 20);
    for (size_t i = 0; folded && i < node->output_count; i++) {
        if (node->outputs[i] < 0) continue;
        tm_value *value = &graph->values[node->outputs[i]];
        value->dtype = ctx->out[i].dtype;
        value->shape = ctx->out[i].shape;
        value->data = ctx->out[i].data;
        value->producer = -1;
    }
    return TAGMASK_OK;
}

tagmask_status tm_pass_fold_constants(tm_graph *graph, tm_error *err) {
    size_t total = 0, constants = 0, count;
    for (size_t i = 0; i < graph->value_count; i++) {
        if (graph->values[i].data && tm_shape_count(&graph->values[i].shape, &count)) constants += count;
    }
    graph->most_folded = TM_FOLD_ELEMENTS + TM_FOLD_REPEATS * constants;
    for (size_t n = 0; n < graph->node_count; n++) TM_TRY(fold_node(graph, &graph->nodes[n], &total, err));
    return TAGMASK_OK;
}

// ---- Identity and inference-time Dropout: their readers read their input instead.
void tm_pass_remove_identities(tm_graph *graph) {
    for (size_t n = 0; n < graph->node_count; n++) {
        tm_node *node = &graph->nodes[n];
        for (size_t i = 0; i < node->input_count; i++) {
            // Nodes are in order, so what an identity reads has been replaced already: one step is enough.
            const tm_value *value = node->inputs[i] < 0 ? NULL : &graph->values[node->inputs[i]];
            const tm_node *producer = value && value->producer >= 0 ? &graph->nodes[value->producer] : NULL;
            if (!producer || *producer->op->domain || producer->inputs == NULL || !producer->input_count) continue;
            bool identity = !strcmp(producer->op_type, "Identity") ||
                            (!strcmp(producer->op_type, "Dropout") && producer->outputs[0] == node->inputs[i] &&
                             producer->input_count < 3);
            if (identity) node->inputs[i] = producer->inputs[0];
        }
    }
}

// ---- Dead code: nodes and inputs that no output needs.
tagmask_status tm_pass_remove_dead(tm_graph *graph, tm_error *err) {
    bool *needed = tm_calloc(graph->value_count, sizeof *needed);
    if (!needed) return tm_memory_fail(err);
    tagmask_status status = TAGMASK_OK;
    for (size_t i = 0; i < graph->output_count; i++) needed[graph->outputs[i]] = true;
    for (size_t n = graph->node_count; n-- > 0;) {
        tm_node *node = &graph->nodes[n];
        bool alive = false;
        for (size_t i = 0; i < node->output_count; i++)
            alive = alive || (node->outputs[i] >= 0 && needed[node->outputs[i]] &&
                              graph->values[node->outputs[i]].producer == (int32_t)n);
        if (!alive) node->op = NULL;
        // What a pass made part of another node never meets its shape rule.
        if (!alive && status == TAGMASK_OK) status = tm_check_attributes(node, err);
        for (size_t i = 0; alive && i < node->input_count; i++)
            if (node->inputs[i] >= 0) needed[node->inputs[i]] = true;
    }
    free(needed);
    if (status != TAGMASK_OK) return status;
    size_t kept = 0;
    for (size_t n = 0; n < graph->node_count; n++) {
        if (!graph->nodes[n].op) continue;
        graph->nodes[kept] = graph->nodes[n];
        for (size_t i = 0; i < graph->nodes[kept].output_count; i++) {
            int32_t value = graph->nodes[kept].outputs[i];
            if (value >= 0 && graph->values[value].producer >= 0) graph->values[value].producer = (int32_t)kept;
        }
        kept++;
    }
    graph->node_count = kept;
    return TAGMASK_OK;
}
