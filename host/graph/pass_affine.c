// Per-channel scale and shift after a convolution or Gemm becomes part of its weights: BatchNormalization (Ioffe and
// Szegedy 2015, at inference an affine map), and Mul, Div, Add, Sub by constants. Zero padding before a convolution
// becomes its pads.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/internal.h"

typedef struct affine {
    size_t channels;
    int32_t rank;  // of the producer's output
    double *scale, *shift;
} affine;

static bool is_op(const tm_node *node, const char *type) {
    return !*node->op->domain && !strcmp(node->op_type, type);
}

void tm_take_over(tm_graph *graph, tm_node *node, int32_t value) {
    graph->values[node->outputs[0]].producer = -1;
    node->outputs[0] = value;
    graph->values[value].producer = (int32_t)(node - graph->nodes);
}

// ---- What the producer is: its channel count and output rank, known from constant weights.
static bool float_constant(const tm_value *value) {
    return value && value->dtype == TM_FLOAT32;
}

static bool producer_channels(const tm_graph *graph, const tm_node *node, size_t *channels, int32_t *rank) {
    const tm_value *weight = tm_constant_input(graph, node, 1), *bias = tm_constant_input(graph, node, 2);
    if (!float_constant(weight) || node->fused.act != TM_ACT_NONE || node->fused.residual >= 0) return false;
    if (node->input_count > 2 && node->inputs[2] >= 0 && !float_constant(bias)) return false;
    if (node->input_count > 3) return false;
    const tm_shape *shape = &weight->shape;
    *rank = shape->rank;
    size_t weight_count;
    if (!tm_shape_count(shape, &weight_count) || !weight_count || shape->rank < 2) return false;
    if (is_op(node, "Conv") && shape->rank >= 3) {
        *channels = (size_t)shape->dim[0];
    } else if (is_op(node, "ConvTranspose") && shape->rank >= 3) {
        int64_t groups = tm_attr_int(node, "group", 1), out;
        if (groups < 1 || shape->dim[0] % groups || !tm_mul_i64(shape->dim[1], groups, &out)) return false;
        *channels = (size_t)out;
    } else if (is_op(node, "Gemm") && shape->rank == 2) {
        if (bias && tm_attr_float(node, "beta", 1) != 1) return false;
        *channels = (size_t)shape->dim[tm_attr_int(node, "transB", 0) ? 0 : 1];
    } else {
        return false;
    }
    size_t bias_count = *channels;
    if (bias && !tm_shape_count(&bias->shape, &bias_count)) return false;
    bool row = !bias || bias->shape.rank == 1 || (bias->shape.rank == 2 && bias->shape.dim[0] == 1);
    return bias_count == *channels && row;
}

// ---- What follows it.
static bool fold_batch_norm(const tm_graph *graph, const tm_node *node, affine *map) {
    const tm_value *p[4];
    if (node->input_count != 5 || node->output_count != 1 || tm_attr_int(node, "training_mode", 0)) return false;
    for (size_t i = 0; i < 4; i++) {
        p[i] = tm_constant_input(graph, node, i + 1);
        if (!float_constant(p[i]) || p[i]->shape.rank != 1 || (size_t)p[i]->shape.dim[0] != map->channels) return false;
    }
    double epsilon = tm_attr_float(node, "epsilon", 1e-5f);
    const float *gamma = p[0]->data, *beta = p[1]->data, *mean = p[2]->data, *variance = p[3]->data;
    for (size_t c = 0; c < map->channels; c++)
        if (!(variance[c] + epsilon > 0)) return false;
    for (size_t c = 0; c < map->channels; c++) {
        double scale = gamma[c] / sqrt(variance[c] + epsilon);
        map->shift[c] = (map->shift[c] - mean[c]) * scale + beta[c];
        map->scale[c] *= scale;
    }
    return true;
}

// A constant that broadcasts along everything but the channels and does not enlarge the output.
static bool per_channel(const tm_value *constant, const affine *map) {
    if (!float_constant(constant) || constant->shape.rank > map->rank) return false;
    for (int32_t i = 0; i < constant->shape.rank; i++) {
        bool channel = i + map->rank - constant->shape.rank == 1;
        int64_t dim = constant->shape.dim[i];
        if (dim != 1 && !(channel && (size_t)dim == map->channels)) return false;
    }
    return true;
}

static bool fold_arithmetic(const tm_graph *graph, const tm_node *node, int32_t value, affine *map) {
    if (node->input_count != 2 || node->inputs[0] == node->inputs[1]) return false;
    size_t other = node->inputs[0] == value ? 1 : 0;
    const tm_value *constant = tm_constant_input(graph, node, other);
    if (!constant || !per_channel(constant, map)) return false;
    bool mul = is_op(node, "Mul"), divide = is_op(node, "Div"), add = is_op(node, "Add"), sub = is_op(node, "Sub");
    if ((!mul && !divide && !add && !sub) || (divide && other == 0)) return false;
    size_t count = 1;
    tm_shape_count(&constant->shape, &count);
    const float *data = constant->data;
    for (size_t c = 0; c < count; c++)
        if (divide && data[c] == 0) return false;
    for (size_t c = 0; c < map->channels; c++) {
        double k = data[count == 1 ? 0 : c];
        double scale = mul ? k : divide ? 1 / k : sub && other == 0 ? -1 : 1;
        map->scale[c] *= scale;
        map->shift[c] = map->shift[c] * scale + (add || (sub && other == 0) ? k : sub ? -k : 0);
    }
    return true;
}

// ---- Applying it.
// Which output channel element i of the weight belongs to.
static size_t weight_channel(const tm_node *node, const tm_shape *shape, size_t i) {
    size_t inner = 1;
    for (int32_t d = 2; d < shape->rank; d++) inner *= (size_t)shape->dim[d];
    size_t row = i / inner / (size_t)shape->dim[1], column = i / inner % (size_t)shape->dim[1];
    if (is_op(node, "Conv")) return row;
    if (is_op(node, "Gemm")) return tm_attr_int(node, "transB", 0) ? row : column;
    size_t groups = (size_t)tm_attr_int(node, "group", 1), rows_a_group = (size_t)shape->dim[0] / groups;
    return row / rows_a_group * (size_t)shape->dim[1] + column;
}

static tagmask_status apply(tm_graph *graph, tm_node *node, const affine *map, tm_error *err) {
    tm_value old = graph->values[node->inputs[1]];
    int32_t old_bias = node->input_count > 2 ? node->inputs[2] : -1;
    tm_shape bias_shape = {.rank = 1, .dim = {(int64_t)map->channels}};
    int32_t weight = tm_add_constant(graph, old.name, TM_FLOAT32, &old.shape);
    int32_t bias = weight < 0 ? -1 : tm_add_constant(graph, old.name, TM_FLOAT32, &bias_shape);
    int32_t *inputs = tm_arena_alloc(&graph->arena, 3 * sizeof *inputs);
    if (bias < 0 || !inputs) return tm_memory_fail(err);
    size_t count = 0;
    tm_shape_count(&old.shape, &count);
    const float *from = old.data, *from_bias = old_bias >= 0 ? graph->values[old_bias].data : NULL;
    float *to = graph->values[weight].data, *to_bias = graph->values[bias].data;
    for (size_t i = 0; i < count; i++) to[i] = (float)(from[i] * map->scale[weight_channel(node, &old.shape, i)]);
    for (size_t c = 0; c < map->channels; c++)
        to_bias[c] = (float)((from_bias ? from_bias[c] : 0) * map->scale[c] + map->shift[c]);
    inputs[0] = node->inputs[0];
    inputs[1] = weight;
    inputs[2] = bias;
    node->inputs = inputs;
    node->input_count = 3;
    return TAGMASK_OK;
}

static tagmask_status fold_after(tm_graph *graph, const tm_uses *uses, tm_node *node, tm_error *err) {
    affine map = {0};
    if (!producer_channels(graph, node, &map.channels, &map.rank)) return TAGMASK_OK;
    map.scale = tm_calloc(map.channels, sizeof *map.scale);
    map.shift = tm_calloc(map.channels, sizeof *map.shift);
    tagmask_status status = map.scale && map.shift ? TAGMASK_OK : tm_memory_fail(err);
    for (size_t c = 0; status == TAGMASK_OK && c < map.channels; c++) map.scale[c] = 1;
    int32_t value = node->outputs[0];
    while (status == TAGMASK_OK) {
        const tm_node *next = tm_only_reader(graph, uses, value);
        if (!next || *next->op->domain) break;
        bool norm = is_op(next, "BatchNormalization") && next->inputs[0] == value;
        if (norm ? !fold_batch_norm(graph, next, &map) : !fold_arithmetic(graph, next, value, &map)) break;
        value = next->outputs[0];
    }
    if (status == TAGMASK_OK && value != node->outputs[0]) {
        status = apply(graph, node, &map, err);
        if (status == TAGMASK_OK) tm_take_over(graph, node, value);
    }
    free(map.scale);
    free(map.shift);
    return status;
}

// ---- Pad before Conv.
static const int64_t *constant_pads(const tm_graph *graph, const tm_node *pad, size_t *count) {
    if (strcmp(tm_attr_string(pad, "mode", "constant"), "constant") || pad->input_count > 3) return NULL;
    if (pad->opset < 11) return tm_attr_float(pad, "value", 0) == 0 ? tm_attr_ints(pad, "pads", count) : NULL;
    const tm_value *pads = tm_constant_input(graph, pad, 1), *value = tm_constant_input(graph, pad, 2);
    if (!pads || pads->dtype != TM_INT64 || pads->shape.rank != 1) return NULL;
    size_t value_count = 0;
    if (pad->input_count == 3 && pad->inputs[2] >= 0) {
        if (!float_constant(value) || !tm_shape_count(&value->shape, &value_count) || value_count != 1) return NULL;
        if (*(const float *)value->data != 0) return NULL;
    }
    *count = (size_t)pads->shape.dim[0];
    return pads->data;
}

static tagmask_status merge_pad(tm_graph *graph, const tm_uses *uses, const tm_node *pad, tm_error *err) {
    tm_node *conv = tm_only_reader(graph, uses, pad->outputs[0]);
    if (!conv || !is_op(conv, "Conv") || conv->inputs[0] != pad->outputs[0]) return TAGMASK_OK;
    const tm_value *weight = tm_constant_input(graph, conv, 1);
    const char *automatic = tm_attr_string(conv, "auto_pad", "NOTSET");
    bool explicit_pads = !strcmp(automatic, "NOTSET");
    size_t count = 0, own_count;
    const int64_t *pads = constant_pads(graph, pad, &count), *own = tm_attr_ints(conv, "pads", &own_count);
    if (!weight || weight->shape.rank < 3 || !pads || count != 2 * (size_t)weight->shape.rank) return TAGMASK_OK;
    size_t rank = (size_t)weight->shape.rank, spatial = rank - 2;
    if ((!explicit_pads && strcmp(automatic, "VALID")) || (own && own_count != 2 * spatial)) return TAGMASK_OK;
    for (size_t i = 0; i < count; i++)
        if (pads[i] < 0 || pads[i] > INT32_MAX || (i % rank < 2 && pads[i])) return TAGMASK_OK;
    // Attributes: all but pads and auto_pad, and the sum as new pads.
    struct tm_attr *attrs = tm_arena_alloc(&graph->arena, (conv->attr_count + 1) * sizeof *attrs);
    int64_t *sum = tm_arena_alloc(&graph->arena, 2 * spatial * sizeof *sum);
    if (!attrs || !sum) return tm_memory_fail(err);
    for (size_t i = 0; i < 2 * spatial; i++) {
        int64_t before = own && explicit_pads ? own[i] : 0, more = pads[i / spatial * rank + 2 + i % spatial];
        if (!tm_add_i64(before, more, &sum[i])) return TAGMASK_OK;
    }
    size_t kept = 0;
    for (size_t i = 0; i < conv->attr_count; i++)
        if (strcmp(conv->attrs[i].name, "pads") && strcmp(conv->attrs[i].name, "auto_pad"))
            attrs[kept++] = conv->attrs[i];
    attrs[kept++] = (struct tm_attr){.name = "pads", .kind = TM_ATTR_INTS, .count = 2 * spatial, .ints = sum};
    conv->attrs = attrs;
    conv->attr_count = kept;
    conv->inputs[0] = pad->inputs[0];
    return TAGMASK_OK;
}

tagmask_status tm_pass_fold_affine(tm_graph *graph, tm_error *err) {
    tm_uses uses;
    TM_TRY(tm_uses_find(graph, &uses, err));
    tagmask_status status = TAGMASK_OK;
    for (size_t n = 0; status == TAGMASK_OK && n < graph->node_count; n++) {
        tm_node *node = &graph->nodes[n];
        if (*node->op->domain || node->outputs[0] < 0) continue;
        if (is_op(node, "Pad"))
            status = merge_pad(graph, &uses, node, err);
        else
            status = fold_after(graph, &uses, node, err);
    }
    tm_uses_free(&uses);
    return status;
}
