// Reverse-mode differentiation of a graph (Griewank and Walther, "Evaluating Derivatives", 2008, chapter 3): from the
// output that is differentiated back to the tensors asked for, each node's rule appends nodes that make gradients of
// its inputs from those of its outputs. The result is a graph like any other, which the passes and the planner then
// treat as one: what a gradient reads stays in memory until it is read.
#include "graph/gradient.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "graph/internal.h"

#define STANDARD_OPSET 18  // of the standard operators that rules make

struct tm_backward {
    tm_graph *graph;
    const tm_node *node;
    bool *depends;   // by value of the model: on a tensor asked for
    int32_t *given;  // by value of the model: its gradient so far, -1: none
    size_t value_count;
    tm_node *made;
    size_t made_count, made_capacity;
    tagmask_status status;
    tm_error *err;
};

static void stop(tm_backward *back, tagmask_status status) {
    if (back->status == TAGMASK_OK) back->status = status;
}

static void stop_memory(tm_backward *back) {
    if (back->status == TAGMASK_OK) back->status = tm_memory_fail(back->err);
}

// ---- What rules read.
const tm_node *tm_back_node(const tm_backward *back) {
    return back->node;
}

int32_t tm_back_in(const tm_backward *back, size_t i) {
    return i < back->node->input_count ? back->node->inputs[i] : -1;
}

int32_t tm_back_out(const tm_backward *back, size_t i) {
    return i < back->node->output_count ? back->node->outputs[i] : -1;
}

int32_t tm_back_from(const tm_backward *back, size_t i) {
    int32_t out = tm_back_out(back, i);
    return out < 0 ? -1 : back->given[out];
}

bool tm_back_wants(const tm_backward *back, size_t i) {
    int32_t in = tm_back_in(back, i);
    return in >= 0 && back->depends[in];
}

bool tm_back_constant(const tm_backward *back, int32_t value, tm_host_tensor *tensor) {
    const tm_value *v = value < 0 ? NULL : &back->graph->values[value];
    if (!v || !v->data || v->kept) return false;
    *tensor = (tm_host_tensor){v->dtype, v->shape, v->data};
    return true;
}

const tm_node *tm_back_producer(const tm_backward *back, int32_t value) {
    int32_t n = value < 0 ? -1 : back->graph->values[value].producer;
    size_t forward = back->graph->node_count;
    if (n < 0) return NULL;
    return (size_t)n < forward ? &back->graph->nodes[n] : &back->made[(size_t)n - forward];
}

// ---- Nodes that rules make.
static bool make_output(tm_backward *back, tm_node *node, size_t i) {
    char name[400];
    snprintf(name, sizeof name, "%s/%zu", node->name, i);
    int32_t value = tm_add_value(back->graph, name);
    if (value < 0) return false;
    back->graph->values[value].producer = (int32_t)(back->graph->node_count + back->made_count);
    node->outputs[i] = value;
    return true;
}

static bool fill_node(tm_backward *back, tm_node *node, const char *type, const int32_t *inputs, size_t count,
                      size_t output_count) {
    tm_arena *arena = &back->graph->arena;
    char name[400];
    snprintf(name, sizeof name, "gradient %zu of '%.200s' (%.60s)", back->made_count, back->node->name, type);
    while (count && inputs[count - 1] < 0) count--;
    node->name = tm_arena_strdup(arena, name);
    node->op_type = tm_arena_strdup(arena, type);
    node->inputs = tm_arena_alloc(arena, count * sizeof *node->inputs);
    node->outputs = tm_arena_alloc(arena, output_count * sizeof *node->outputs);
    if (!node->name || !node->op_type || !node->inputs || !node->outputs) return false;
    if (count) memcpy(node->inputs, inputs, count * sizeof *inputs);
    node->input_count = count;
    node->output_count = output_count;
    for (size_t i = 0; i < output_count; i++)
        if (!make_output(back, node, i)) return false;
    return true;
}

// op and opset of the node are set.
static void keep_node(tm_backward *back, tm_node *node, const char *type, const int32_t *inputs, size_t count,
                      int32_t *outputs, size_t output_count) {
    for (size_t i = 0; i < output_count; i++) outputs[i] = -1;
    if (back->status != TAGMASK_OK) return;
    void *made = back->made;
    bool kept = tm_grow(&made, &back->made_capacity, back->made_count + 1, sizeof *back->made);
    back->made = made;
    if (!kept || !fill_node(back, node, type, inputs, count, output_count)) {
        stop_memory(back);
        return;
    }
    back->made[back->made_count++] = *node;
    for (size_t i = 0; i < output_count; i++) outputs[i] = node->outputs[i];
}

void tm_back_add_many(tm_backward *back, const char *type, const int32_t *inputs, size_t count, int32_t *outputs,
                      size_t output_count) {
    tm_node node = {.opset = STANDARD_OPSET, .fused = {.residual = -1}, .backward = true};
    node.op = tm_op_find("", type, node.opset, NULL);
    if (!node.op) {
        node.opset = back->node->opset;
        node.op = tm_op_find(TM_GRADIENT_DOMAIN, type, node.opset, NULL);
    }
    if (!node.op)
        stop(back, tm_fail(back->err, TAGMASK_ERROR_INTERNAL, "a gradient rule made the unknown operator %.60s", type));
    keep_node(back, &node, type, inputs, count, outputs, output_count);
}

int32_t tm_back_add(tm_backward *back, const char *type, const int32_t *inputs, size_t count) {
    int32_t output;
    tm_back_add_many(back, type, inputs, count, &output, 1);
    return output;
}

// ---- Their attributes.
static struct tm_attr *add_attr(tm_backward *back, const char *name, tm_attr_kind kind) {
    if (back->status != TAGMASK_OK) return NULL;
    tm_node *node = &back->made[back->made_count - 1];
    struct tm_attr *attrs = tm_arena_alloc(&back->graph->arena, (node->attr_count + 1) * sizeof *attrs);
    if (!attrs) {
        stop_memory(back);
        return NULL;
    }
    if (node->attr_count) memcpy(attrs, node->attrs, node->attr_count * sizeof *attrs);
    attrs[node->attr_count] = (struct tm_attr){.name = name, .kind = kind};
    node->attrs = attrs;
    return &attrs[node->attr_count++];
}

void tm_back_inherit(tm_backward *back) {
    if (back->status != TAGMASK_OK) return;
    tm_node *node = &back->made[back->made_count - 1];
    // A copy: what a rule asks for as another kind is marked in it.
    struct tm_attr *attrs = tm_arena_alloc(&back->graph->arena, back->node->attr_count * sizeof *attrs);
    if (!attrs) {
        stop_memory(back);
        return;
    }
    if (back->node->attr_count) memcpy(attrs, back->node->attrs, back->node->attr_count * sizeof *attrs);
    node->attrs = attrs;
    node->attr_count = back->node->attr_count;
}

int32_t tm_back_again(tm_backward *back, const int32_t *inputs, size_t count) {
    tm_node node = {.op = back->node->op, .opset = back->node->opset, .fused = {.residual = -1}, .backward = true};
    int32_t output;
    keep_node(back, &node, back->node->op_type, inputs, count, &output, 1);
    tm_back_inherit(back);
    return output;
}

void tm_back_int(tm_backward *back, const char *name, int64_t value) {
    struct tm_attr *attr = add_attr(back, name, TM_ATTR_INT);
    if (attr) attr->i = value;
}

void tm_back_float(tm_backward *back, const char *name, float value) {
    struct tm_attr *attr = add_attr(back, name, TM_ATTR_FLOAT);
    if (attr) attr->f = value;
}

void tm_back_string(tm_backward *back, const char *name, const char *value) {
    struct tm_attr *attr = add_attr(back, name, TM_ATTR_STRING);
    if (!attr) return;
    attr->s = tm_arena_strdup(&back->graph->arena, value);
    if (!attr->s) stop_memory(back);
}

void tm_back_ints(tm_backward *back, const char *name, const int64_t *values, size_t count) {
    struct tm_attr *attr = add_attr(back, name, TM_ATTR_INTS);
    if (!attr) return;
    attr->count = count;
    attr->ints = tm_arena_alloc(&back->graph->arena, count * sizeof *values);
    if (!attr->ints)
        stop_memory(back);
    else if (count)
        memcpy(attr->ints, values, count * sizeof *values);
}

int32_t *tm_back_values(tm_backward *back, size_t count) {
    int32_t *values = tm_arena_alloc(&back->graph->arena, count * sizeof *values);
    if (!values) stop_memory(back);
    return values;
}

static int32_t add_constant(tm_backward *back, tm_dtype dtype, const tm_shape *shape, const void *data, size_t size) {
    if (back->status != TAGMASK_OK) return -1;
    int32_t index = tm_add_constant(back->graph, "constant of a gradient", dtype, shape);
    if (index < 0)
        stop_memory(back);
    else if (size)
        memcpy(back->graph->values[index].data, data, size);
    return index;
}

int32_t tm_back_scalar(tm_backward *back, float value) {
    const tm_shape scalar = {0};
    return add_constant(back, TM_FLOAT32, &scalar, &value, sizeof value);
}

int32_t tm_back_vector(tm_backward *back, const int64_t *values, size_t count) {
    const tm_shape vector = {1, {(int64_t)count}};
    return add_constant(back, TM_INT64, &vector, values, count * sizeof *values);
}

// ---- What rules give.
static void accumulate(tm_backward *back, int32_t to, int32_t value) {
    if (back->status != TAGMASK_OK || value < 0) return;
    back->given[to] = back->given[to] < 0 ? value : TM_BACK(back, "Add", back->given[to], value);
}

void tm_back_give(tm_backward *back, size_t i, int32_t value) {
    if (tm_back_wants(back, i)) accumulate(back, tm_back_in(back, i), value);
}

void tm_back_give_sum(tm_backward *back, size_t i, int32_t value) {
    if (value >= 0) tm_back_give(back, i, TM_BACK(back, "SumLike", value, tm_back_in(back, i)));
}

void tm_back_refuse(tm_backward *back, const char *what) {
    const tm_node *node = back->node;
    stop(back, tm_fail(back->err, TAGMASK_ERROR_UNSUPPORTED,
                       "node '%.200s' (%.60s, opset %lld): its gradient %.200s is not supported", node->name,
                       node->op_type, (long long)node->opset, what));
}

void tm_gradient_zero(tm_backward *back) {
    (void)back;
}

// ---- The tensors of a request.
static tagmask_status find_tensor(const tm_graph *graph, const char *name, int32_t *value, tm_error *err) {
    for (size_t v = 0; v < graph->value_count; v++) {
        *value = (int32_t)v;
        if (!strcmp(graph->values[v].name, name)) return TAGMASK_OK;
    }
    tm_nearest nearest;
    tm_nearest_begin(&nearest, name, 3);
    for (size_t v = 0; v < graph->value_count; v++)
        tm_nearest_offer(&nearest, graph->values[v].name, graph->values[v].name);
    char text[300];
    const char *names = tm_nearest_text(&nearest, text, sizeof text);
    return tm_fail(err, TAGMASK_ERROR_ARGUMENT,
                   "the model has no tensor '%.200s'%s%s%s 'tagmask layers' lists those that it has", name,
                   *names ? "; did you mean " : "", names, *names ? "?" : ";");
}

static tagmask_status find_wanted(tm_graph *graph, const tm_gradient *request, int32_t *of, int32_t *wanted,
                                  tm_error *err) {
    *of = graph->outputs[0];
    if (request->of) TM_TRY(find_tensor(graph, request->of, of, err));
    if (!request->count) return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "no tensor was named to differentiate by");
    for (size_t i = 0; i < request->count; i++) {
        TM_TRY(find_tensor(graph, request->with_respect_to[i], &wanted[i], err));
        const tm_value *value = &graph->values[wanted[i]];
        if ((value->data || value->input >= 0) && value->dtype != TM_FLOAT32)
            return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "tensor '%.200s' is not float32; expected one that is",
                           value->name);
        for (size_t k = 0; k < i; k++)
            if (wanted[k] == wanted[i])
                return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "tensor '%.200s' was named twice", value->name);
    }
    return TAGMASK_OK;
}

// ---- The seed: one more input of the graph.
static bool add_input(tm_graph *graph, int32_t value) {
    size_t n = graph->input_count;
    int32_t *inputs = tm_arena_alloc(&graph->arena, (n + 1) * sizeof *inputs);
    tm_value_info *infos = tm_arena_alloc(&graph->arena, (n + 1) * sizeof *infos);
    if (!inputs || !infos) return false;
    if (n) memcpy(inputs, graph->inputs, n * sizeof *inputs);
    if (n) memcpy(infos, graph->input_infos, n * sizeof *infos);
    tm_value *v = &graph->values[value];
    v->dtype = TM_FLOAT32;
    v->input = (int32_t)n;
    inputs[n] = value;
    infos[n] = (tm_value_info){v->name, v->dtype, v->shape};
    graph->inputs = inputs;
    graph->input_infos = infos;
    graph->input_count = n + 1;
    return true;
}

static void seed(tm_backward *back, int32_t of) {
    char *name = tm_format("gradient of %s", back->graph->values[of].name);
    int32_t value = name ? tm_add_value(back->graph, name) : -1;
    free(name);
    if (value < 0 || !add_input(back->graph, value)) {
        stop_memory(back);
        return;
    }
    // Messages of what is made outside of rules name the output's node, or whatever there is.
    int32_t producer = back->graph->values[of].producer;
    back->node = &back->graph->nodes[producer < 0 ? 0 : producer];
    back->given[of] = TM_BACK(back, "GradientSeed", value, of);
}

// ---- The gradients: further outputs.
static void add_output(tm_backward *back, int32_t value) {
    tm_graph *graph = back->graph;
    int32_t given = TM_BACK(back, "Identity", back->given[value]);
    if (given < 0) return;
    char *name = tm_format("gradient of %s", graph->values[value].name);
    char *kept = name ? tm_arena_strdup(&graph->arena, name) : NULL;
    free(name);
    if (!kept) {
        stop_memory(back);
        return;
    }
    graph->values[given].name = kept;
    graph->values[given].output = true;
    graph->outputs[graph->output_count] = given;
    graph->output_infos[graph->output_count++] = (tm_value_info){kept, TM_FLOAT32, graph->values[value].shape};
}

static void add_outputs(tm_backward *back, const int32_t *wanted, size_t count, int32_t of) {
    tm_graph *graph = back->graph;
    size_t n = graph->output_count;
    int32_t *outputs = tm_arena_alloc(&graph->arena, (n + count) * sizeof *outputs);
    tm_value_info *infos = tm_arena_alloc(&graph->arena, (n + count) * sizeof *infos);
    if (!outputs || !infos) {
        stop_memory(back);
        return;
    }
    memcpy(outputs, graph->outputs, n * sizeof *outputs);
    memcpy(infos, graph->output_infos, n * sizeof *infos);
    graph->outputs = outputs;
    graph->output_infos = infos;
    for (size_t i = 0; i < count && back->status == TAGMASK_OK; i++) {
        if (back->given[wanted[i]] < 0)
            stop(back, tm_fail(back->err, TAGMASK_ERROR_ARGUMENT,
                               "'%.200s' does not depend on '%.200s' in a way that can be differentiated",
                               graph->values[of].name, graph->values[wanted[i]].name));
        else
            add_output(back, wanted[i]);
    }
}

// ---- The walk.
static void mark_depending(tm_backward *back, const int32_t *wanted, size_t count) {
    const tm_graph *graph = back->graph;
    for (size_t i = 0; i < count; i++) back->depends[wanted[i]] = true;
    for (size_t n = 0; n < graph->node_count; n++) {
        const tm_node *node = &graph->nodes[n];
        bool depends = false;
        for (size_t i = 0; i < node->input_count; i++)
            depends = depends || (node->inputs[i] >= 0 && back->depends[node->inputs[i]]);
        for (size_t i = 0; i < node->output_count; i++)
            if (node->outputs[i] >= 0 && depends) back->depends[node->outputs[i]] = true;
    }
}

static void differentiate(tm_backward *back, const tm_node *node) {
    bool reached = false, wanted = false;
    back->node = node;
    for (size_t i = 0; i < node->output_count; i++) reached = reached || tm_back_from(back, i) >= 0;
    for (size_t i = 0; i < node->input_count; i++) wanted = wanted || tm_back_wants(back, i);
    if (!reached || !wanted) return;
    if (node->op->gradient)
        node->op->gradient(back);
    else
        stop(back, tm_fail(back->err, TAGMASK_ERROR_UNSUPPORTED,
                           "node '%.200s' (%.60s, opset %lld): the operator cannot be differentiated, and lies between "
                           "the tensors asked for and what is differentiated",
                           node->name, node->op_type, (long long)node->opset));
}

static void join_nodes(tm_backward *back) {
    tm_graph *graph = back->graph;
    size_t n = graph->node_count;
    tm_node *nodes = tm_arena_alloc(&graph->arena, (n + back->made_count) * sizeof *nodes);
    if (!nodes) {
        stop_memory(back);
        return;
    }
    if (n) memcpy(nodes, graph->nodes, n * sizeof *nodes);
    if (back->made_count) memcpy(nodes + n, back->made, back->made_count * sizeof *nodes);
    graph->nodes = nodes;
    graph->node_count = n + back->made_count;
}

static tagmask_status append(tm_backward *back, const tm_gradient *request, const int32_t *wanted, int32_t of) {
    tm_graph *graph = back->graph;
    for (size_t v = 0; v < back->value_count; v++) back->given[v] = -1;
    mark_depending(back, wanted, request->count);
    if (graph->node_count) seed(back, of);
    // Nodes are in order: when one is reached, all that read its outputs have been.
    for (size_t n = graph->node_count; n-- > 0 && back->status == TAGMASK_OK;) differentiate(back, &graph->nodes[n]);
    if (back->status == TAGMASK_OK) add_outputs(back, wanted, request->count, of);
    if (back->status == TAGMASK_OK) join_nodes(back);
    return back->status;
}

tagmask_status tm_gradient_append(tm_graph *graph, const tm_gradient *request, tm_error *err) {
    tm_backward back = {.graph = graph, .value_count = graph->value_count, .err = err};
    int32_t *wanted = tm_calloc(TM_MAX(request->count, (size_t)1), sizeof *wanted), of;
    back.depends = tm_calloc(graph->value_count, sizeof *back.depends);
    back.given = tm_calloc(graph->value_count, sizeof *back.given);
    tagmask_status status = wanted && back.depends && back.given ? TAGMASK_OK : tm_memory_fail(err);
    if (status == TAGMASK_OK) status = find_wanted(graph, request, &of, wanted, err);
    // Rules want to know constants. Weights that are differentiated by are none: somebody may change them.
    for (size_t i = 0; status == TAGMASK_OK && i < request->count; i++) graph->values[wanted[i]].kept = true;
    if (status == TAGMASK_OK) status = tm_pass_fold_constants(graph, err);
    if (status == TAGMASK_OK) status = append(&back, request, wanted, of);
    graph->repeats = request->repeats;
    free(wanted);
    free(back.depends);
    free(back.given);
    free(back.made);
    return status;
}
