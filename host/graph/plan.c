// From a graph and input shapes to a list of items to run: shape inference with host values, what is needed, residuals.
#include "graph/plan.h"

#include <stdlib.h>
#include <string.h>

#include "ops/host_eval.h"

// ---- Inputs and the cache's key.
static tagmask_status check_input(const tm_graph *graph, size_t i, const tm_host_tensor *input, tm_error *err) {
    const tm_value_info *info = &graph->input_infos[i];
    size_t count;
    char text[128];
    if (input->dtype != info->dtype)
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "input '%.200s' is %s; expected %s", info->name,
                       tm_dtype_name(input->dtype), tm_dtype_name(info->dtype));
    if (!tm_shape_count(&input->shape, &count) || count > (size_t)1 << 40)
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "input '%.200s' has the impossible shape %s", info->name,
                       tm_shape_text(&input->shape, text, sizeof text));
    if (info->shape.rank >= 0 && input->shape.rank != info->shape.rank)
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "input '%.200s' has %d dimensions; expected %d", info->name,
                       input->shape.rank, info->shape.rank);
    if (graph->values[graph->inputs[i]].wanted_host && !input->data)
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT,
                       "input '%.200s' decides shapes; its values are needed when the network is planned", info->name);
    return TAGMASK_OK;
}

static size_t host_bytes(const tm_graph *graph, size_t i, const tm_host_tensor *input) {
    size_t count = 0;
    if (!graph->values[graph->inputs[i]].wanted_host) return 0;
    tm_shape_count(&input->shape, &count);
    return count * tm_dtype_size(input->dtype);
}

static tagmask_status make_key(const tm_graph *graph, const tm_host_tensor *inputs, void **key, size_t *size,
                               tm_error *err) {
    size_t total = 0;
    for (size_t i = 0; i < graph->input_count; i++)
        total += (1 + TM_MAX_RANK) * sizeof(int64_t) + tm_align_up(host_bytes(graph, i, &inputs[i]), 8);
    int64_t *at = tm_calloc(total, 1);
    if (!at) return tm_memory_fail(err);
    *key = at;
    *size = total;
    for (size_t i = 0; i < graph->input_count; i++) {
        *at++ = inputs[i].shape.rank;
        for (int32_t d = 0; d < inputs[i].shape.rank; d++) at[d] = inputs[i].shape.dim[d];
        at += TM_MAX_RANK;
        size_t bytes = host_bytes(graph, i, &inputs[i]);
        if (bytes) memcpy(at, inputs[i].data, bytes);
        at += (bytes + 7) / 8;
    }
    return TAGMASK_OK;
}

// ---- Inference.
static tagmask_status set_values(tm_plan *plan, const tm_host_tensor *inputs, tm_error *err) {
    const tm_graph *graph = plan->graph;
    plan->values = tm_arena_alloc(&plan->arena, graph->value_count * sizeof *plan->values);
    plan->items = tm_arena_alloc(&plan->arena, graph->node_count * sizeof *plan->items);
    plan->linear_output = tm_arena_alloc(&plan->arena, graph->output_count * sizeof *plan->linear_output);
    if (!plan->values || !plan->items || !plan->linear_output) return tm_memory_fail(err);
    for (size_t v = 0; v < graph->value_count; v++) {
        const tm_value *value = &graph->values[v];
        plan->values[v].tensor[0] = plan->values[v].tensor[1] = -1;
        void *data = value->kept ? NULL : value->data;
        if (value->data) plan->values[v].host = (tm_host_tensor){value->dtype, value->shape, data};
    }
    for (size_t i = 0; i < graph->input_count; i++) {
        tm_host_tensor *host = &plan->values[graph->inputs[i]].host;
        size_t bytes = host_bytes(graph, i, &inputs[i]);
        *host = (tm_host_tensor){inputs[i].dtype, inputs[i].shape, NULL};
        if (!graph->values[graph->inputs[i]].wanted_host) continue;
        host->data = tm_arena_alloc(&plan->arena, bytes);
        if (!host->data) return tm_memory_fail(err);
        if (bytes) memcpy(host->data, inputs[i].data, bytes);
    }
    return TAGMASK_OK;
}

static tagmask_status infer_node(tm_plan *plan, size_t n, tm_error *err) {
    tm_item *item = &plan->items[n];
    item->node = plan->graph->nodes[n];
    tm_node *node = &item->node;
    tm_op_ctx *ctx = item->ctx = tm_make_ctx(&plan->arena, plan->graph->gpu, node, err);
    if (!ctx) return TAGMASK_ERROR_MEMORY;
    ctx->plan = plan;
    ctx->graph = plan->graph;
    for (size_t i = 0; i < node->input_count; i++)
        if (node->inputs[i] >= 0) ctx->in[i] = plan->values[node->inputs[i]].host;
    bool folded;
    TM_TRY(tm_evaluate(ctx, true, &folded, err));
    if (!folded && !node->op->record && !node->op->is_view)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED,
                          "its inputs must be known before the network runs: constants, or computed from shapes");
    if (!folded && node->fused.act != TM_ACT_NONE && ctx->out[0].dtype != TM_FLOAT32)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "an activation of %s is not supported",
                          tm_dtype_name(ctx->out[0].dtype));
    item->live = !folded;
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] >= 0) plan->values[node->outputs[i]].host = ctx->out[i];
    return TAGMASK_OK;
}

// Nodes that no output needs on the device, for example those only whose shape is asked for.
static tagmask_status drop_unneeded(tm_plan *plan, tm_error *err) {
    const tm_graph *graph = plan->graph;
    bool *needed = tm_calloc(graph->value_count, sizeof *needed);
    if (!needed) return tm_memory_fail(err);
    for (size_t i = 0; i < graph->output_count; i++) needed[graph->outputs[i]] = true;
    for (size_t n = graph->node_count; n-- > 0;) {
        tm_item *item = &plan->items[n];
        bool live = false;
        for (size_t i = 0; i < item->node.output_count; i++)
            live = live || (item->node.outputs[i] >= 0 && needed[item->node.outputs[i]]);
        item->live = item->live && live;
        for (size_t i = 0; item->live && i < item->node.input_count; i++)
            if (tm_item_reads(plan, item, i)) needed[item->node.inputs[i]] = true;
    }
    free(needed);
    return TAGMASK_OK;
}

// ---- Residuals: Conv followed by Add of a tensor of the same shape. Decided here, not at load, because whether the
// shapes are equal (no broadcasting) may depend on the inputs'.
typedef struct readers {
    uint32_t *count;
    int32_t *reader, *producer;  // live items, the last that reads and the one that makes a value; -1
} readers;

static bool can_take_residual(const tm_plan *plan, const readers *r, int32_t value, const tm_shape *shape) {
    if (value < 0 || r->producer[value] < 0 || r->count[value] != 1 || plan->graph->values[value].output) return false;
    const tm_item *item = &plan->items[r->producer[value]];
    const tm_node *node = &item->node;
    return (node->op->fuses & TM_FUSES_RESIDUAL) && node->fused.act == TM_ACT_NONE && node->fused.residual < 0 &&
           node->output_count == 1 && node->input_count <= 3 && item->ctx->out[0].dtype == TM_FLOAT32 &&
           tm_shape_equal(&item->ctx->out[0].shape, shape);
}

// Which side of a sum is a convolution that can add the other one itself; -1: neither.
static int find_side(const tm_plan *plan, const readers *r, const tm_item *add) {
    const tm_node *node = &add->node;
    const tm_host_tensor *in = add->ctx->in;
    if (!add->live || *node->op->domain || strcmp(node->op_type, "Add") || node->input_count != 2) return -1;
    if (node->fused.residual >= 0 || node->inputs[0] == node->inputs[1]) return -1;
    if (!tm_shape_equal(&in[0].shape, &in[1].shape) || in[1].dtype != TM_FLOAT32) return -1;
    int side = -1;
    for (int i = 0; i < 2; i++) {
        if (!can_take_residual(plan, r, node->inputs[i], &add->ctx->out[0].shape)) continue;
        // Where both sides could take the other, the later one does: the earlier result is there by then.
        if (side < 0 || r->producer[node->inputs[i]] > r->producer[node->inputs[side]]) side = i;
    }
    return side;
}

// The activation after the sum, if nothing else reads the sum.
static tm_item *find_activation(const tm_plan *plan, const readers *r, const tm_item *add, tm_fused *fused) {
    int32_t sum = add->node.outputs[0];
    if (add->node.fused.act != TM_ACT_NONE || r->count[sum] != 1 || plan->graph->values[sum].output) return NULL;
    tm_item *item = &plan->items[r->reader[sum]];
    bool matches = item->live && item->node.inputs[0] == sum && tm_match_activation(plan->graph, &item->node, fused);
    return matches ? item : NULL;
}

static tagmask_status fuse_residual(tm_plan *plan, const readers *r, tm_item *add, tm_error *err) {
    int side = find_side(plan, r, add);
    if (side < 0) return TAGMASK_OK;
    tm_item *conv = &plan->items[r->producer[add->node.inputs[side]]];
    tm_node fused = conv->node;
    fused.fused = add->node.fused;
    tm_item *last = (conv->node.op->fuses & TM_FUSES_ACT) ? find_activation(plan, r, add, &fused.fused) : NULL;
    if (!last) last = add;
    if (fused.fused.act != TM_ACT_NONE && !(conv->node.op->fuses & TM_FUSES_ACT)) return TAGMASK_OK;
    fused.inputs = tm_arena_alloc(&plan->arena, 4 * sizeof *fused.inputs);
    if (!fused.inputs) return tm_memory_fail(err);
    for (size_t i = 0; i < 3; i++) fused.inputs[i] = i < conv->node.input_count ? conv->node.inputs[i] : -1;
    fused.inputs[3] = add->node.inputs[1 - side];
    fused.input_count = 4;
    fused.outputs = last->node.outputs;
    fused.fused.residual = 3;
    tm_op_ctx *ctx = tm_make_ctx(&plan->arena, plan->graph->gpu, &fused, err);
    if (!ctx) return TAGMASK_ERROR_MEMORY;
    ctx->plan = plan;
    ctx->graph = plan->graph;
    for (size_t i = 0; i < 4; i++)
        if (fused.inputs[i] >= 0) ctx->in[i] = plan->values[fused.inputs[i]].host;
    // The place of the sum or activation in the order is kept: both operands are computed before it.
    last->node = fused;
    last->ctx = ctx;
    ctx->node = &last->node;
    conv->live = false;
    add->live = add == last;
    bool folded;
    return tm_evaluate(ctx, false, &folded, err);
}

static tagmask_status fuse_residuals(tm_plan *plan, tm_error *err) {
    size_t n = plan->graph->value_count;
    readers r = {tm_calloc(n, sizeof *r.count), tm_calloc(n, sizeof *r.reader), tm_calloc(n, sizeof *r.producer)};
    tagmask_status status = r.count && r.reader && r.producer ? TAGMASK_OK : tm_memory_fail(err);
    for (size_t v = 0; status == TAGMASK_OK && v < n; v++) r.producer[v] = -1;
    for (size_t k = 0; status == TAGMASK_OK && k < plan->graph->node_count; k++) {
        const tm_item *item = &plan->items[k];
        for (size_t i = 0; item->live && i < item->node.input_count; i++) {
            if (!tm_item_reads(plan, item, i)) continue;
            r.count[item->node.inputs[i]]++;
            r.reader[item->node.inputs[i]] = (int32_t)k;
        }
        for (size_t i = 0; item->live && i < item->node.output_count; i++)
            if (item->node.outputs[i] >= 0) r.producer[item->node.outputs[i]] = (int32_t)k;
    }
    for (size_t k = 0; status == TAGMASK_OK && k < plan->graph->node_count; k++)
        status = fuse_residual(plan, &r, &plan->items[k], err);
    free(r.count);
    free(r.reader);
    free(r.producer);
    return status;
}

// ---- Making, finding and freeing plans.
static void free_plan(tm_plan *plan) {
    if (!plan) return;
    tm_plan_unlower(plan);
    tm_arena_buffer_release(plan->buffer);
    tm_arena_free(&plan->arena);
    free(plan->key);
    free(plan);
}

static tagmask_status make_plan(tm_graph *graph, const tm_host_tensor *inputs, tm_plan **out, tm_error *err) {
    tm_plan *plan = tm_calloc(1, sizeof *plan);
    if (!plan) return tm_memory_fail(err);
    plan->graph = graph;
    plan->arena.limit = TM_PLAN_HOST_MAX;
    graph->folded = 0;
    tagmask_status status = set_values(plan, inputs, err);
    for (size_t n = 0; status == TAGMASK_OK && n < graph->node_count; n++) status = infer_node(plan, n, err);
    if (status == TAGMASK_OK) status = drop_unneeded(plan, err);
    if (status == TAGMASK_OK) status = fuse_residuals(plan, err);
    if (status == TAGMASK_OK) status = tm_plan_lower(plan, err);
    if (status != TAGMASK_OK) {
        free_plan(plan);
        return status;
    }
    *out = plan;
    return TAGMASK_OK;
}

void tm_plan_drop_oldest(tm_graph *graph) {
    tm_plan **link = &graph->plans;
    while ((*link)->next) link = &(*link)->next;
    free_plan(*link);
    *link = NULL;
    graph->plan_count--;
}

static tm_plan *find_plan(tm_graph *graph, const void *key, size_t size) {
    for (tm_plan **link = &graph->plans; *link; link = &(*link)->next) {
        tm_plan *plan = *link;
        if (plan->key_size != size || memcmp(plan->key, key, size)) continue;
        *link = plan->next;
        plan->next = graph->plans;
        return graph->plans = plan;
    }
    return NULL;
}

static tagmask_status plan_for(tm_graph *graph, const tm_host_tensor *inputs, size_t count, tm_plan **out,
                               tm_error *err) {
    if (count != graph->input_count)
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%zu inputs were given; expected %zu", count, graph->input_count);
    for (size_t i = 0; i < count; i++) TM_TRY(check_input(graph, i, &inputs[i], err));
    void *key = NULL;
    size_t key_size = 0;
    TM_TRY(make_key(graph, inputs, &key, &key_size, err));
    tm_plan *plan = find_plan(graph, key, key_size);
    tagmask_status status = TAGMASK_OK;
    if (plan) {
        free(key);
    } else {
        status = make_plan(graph, inputs, &plan, err);
        if (status != TAGMASK_OK) {
            free(key);
            return status;
        }
        plan->key = key;
        plan->key_size = key_size;
        plan->next = graph->plans;
        graph->plans = plan;
        graph->plan_count++;
        while (graph->plan_count > TM_PLAN_CACHE + 1) tm_plan_drop_oldest(graph);
    }
    status = tm_plan_bind(plan, err);
    if (status == TAGMASK_OK) *out = plan;
    return status;
}

tagmask_status tm_graph_plan(tm_graph *graph, const tm_host_tensor *inputs, size_t count, tm_plan **plan,
                             tm_error *err) {
    tagmask_status status = plan_for(graph, inputs, count, plan, err);
    if (status != TAGMASK_OK) tm_fail_prefix(err, "%.300s", graph->name);
    return status;
}

tagmask_status tm_plan_output_linear(tm_plan *plan, size_t i, tm_error *err) {
    if (i >= plan->graph->output_count)
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "output %zu does not exist; the network has %zu", i,
                       plan->graph->output_count);
    if (plan->linear_output[i]) return TAGMASK_OK;
    plan->linear_output[i] = true;
    if (plan->values[plan->graph->outputs[i]].native == TM_LINEAR) return TAGMASK_OK;
    tm_plan_unlower(plan);
    return tm_plan_bind(plan, err);
}

tm_plan_stats tm_plan_get_stats(const tm_plan *plan) {
    tm_plan_stats stats = plan->stats;
    stats.weight_bytes = plan->graph->pool.total + (plan->constants ? tm_buffer_size(plan->constants) : 0);
    return stats;
}

bool tm_plan_layer(const tm_plan *plan, size_t i, tm_layer_info *layer) {
    for (size_t s = 0; s < plan->step_count; s++) {
        const tm_item *item = plan->steps[s].item;
        for (size_t o = 0; item && o < item->node.output_count; o++) {
            int32_t value = item->node.outputs[o];
            if (value < 0 || i--) continue;
            const tm_shape *shape = &item->ctx->out[o].shape;
            *layer = (tm_layer_info){plan->graph->values[value].name, item->node.op_type, item->ctx->out[o].dtype,
                                     *shape, tm_form_of(plan->graph, value, shape)};
            return true;
        }
    }
    return false;
}
