// The classifier's head, for class activation mapping (Zhou et al., "Learning Deep Features for Discriminative
// Localization", CVPR 2016): features -> global average pooling -> linear map to classes.
#include <string.h>

#include "graph/plan.h"

static bool is_op(const tm_node *node, const char *type) {
    return node && !*node->op->domain && !strcmp(node->op_type, type);
}

static const tm_node *producer_of(const tm_graph *graph, int32_t value) {
    int32_t n = value < 0 ? -1 : graph->values[value].producer;
    return n < 0 ? NULL : &graph->nodes[n];
}

static tagmask_status unlike(const tm_graph *graph, const char *expected, const tm_node *found, tm_error *err) {
    return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                   "%.300s: no CAM can be made: walking back from the output, expected %s but found %s%s%.200s%s",
                   graph->name, expected, found ? found->op_type : "the input", found ? " '" : "",
                   found ? found->name : "", found ? "'" : "");
}

static const tm_node *skip_views(const tm_graph *graph, const tm_node *node) {
    static const char *const views[] = {"Flatten", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Dropout"};
    for (size_t i = 0; i < TM_ARRAY_LEN(views);) {
        if (!is_op(node, views[i++])) continue;
        node = producer_of(graph, node->inputs[0]);
        i = 0;
    }
    return node;
}

// What a pooling is the mean of, and over which dimensions of it. -1: it is none.
typedef struct pooled {
    int32_t value;
    tm_feature_form form;
} pooled;

// Tokens are pooled as (1, tokens, channels), or turned round to (1, channels, tokens) before.
static pooled turned_tokens(const tm_graph *graph, int32_t value) {
    const tm_node *turn = producer_of(graph, value);
    size_t count = 0;
    const int64_t *perm = is_op(turn, "Transpose") ? tm_attr_ints(turn, "perm", &count) : NULL;
    bool turned = perm && count == 3 && perm[0] == 0 && perm[1] == 2;
    return turned ? (pooled){turn->inputs[0], TM_FORM_TOKENS} : (pooled){value, TM_FORM_PLACES};
}

// Mean over height and width, or over all tokens.
static pooled find_pooled(const tm_graph *graph, const tm_node *node) {
    const pooled none = {-1, TM_FORM_PLACES};
    if (is_op(node, "GlobalAveragePool")) return turned_tokens(graph, node->inputs[0]);
    if (!is_op(node, "ReduceMean")) return none;
    size_t count = 0;
    const int64_t *axes = tm_attr_ints(node, "axes", &count);
    const tm_value *input = tm_constant_input(graph, node, 1);
    if (!axes && input && input->dtype == TM_INT64 && tm_shape_count(&input->shape, &count)) axes = input->data;
    if (!axes || count < 1 || count > 2) return none;
    int64_t low = TM_MIN(axes[0], axes[count - 1]), high = TM_MAX(axes[0], axes[count - 1]);
    if (count == 2) {
        bool space = (low == 2 && high == 3) || (low == -2 && high == -1);
        bool before = (low == 1 && high == 2) || (low == -3 && high == -2);
        if (before) return (pooled){node->inputs[0], TM_FORM_LAST};
        return space ? (pooled){node->inputs[0], TM_FORM_PLACES} : none;
    }
    if (low == 1 || low == -2) return (pooled){node->inputs[0], TM_FORM_TOKENS};
    pooled turned = turned_tokens(graph, node->inputs[0]);
    return turned.form == TM_FORM_TOKENS && (low == 2 || low == -1) ? turned : none;
}

// The constant (classes, channels) of Gemm, MatMul or a 1x1 Conv; transposed and scaled copies live in the graph.
static tagmask_status head_weight(tm_graph *graph, const tm_node *node, tm_cam_head *head, tm_error *err) {
    const tm_value *weight = tm_constant_input(graph, node, 1);
    if (!weight || weight->dtype != TM_FLOAT32 || weight->shape.rank < 2)
        return unlike(graph, "constant weights", node, err);
    const tm_shape *shape = &weight->shape;
    bool conv = is_op(node, "Conv"), by_class = conv || (is_op(node, "Gemm") && tm_attr_int(node, "transB", 0));
    for (int32_t d = 2; d < shape->rank; d++)
        if (shape->dim[d] != 1) return unlike(graph, "a linear map", node, err);
    head->classes = shape->dim[by_class ? 0 : 1];
    head->channels = shape->dim[by_class ? 1 : 0];
    float alpha = is_op(node, "Gemm") ? tm_attr_float(node, "alpha", 1) : 1;
    const float *from = weight->data;
    head->weight = from;
    if (by_class && alpha == 1) return TAGMASK_OK;
    size_t classes = (size_t)head->classes, channels = (size_t)head->channels;
    float *to = tm_arena_alloc(&graph->arena, classes * channels * sizeof *to);
    if (!to) return tm_memory_fail(err);
    for (size_t k = 0; k < classes; k++)
        for (size_t c = 0; c < channels; c++)
            to[k * channels + c] = alpha * from[by_class ? k * channels + c : c * classes + k];
    head->weight = to;
    return TAGMASK_OK;
}

static tagmask_status find_head(tm_graph *graph, size_t output, tm_cam_head *head, tm_error *err) {
    if (graph->values[graph->outputs[output]].data)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "%.300s: no CAM can be made: output %zu is not computed from the photo", graph->name, output);
    const tm_node *node = skip_views(graph, producer_of(graph, graph->outputs[output]));
    if (is_op(node, "Softmax") || is_op(node, "LogSoftmax"))
        node = skip_views(graph, producer_of(graph, node->inputs[0]));
    if (is_op(node, "Add") && node->input_count == 2) {
        int side = tm_constant_input(graph, node, 1) ? 0 : 1;
        node = producer_of(graph, node->inputs[side]);
    }
    tm_cam_head found = {0};
    // With the pooling last, a 1x1 convolution before it is the linear map: pooling and map commute.
    pooled pool = find_pooled(graph, node);
    if (pool.form) return unlike(graph, "a linear map after the mean over places", node, err);
    bool last = pool.value >= 0;
    if (last) node = skip_views(graph, producer_of(graph, pool.value));
    bool linear = is_op(node, "Conv") || (!last && (is_op(node, "Gemm") || is_op(node, "MatMul")));
    if (!linear || node->fused.act != TM_ACT_NONE || tm_attr_int(node, "transA", 0))
        return unlike(graph, "a linear map to classes (Gemm, MatMul or 1x1 Conv)", node, err);
    TM_TRY(head_weight(graph, node, &found, err));
    int32_t features = node->inputs[0];
    if (!last) {
        node = skip_views(graph, producer_of(graph, features));
        pool = find_pooled(graph, node);
        if (pool.value < 0) return unlike(graph, "a global average pooling", node, err);
    } else {
        pool = turned_tokens(graph, features);  // of a convolution of one dimension
    }
    features = pool.value;
    if (features < 0 || graph->values[features].input >= 0) return unlike(graph, "features", NULL, err);
    found.form = pool.form;
    found.features = graph->values[features].name;
    *head = found;
    return TAGMASK_OK;
}

void tm_find_cam_heads(tm_graph *graph) {
    for (size_t i = 0; i < graph->output_count && i < TM_MAX_HEADS; i++)
        find_head(graph, i, &graph->heads[i], &graph->head_errors[i]);
}

tagmask_status tm_graph_cam_head(const tm_graph *graph, size_t output, tm_cam_head *head, tm_error *err) {
    if (output >= graph->output_count || output >= TM_MAX_HEADS)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "%.300s: no CAM can be made of output %zu; of the first %d",
                       graph->name, output, TM_MAX_HEADS);
    if (!graph->heads[output].features) {
        if (err) *err = graph->head_errors[output];
        return graph->head_errors[output].status;
    }
    *head = graph->heads[output];
    return TAGMASK_OK;
}

static bool is_output(const tm_graph *graph, const char *name) {
    for (size_t i = 0; i < graph->output_count; i++) {
        if (!strcmp(graph->output_infos[i].name, name)) return true;
    }
    return false;
}

const char *tm_graph_logits(const tm_graph *graph, size_t output) {
    const tm_node *node = producer_of(graph, graph->outputs[output]);
    bool softmax = is_op(node, "Softmax") || is_op(node, "LogSoftmax");
    return softmax ? graph->values[node->inputs[0]].name : graph->output_infos[output].name;
}

// Tokens by heads and channels may look like channels by height and width.
static bool is_order_of_tokens(const char *op_type) {
    static const char *const types[] = {"MatMul", "Einsum", "Transpose", "Reshape", "Softmax", "Attention"};
    for (size_t i = 0; i < TM_ARRAY_LEN(types); i++)
        if (!strcmp(types[i], op_type)) return true;
    return false;
}

static bool is_block(const tm_graph *graph, const char *layer) {
    for (size_t a = 0; a < graph->attention_count; a++)
        if (tm_attention_is_of(graph->attentions[a], layer)) return true;
    return false;
}

const char *tm_plan_last_features(const tm_plan *plan, bool *unclear) {
    const tm_graph *graph = plan->graph;
    tm_layer_info layer;
    const char *block = graph->attention_count ? tm_attention_tokens(graph, graph->attention_count - 1) : NULL;
    const char *last = NULL, *any = NULL, *tokens = NULL;
    for (size_t i = 0; tm_plan_layer(plan, i, &layer); i++) {
        if (is_block(graph, layer.name)) last = NULL;  // what comes before it does not tell of what it makes
        bool fits = tm_has_features(layer.dtype, &layer.shape, layer.form);
        if (fits && block && !strcmp(layer.name, block)) tokens = block;
        bool several = fits && layer.form != TM_FORM_TOKENS && layer.shape.dim[layer.form == TM_FORM_LAST ? 3 : 1] > 1;
        if (!several || is_output(graph, layer.name)) continue;
        any = layer.name;
        bool mapped = layer.form == TM_FORM_LAST && !strcmp(layer.op_type, "MatMul");
        bool clear = mapped || !is_order_of_tokens(layer.op_type);
        if (!graph->attention_count || clear) last = layer.name;
    }
    if (!last) last = tokens;
    *unclear = !last && any;
    return last ? last : any;
}
