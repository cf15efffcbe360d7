// The last part of a network as a network of its own: from an inner tensor on, perhaps with wider receptive fields made
// of the same weights (dilated convolutions: Yu and Koltun, "Multi-Scale Context Aggregation by Dilated Convolutions",
// ICLR 2016; used for localization by Wei et al., "Revisiting Dilated Convolution", CVPR 2018).
#include <stdlib.h>
#include <string.h>

#include "graph/internal.h"

static tm_node *find_producer(tm_graph *graph, const char *name, int32_t *value) {
    for (size_t n = 0; n < graph->node_count; n++) {
        for (size_t i = 0; i < graph->nodes[n].output_count; i++) {
            *value = graph->nodes[n].outputs[i];
            if (*value >= 0 && !strcmp(graph->values[*value].name, name)) return &graph->nodes[n];
        }
    }
    return NULL;
}

// Where what a value is computed from comes from: bits.
enum { FROM_CUT = 1, FROM_BEFORE = 2 };

// What remains may read nothing that came before the cut. The first node that joins both is a skip connection's end.
static tagmask_status check_origins(const tm_graph *graph, const char *from, uint8_t *origins, tm_error *err) {
    bool any = false;
    for (size_t n = 0; n < graph->node_count; n++) {
        const tm_node *node = &graph->nodes[n];
        const char *before = NULL;
        uint8_t all = 0;
        for (size_t i = 0; i < node->input_count; i++) {
            if (node->inputs[i] < 0) continue;
            all |= origins[node->inputs[i]];
            if (origins[node->inputs[i]] & FROM_BEFORE) before = graph->values[node->inputs[i]].name;
        }
        for (size_t i = 0; i < node->output_count; i++)
            if (node->outputs[i] >= 0) origins[node->outputs[i]] = all;
        any |= before != NULL;
        if (all != (FROM_CUT | FROM_BEFORE)) continue;
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "the network cannot be cut at '%.200s': node '%.200s' (%.100s) after it also reads '%.200s', "
                       "which does not come from it (a skip connection); '%.200s' or a layer after it can be taken",
                       from, node->name, node->op_type, before,
                       node->outputs[0] >= 0 ? graph->values[node->outputs[0]].name : node->name);
    }
    if (!any) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                   "the network cannot be cut at '%.200s': an output does not come from it", from);
}

static tagmask_status check_inputs(const tm_graph *graph, const char *from, tm_error *err) {
    uint8_t *origins = tm_calloc(graph->value_count, sizeof *origins);
    if (!origins) return tm_memory_fail(err);
    for (size_t v = 0; v < graph->value_count; v++) {
        const tm_value *value = &graph->values[v];
        if (!value->data && value->producer < 0 && value->input < 0) origins[v] = FROM_BEFORE;
    }
    origins[graph->inputs[0]] = FROM_CUT;
    tagmask_status status = check_origins(graph, from, origins, err);
    free(origins);
    return status;
}

tagmask_status tm_tail_cut(tm_graph *graph, const char *from, tm_error *err) {
    int32_t cut;
    tm_node *producer = find_producer(graph, from, &cut);
    if (!producer)
        return tm_fail(err, TAGMASK_ERROR_FORMAT,
                       "the model has no tensor '%.200s'; 'tagmask layers' lists those that it has", from);
    for (size_t i = 0; i < graph->input_count; i++) graph->values[graph->inputs[i]].input = -1;
    tm_value *value = &graph->values[cut];
    value->producer = -1;
    value->input = 0;
    value->dtype = TM_FLOAT32;
    value->shape = (tm_shape){4, {-1, -1, -1, -1}};
    // The importer made room for as many inputs as the model has, at least one: something computes the tensor.
    graph->input_count = 1;
    graph->inputs = tm_arena_alloc(&graph->arena, sizeof *graph->inputs);
    graph->input_infos = tm_arena_alloc(&graph->arena, sizeof *graph->input_infos);
    if (!graph->inputs || !graph->input_infos) return tm_memory_fail(err);
    graph->inputs[0] = cut;
    graph->input_infos[0] = (tm_value_info){value->name, value->dtype, value->shape};
    for (size_t i = 0; i < producer->output_count; i++)
        if (producer->outputs[i] == cut) producer->outputs[i] = -1;
    TM_TRY(tm_pass_remove_dead(graph, err));
    return check_inputs(graph, from, err);
}

// ---- Wider receptive fields

static int64_t *set_ints(tm_graph *graph, tm_node *node, const char *name, size_t count) {
    struct tm_attr *attrs = tm_arena_alloc(&graph->arena, (node->attr_count + 1) * sizeof *attrs);
    int64_t *ints = tm_arena_alloc(&graph->arena, count * sizeof *ints);
    if (!attrs || !ints) return NULL;
    size_t kept = 0;
    for (size_t i = 0; i < node->attr_count; i++)
        if (strcmp(node->attrs[i].name, name)) attrs[kept++] = node->attrs[i];
    attrs[kept] = (struct tm_attr){.name = name, .kind = TM_ATTR_INTS, .count = count, .ints = ints};
    node->attrs = attrs;
    node->attr_count = kept + 1;
    return ints;
}

static void drop_attribute(tm_node *node, const char *name) {
    size_t kept = 0;
    for (size_t i = 0; i < node->attr_count; i++)
        if (strcmp(node->attrs[i].name, name)) node->attrs[kept++] = node->attrs[i];
    node->attr_count = kept;
}

// A convolution of two dimensions whose kernel has an extent: its taps move apart by `rate`, its stride becomes 1 where
// that is wanted, and its pads keep the size. *stride: what it had.
static tagmask_status widen(tm_graph *graph, tm_node *node, int64_t rate, bool dense, int64_t *stride, tm_error *err) {
    const tm_value *weight = tm_constant_input(graph, node, 1);
    *stride = 1;
    if (!weight || weight->shape.rank != 4 || (weight->shape.dim[2] == 1 && weight->shape.dim[3] == 1))
        return TAGMASK_OK;
    size_t count;
    const int64_t *given = tm_attr_ints(node, "strides", &count);
    int64_t strides[2] = {count == 2 ? given[0] : 1, count == 2 ? given[1] : 1};
    given = tm_attr_ints(node, "dilations", &count);
    int64_t dilations[2] = {count == 2 ? given[0] : 1, count == 2 ? given[1] : 1};
    bool undone = dense && strides[0] == strides[1];
    if (rate == 1 && !(undone && strides[0] > 1)) return TAGMASK_OK;
    *stride = undone ? strides[0] : 1;
    int64_t *apart = set_ints(graph, node, "dilations", 2), *steps = set_ints(graph, node, "strides", 2),
            *pads = set_ints(graph, node, "pads", 4);
    if (!apart || !steps || !pads) return tm_memory_fail(err);
    drop_attribute(node, "auto_pad");
    for (int axis = 0; axis < 2; axis++) {
        int64_t dilation = dilations[axis] * rate, reach = dilation * (weight->shape.dim[2 + axis] - 1);
        apart[axis] = dilation;
        steps[axis] = undone ? 1 : strides[axis];
        pads[axis] = reach / 2;
        pads[2 + axis] = reach - reach / 2;
    }
    return TAGMASK_OK;
}

tagmask_status tm_tail_widen(tm_graph *graph, uint32_t dilation, bool dense, tm_error *err) {
    int64_t rate = dilation;
    for (size_t n = 0; n < graph->node_count; n++) {
        tm_node *node = &graph->nodes[n];
        int64_t stride = 1;
        if (*node->op->domain || strcmp(node->op_type, "Conv")) continue;
        TM_TRY(widen(graph, node, rate, dense, &stride, err));
        // What follows a stride that was taken out sees the same places as before when its own taps move apart.
        rate *= stride;
    }
    return TAGMASK_OK;
}
