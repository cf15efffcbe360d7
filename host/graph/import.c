// ModelProto -> tm_graph. What the graph needs is copied out of protobuf-c's structs, which are freed at the end.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "graph/internal.h"
#include "graph/names.h"
#include "onnx.pb-c.h"

typedef struct import {
    tm_graph *graph;
    const Onnx__GraphProto *proto;
    const char *folder;
    int64_t opset;
    tm_names names;  // of values
    const Onnx__ModelProto *model;
} import;

// ---- protobuf-c's memory: what the scan computed, with some room, is the most it may take.
typedef struct budget {
    size_t left;
    bool exhausted;  // the machine's memory, not the budget
} budget;

static void *budget_alloc(void *user, size_t size) {
    budget *b = user;
    if (size > b->left) return NULL;
    b->left -= size;
    void *memory = malloc(size);
    b->exhausted |= !memory;
    return memory;
}

static void budget_free(void *user, void *memory) {
    (void)user;
    free(memory);
}

// ---- Small helpers.
static bool is_default_domain(const char *domain) {
    return !domain || !*domain || !strcmp(domain, "ai.onnx");
}

static int32_t add_named(import *im, const char *name, tm_error *err) {
    int32_t index = tm_add_value(im->graph, name);
    if (index < 0 || !tm_names_add(&im->names, im->graph->values[index].name, index)) {
        tm_memory_fail(err);
        return -1;
    }
    return index;
}

static tagmask_status find_opset(import *im, const char *domain, int64_t *version, tm_error *err) {
    *version = 0;
    for (size_t i = 0; i < im->model->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *entry = im->model->opset_import[i];
        bool same = is_default_domain(domain) ? is_default_domain(entry->domain)
                                              : entry->domain && !strcmp(entry->domain, domain);
        if (same && *version && *version != entry->version)
            return tm_fail(err, TAGMASK_ERROR_FORMAT,
                           "the model imports domain '%.100s' twice, as opset %lld and %lld; expected one of them",
                           domain ? domain : "", (long long)*version, (long long)entry->version);
        if (same) *version = entry->version;
    }
    if (is_default_domain(domain) && (*version < TM_OPSET_MIN || *version > TM_OPSET_MAX))
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "the model imports opset %lld of the default domain; opsets %d to %d are supported: convert it "
                       "with the package onnx (onnx.version_converter)",
                       (long long)*version, TM_OPSET_MIN, TM_OPSET_MAX);
    return TAGMASK_OK;
}

// ---- Initializers and inputs.
static bool has_nan(const tm_host_tensor *tensor) {
    const float *values = tensor->data;
    size_t count = 0;
    bool any = false;
    if (tensor->dtype == TM_FLOAT32) tm_shape_count(&tensor->shape, &count);
    for (size_t i = 0; i < count; i++) any |= values[i] != values[i];
    return any;
}

static tagmask_status import_initializers(import *im, tm_error *err) {
    if (im->proto->n_sparse_initializer)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "the model has sparse initializers, which are not supported");
    for (size_t i = 0; i < im->proto->n_initializer; i++) {
        const Onnx__TensorProto *proto = im->proto->initializer[i];
        const char *name = proto->name ? proto->name : "";
        if (!*name) return tm_fail(err, TAGMASK_ERROR_FORMAT, "initializer %zu has no name", i);
        if (tm_names_find(&im->names, name) >= 0)
            return tm_fail(err, TAGMASK_ERROR_FORMAT, "two initializers are named '%.200s'; names must be unique",
                           name);
        char what[256];
        snprintf(what, sizeof what, "initializer '%.200s'", name);
        tm_host_tensor tensor;
        TM_TRY(tm_import_tensor(&im->graph->arena, proto, im->folder, what, &tensor, err));
        int32_t index = add_named(im, name, err);
        if (index < 0) return TAGMASK_ERROR_MEMORY;
        tm_value *value = &im->graph->values[index];
        value->dtype = tensor.dtype;
        value->shape = tensor.shape;
        value->data = tensor.data;
        if (!im->graph->nan_weight && has_nan(&tensor)) im->graph->nan_weight = value->name;
    }
    return TAGMASK_OK;
}

static tagmask_status read_declared(const Onnx__ValueInfoProto *info, const char *kind, tm_dtype *dtype,
                                    tm_shape *shape, tm_error *err) {
    *dtype = TM_DTYPE_NONE;
    shape->rank = -1;
    if (!info->type || info->type->value_case == ONNX__TYPE_PROTO__VALUE__NOT_SET) return TAGMASK_OK;
    if (info->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !info->type->tensor_type)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "%s '%.200s' is not a dense tensor", kind, info->name);
    const Onnx__TypeProto__Tensor *tensor = info->type->tensor_type;
    *dtype = tm_host_dtype(tensor->elem_type);
    if (*dtype == TM_DTYPE_NONE)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "%s '%.200s' has data type %d, which is not supported", kind,
                       info->name, tensor->elem_type);
    if (!tensor->shape) return TAGMASK_OK;
    if (tensor->shape->n_dim > TM_MAX_RANK)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "%s '%.200s' has %zu dimensions; at most %d are supported", kind,
                       info->name, tensor->shape->n_dim, TM_MAX_RANK);
    shape->rank = (int32_t)tensor->shape->n_dim;
    for (int32_t i = 0; i < shape->rank; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = tensor->shape->dim[i];
        bool fixed = dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && dim->dim_value >= 0;
        shape->dim[i] = fixed ? dim->dim_value : -1;
    }
    return TAGMASK_OK;
}

static tagmask_status import_inputs(import *im, tm_error *err) {
    tm_graph *graph = im->graph;
    graph->inputs = tm_arena_alloc(&graph->arena, im->proto->n_input * sizeof *graph->inputs);
    graph->input_infos = tm_arena_alloc(&graph->arena, im->proto->n_input * sizeof *graph->input_infos);
    if (!graph->inputs || !graph->input_infos) return tm_memory_fail(err);
    for (size_t i = 0; i < im->proto->n_input; i++) {
        const Onnx__ValueInfoProto *info = im->proto->input[i];
        if (!info->name || !*info->name) return tm_fail(err, TAGMASK_ERROR_FORMAT, "input %zu has no name", i);
        int32_t known = tm_names_find(&im->names, info->name);
        // Before IR version 4 every initializer was listed as an input too; it is a default that nobody overrides here.
        if (known >= 0 && graph->values[known].data) continue;
        if (known >= 0)
            return tm_fail(err, TAGMASK_ERROR_FORMAT, "two inputs are named '%.200s'; names must be unique",
                           info->name);
        tm_value_info declared = {0};
        TM_TRY(read_declared(info, "input", &declared.dtype, &declared.shape, err));
        if (declared.dtype == TM_DTYPE_NONE)
            return tm_fail(err, TAGMASK_ERROR_FORMAT, "input '%.200s' has no data type", info->name);
        int32_t index = add_named(im, info->name, err);
        if (index < 0) return TAGMASK_ERROR_MEMORY;
        tm_value *value = &graph->values[index];
        value->dtype = declared.dtype;
        value->shape = declared.shape;
        value->input = (int32_t)graph->input_count;
        declared.name = value->name;
        graph->inputs[graph->input_count] = index;
        graph->input_infos[graph->input_count++] = declared;
    }
    return TAGMASK_OK;
}

// ---- Nodes.
static void *copy_array(tm_arena *arena, const void *data, size_t count, size_t size) {
    void *copy = tm_arena_alloc(arena, count * size);
    if (copy && count) memcpy(copy, data, count * size);
    return copy;
}

static tagmask_status import_attribute(import *im, const tm_node *node, const Onnx__AttributeProto *proto,
                                       struct tm_attr *attr, tm_error *err) {
    tm_arena *arena = &im->graph->arena;
    attr->name = tm_arena_strdup(arena, proto->name ? proto->name : "");
    attr->kind = TM_ATTR_OTHER;
    bool copied = attr->name != NULL;
    if (proto->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT) {
        attr->kind = TM_ATTR_INT;
        attr->i = proto->i;
    } else if (proto->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT) {
        attr->kind = TM_ATTR_FLOAT;
        attr->f = proto->f;
    } else if (proto->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING) {
        attr->kind = TM_ATTR_STRING;
        char *text = tm_arena_alloc(arena, proto->s.len + 1);  // zeroed: terminated
        if (text && proto->s.len) memcpy(text, proto->s.data, proto->s.len);
        attr->s = text;
        copied = copied && text;
    } else if (proto->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS) {
        attr->kind = TM_ATTR_INTS;
        attr->count = proto->n_ints;
        attr->ints = copy_array(arena, proto->ints, proto->n_ints, sizeof *proto->ints);
        copied = copied && attr->ints;
    } else if (proto->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS) {
        attr->kind = TM_ATTR_FLOATS;
        attr->count = proto->n_floats;
        attr->floats = copy_array(arena, proto->floats, proto->n_floats, sizeof *proto->floats);
        copied = copied && attr->floats;
    } else if (proto->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR && proto->t) {
        char what[512];
        snprintf(what, sizeof what, "attribute '%.100s' of node '%.200s'", attr->name ? attr->name : "", node->name);
        attr->kind = TM_ATTR_TENSOR;
        TM_TRY(tm_import_tensor(arena, proto->t, im->folder, what, &attr->tensor, err));
    }
    return copied ? TAGMASK_OK : tm_memory_fail(err);
}

// No operator of the standard has as many; names are compared each with each.
#define MAX_NODE_ATTRIBUTES 64

static tagmask_status check_attribute_names(const tm_node *node, const Onnx__NodeProto *proto, tm_error *err) {
    if (proto->n_attribute > MAX_NODE_ATTRIBUTES)
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "node '%.200s' (%.100s) has %zu attributes; expected at most %d",
                       node->name, node->op_type, proto->n_attribute, MAX_NODE_ATTRIBUTES);
    for (size_t i = 0; i < proto->n_attribute; i++) {
        const char *name = proto->attribute[i]->name ? proto->attribute[i]->name : "";
        for (size_t j = 0; j < i; j++)
            if (proto->attribute[j]->name && !strcmp(proto->attribute[j]->name, name))
                return tm_fail(err, TAGMASK_ERROR_FORMAT,
                               "node '%.200s' (%.100s) has two attributes named '%.100s'; names must be unique",
                               node->name, node->op_type, name);
    }
    return TAGMASK_OK;
}

static size_t without_trailing_absent(char *const *names, size_t count) {
    while (count && !*names[count - 1]) count--;
    return count;
}

static tagmask_status import_outputs_of_node(import *im, const Onnx__NodeProto *proto, int32_t index, tm_error *err) {
    tm_node *node = &im->graph->nodes[index];
    node->output_count = without_trailing_absent(proto->output, proto->n_output);
    if (!node->output_count) return tm_fail(err, TAGMASK_ERROR_FORMAT, "node '%.200s' has no output", node->name);
    node->outputs = tm_arena_alloc(&im->graph->arena, node->output_count * sizeof *node->outputs);
    if (!node->outputs) return tm_memory_fail(err);
    for (size_t i = 0; i < node->output_count; i++) {
        node->outputs[i] = -1;
        if (!*proto->output[i]) continue;
        if (tm_names_find(&im->names, proto->output[i]) >= 0)
            return tm_fail(err, TAGMASK_ERROR_FORMAT,
                           "node '%.200s' makes '%.200s', which another node, input or initializer makes already",
                           node->name, proto->output[i]);
        node->outputs[i] = add_named(im, proto->output[i], err);
        if (node->outputs[i] < 0) return TAGMASK_ERROR_MEMORY;
        im->graph->values[node->outputs[i]].producer = index;
    }
    return TAGMASK_OK;
}

static tagmask_status import_node(import *im, const Onnx__NodeProto *proto, int32_t index, tm_error *err) {
    tm_arena *arena = &im->graph->arena;
    tm_node *node = &im->graph->nodes[index];
    node->op_type = tm_arena_strdup(arena, proto->op_type ? proto->op_type : "");
    char name[300];
    snprintf(name, sizeof name, "%.200s_%d", proto->op_type ? proto->op_type : "", index);
    node->name = tm_arena_strdup(arena, proto->name && *proto->name ? proto->name : name);
    node->fused = (tm_fused){.residual = -1};
    node->attr_count = proto->n_attribute;
    node->attrs = tm_arena_alloc(arena, proto->n_attribute * sizeof *node->attrs);
    if (!node->op_type || !node->name || !node->attrs) return tm_memory_fail(err);
    TM_TRY(import_outputs_of_node(im, proto, index, err));
    bool known;
    TM_TRY(find_opset(im, proto->domain, &node->opset, err));
    bool own = proto->domain && !strcmp(proto->domain, TM_GRADIENT_DOMAIN);  // not for models
    if (!own)
        node->op =
            tm_op_find(is_default_domain(proto->domain) ? "" : proto->domain, node->op_type, node->opset, &known);
    if (!node->op) return TAGMASK_OK;  // reported together by check_supported
    TM_TRY(check_attribute_names(node, proto, err));
    for (size_t i = 0; i < proto->n_attribute; i++)
        TM_TRY(import_attribute(im, node, proto->attribute[i], &node->attrs[i], err));
    return TAGMASK_OK;
}

static tagmask_status connect_node(import *im, const Onnx__NodeProto *proto, tm_node *node, tm_error *err) {
    node->input_count = without_trailing_absent(proto->input, proto->n_input);
    node->inputs = tm_arena_alloc(&im->graph->arena, node->input_count * sizeof *node->inputs);
    if (!node->inputs) return tm_memory_fail(err);
    for (size_t i = 0; i < node->input_count; i++) {
        node->inputs[i] = *proto->input[i] ? tm_names_find(&im->names, proto->input[i]) : -1;
        if (*proto->input[i] && node->inputs[i] < 0)
            return tm_fail(err, TAGMASK_ERROR_FORMAT,
                           "node '%.200s' (%.100s) reads '%.200s', which no node, input or initializer makes",
                           node->name, node->op_type, proto->input[i]);
    }
    return TAGMASK_OK;
}

static tagmask_status check_supported(const import *im, tm_error *err) {
    const tm_graph *graph = im->graph;
    const tm_node *first = NULL;
    size_t others = 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        if (graph->nodes[i].op) continue;
        if (first)
            others++;
        else
            first = &graph->nodes[i];
    }
    if (!first) return TAGMASK_OK;
    const Onnx__NodeProto *proto = im->proto->node[first - graph->nodes];
    const char *domain = is_default_domain(proto->domain) ? "" : proto->domain;
    bool known = false;
    if (strcmp(domain, TM_GRADIENT_DOMAIN) != 0) tm_op_find(domain, first->op_type, first->opset, &known);
    char more[64] = "";
    if (others) snprintf(more, sizeof more, " (and %zu more nodes)", others);
    return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                   "node '%.200s': operator %s%s%.100s is not supported%s, opset %lld%s", first->name, domain,
                   *domain ? "." : "", first->op_type, known ? " in this version" : "", (long long)first->opset, more);
}

// ---- Order: depth first over the inputs, in file order, so that a graph that is sorted already keeps its order.
typedef struct frame {
    int32_t node;
    size_t next;  // input to look at
} frame;

typedef struct ordering {
    tm_graph *graph;
    uint8_t *state;  // 0 unseen, 1 on the stack, 2 placed
    frame *stack;
    int32_t *order;
    size_t done;
} ordering;

static tagmask_status visit(ordering *o, int32_t start, tm_error *err) {
    size_t depth = 0;
    o->stack[depth++] = (frame){start, 0};
    o->state[start] = 1;
    while (depth) {
        frame *top = &o->stack[depth - 1];
        const tm_node *node = &o->graph->nodes[top->node];
        if (top->next == node->input_count) {
            o->state[top->node] = 2;
            o->order[o->done++] = top->node;
            depth--;
            continue;
        }
        int32_t value = node->inputs[top->next++];
        int32_t producer = value < 0 ? -1 : o->graph->values[value].producer;
        if (producer < 0 || o->state[producer] == 2) continue;
        if (o->state[producer] == 1)
            return tm_fail(err, TAGMASK_ERROR_FORMAT, "node '%.200s' (%.100s) is part of a cycle",
                           o->graph->nodes[producer].name, o->graph->nodes[producer].op_type);
        o->state[producer] = 1;
        o->stack[depth++] = (frame){producer, 0};
    }
    return TAGMASK_OK;
}

static tagmask_status order_nodes(tm_graph *graph, tm_error *err) {
    size_t n = graph->node_count;
    ordering o = {graph, tm_calloc(n, sizeof *o.state), tm_calloc(n, sizeof *o.stack), tm_calloc(n, sizeof *o.order),
                  0};
    tm_node *sorted = tm_arena_alloc(&graph->arena, n * sizeof *sorted);
    tagmask_status status = o.state && o.stack && o.order && sorted ? TAGMASK_OK : tm_memory_fail(err);
    for (size_t i = 0; status == TAGMASK_OK && i < n; i++)
        if (!o.state[i]) status = visit(&o, (int32_t)i, err);
    for (size_t i = 0; status == TAGMASK_OK && i < n; i++) {
        sorted[i] = graph->nodes[o.order[i]];
        for (size_t j = 0; j < sorted[i].output_count; j++)
            if (sorted[i].outputs[j] >= 0) graph->values[sorted[i].outputs[j]].producer = (int32_t)i;
    }
    if (status == TAGMASK_OK) graph->nodes = sorted;
    free(o.state);
    free(o.stack);
    free(o.order);
    return status;
}

// ---- Outputs.
static tagmask_status no_tensor(const tm_graph *graph, const char *name, tm_error *err) {
    char names[600];
    tm_nearest nearest;
    tm_nearest_begin(&nearest, name, 3);
    for (size_t v = 0; v < graph->value_count; v++) {
        const tm_value *value = &graph->values[v];
        if (value->producer >= 0) tm_nearest_offer(&nearest, value->name, value->name);
    }
    tm_nearest_text(&nearest, names, sizeof names);
    return tm_fail(err, TAGMASK_ERROR_FORMAT,
                   "the model has no tensor '%.200s'%s%.500s%s 'tagmask layers' lists those that it has", name,
                   *names ? "; did you mean " : "", names, *names ? "?" : ";");
}

static tagmask_status add_output(import *im, const char *name, bool asked_for, tm_value_info declared, tm_error *err) {
    tm_graph *graph = im->graph;
    int32_t index = name ? tm_names_find(&im->names, name) : -1;
    if (index < 0 && asked_for) TM_TRY(tm_attention_expose(graph, name ? name : "", &index, err));
    if (index < 0 && asked_for) return no_tensor(graph, name ? name : "", err);
    if (index < 0)
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "output '%.200s' is made by no node of the model", name ? name : "");
    graph->values[index].output = true;
    declared.name = graph->values[index].name;
    graph->outputs[graph->output_count] = index;
    graph->output_infos[graph->output_count++] = declared;
    return TAGMASK_OK;
}

static tagmask_status import_outputs(import *im, const char *const *extra, size_t extra_count, tm_error *err) {
    tm_graph *graph = im->graph;
    size_t count;
    if (!tm_add_size(im->proto->n_output, extra_count, &count)) return tm_memory_fail(err);
    if (!count) return tm_fail(err, TAGMASK_ERROR_FORMAT, "the model has no output");
    graph->outputs = tm_arena_alloc(&graph->arena, count * sizeof *graph->outputs);
    graph->output_infos = tm_arena_alloc(&graph->arena, count * sizeof *graph->output_infos);
    if (!graph->outputs || !graph->output_infos) return tm_memory_fail(err);
    for (size_t i = 0; i < im->proto->n_output; i++) {
        tm_value_info declared = {0};
        const Onnx__ValueInfoProto *info = im->proto->output[i];
        if (!info->name || !*info->name) return tm_fail(err, TAGMASK_ERROR_FORMAT, "output %zu has no name", i);
        TM_TRY(read_declared(info, "output", &declared.dtype, &declared.shape, err));
        TM_TRY(add_output(im, info->name, false, declared, err));
    }
    for (size_t i = 0; i < extra_count; i++) {
        tm_value_info unknown = {.shape = {.rank = -1}};
        TM_TRY(add_output(im, extra[i], true, unknown, err));
    }
    return TAGMASK_OK;
}

static tagmask_status import_graph(import *im, tm_error *err) {
    tm_graph *graph = im->graph;
    const Onnx__GraphProto *proto = im->proto;
    TM_TRY(find_opset(im, "", &im->opset, err));
    TM_TRY(import_initializers(im, err));
    TM_TRY(import_inputs(im, err));
    graph->node_count = proto->n_node;
    graph->nodes = tm_arena_alloc(&graph->arena, proto->n_node * sizeof *graph->nodes);
    if (!graph->nodes) return tm_memory_fail(err);
    for (size_t i = 0; i < proto->n_node; i++) TM_TRY(import_node(im, proto->node[i], (int32_t)i, err));
    for (size_t i = 0; i < proto->n_node; i++) TM_TRY(connect_node(im, proto->node[i], &graph->nodes[i], err));
    return check_supported(im, err);
}

tagmask_status tm_import(tm_graph *graph, const uint8_t *data, size_t size, const char *folder,
                         const char *const *extra_outputs, size_t extra_count, tm_error *err) {
    budget b = {0};
    TM_TRY(tm_prescan(data, size, &b.left, err));
    // The scan counts every element and message; what protobuf-c keeps while it reads is at most as much again.
    if (!tm_mul_size(b.left, 4, &b.left) || !tm_add_size(b.left, 1 << 20, &b.left)) return tm_memory_fail(err);
    ProtobufCAllocator allocator = {budget_alloc, budget_free, &b};
    Onnx__ModelProto *model = onnx__model_proto__unpack(&allocator, size, data);
    if (!model && b.exhausted) return tm_memory_fail(err);
    if (!model) return tm_fail(err, TAGMASK_ERROR_FORMAT, "not a valid ONNX model; export or copy the model again");
import im = {.graph = graph, .proto = model->graph, .folder = folder, .model = model };
    tagmask_status status =
        model->graph ? import_graph(&im, err) : tm_fail(err, TAGMASK_ERROR_FORMAT, "the ONNX model contains no graph");
    if (status == TAGMASK_OK) status = import_outputs(&im, extra_outputs, extra_count, err);
    if (status == TAGMASK_OK) status = order_nodes(graph, err);
    tm_names_free(&im.names);
    onnx__model_proto__free_unpacked(model, &allocator);
    return status;
}
