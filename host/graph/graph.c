// Loading and freeing a graph, and the small things that belong to the whole of it.
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/platform.h"
#include "graph/internal.h"
#include "ops/host_eval.h"

#define MODEL_BYTES_MAX ((size_t)1 << 31)

tagmask_status tm_memory_fail(tm_error *err) {
    return tm_fail(err, TAGMASK_ERROR_MEMORY, "out of memory");
}

// ---- Shapes.
// Also for empty tensors, whose other dimensions are then products that strides and sizes may be made of.
#define ELEMENTS_MAX ((size_t)1 << 56)

bool tm_shape_count(const tm_shape *shape, size_t *count) {
    if (shape->rank < 0 || shape->rank > TM_MAX_RANK) return false;
    size_t product = 1;
    bool empty = false;
    for (int32_t i = 0; i < shape->rank; i++) {
        if (shape->dim[i] < 0) return false;
        if (shape->dim[i] == 0)
            empty = true;
        else if (!tm_mul_size(product, (size_t)shape->dim[i], &product) || product > ELEMENTS_MAX)
            return false;
    }
    *count = empty ? 0 : product;
    return true;
}

bool tm_shape_equal(const tm_shape *a, const tm_shape *b) {
    if (a->rank != b->rank) return false;
    for (int32_t i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return true;
}

const char *tm_shape_text(const tm_shape *shape, char *buffer, size_t size) {
    if (!size) return "";
    snprintf(buffer, size, "%s", shape->rank < 0 ? "unknown" : shape->rank == 0 ? "scalar" : "");
    size_t used = strlen(buffer);
    for (int32_t i = 0; i < shape->rank && used < size; i++) {
        const char *separator = i ? "x" : "";
        int n = shape->dim[i] < 0 && shape->dim[i] == -1
                    ? snprintf(buffer + used, size - used, "%s?", separator)
                    : snprintf(buffer + used, size - used, "%s%lld", separator, (long long)shape->dim[i]);
        used += n > 0 ? (size_t)n : 0;
    }
    return buffer;
}

// ---- Loading.
static bool is_host_input(const tm_op *op, size_t i) {
    bool host_only = !op->record && !op->is_view && !op->fold_from_shapes;
    return host_only || (i < 32 && op->host_inputs >> i & 1);
}

// Marks every value that must be known on the host when planning: walks back from the operators' host inputs.
static void mark_wanted(tm_graph *graph) {
    for (size_t n = graph->node_count; n-- > 0;) {
        tm_node *node = &graph->nodes[n];
        bool wanted = false;
        for (size_t i = 0; i < node->output_count; i++)
            wanted = wanted || (node->outputs[i] >= 0 && graph->values[node->outputs[i]].wanted_host);
        wanted = wanted && !node->op->fold_from_shapes;
        for (size_t i = 0; i < node->input_count; i++)
            if (node->inputs[i] >= 0 && (wanted || is_host_input(node->op, i)))
                graph->values[node->inputs[i]].wanted_host = true;
    }
}

static bool can_prepare(const tm_graph *graph, const tm_node *node) {
    if (!node->op->prepare) return false;
    for (size_t i = 0; i < node->input_count && i < 32; i++)
        if (node->op->constant_inputs >> i & 1 && node->inputs[i] >= 0 &&
            (!graph->values[node->inputs[i]].data || graph->values[node->inputs[i]].kept))
            return false;
    return true;
}

// Lets every operator pack its weights, all in one recording.
static tagmask_status prepare_node(tm_graph *graph, tm_node *node, tm_recorder *recorder, tm_error *err) {
    tm_arena scratch = {0};
    tm_op_ctx *ctx = tm_make_ctx(&scratch, graph->gpu, node, err);
    if (!ctx) {
        tm_arena_free(&scratch);
        return TAGMASK_ERROR_MEMORY;
    }
    for (size_t i = 0; i < node->input_count; i++) {
        const tm_value *value = node->inputs[i] < 0 ? NULL : &graph->values[node->inputs[i]];
        if (value) ctx->in[i] = (tm_host_tensor){value->dtype, value->shape, value->data};
    }
    ctx->graph = graph;
    tagmask_status status = node->op->prepare(ctx, recorder, err);
    tm_arena_free(&scratch);
    return status;
}

static tagmask_status prepare(tm_graph *graph, tm_error *err) {
    uint64_t constants = 0;
    for (size_t i = 0; i < graph->value_count; i++) {
        size_t count = 0;
        if (graph->values[i].data && tm_shape_count(&graph->values[i].shape, &count)) constants += 4 * (uint64_t)count;
    }
    if (graph->precision == TM_FP16) constants /= 2;
    graph->pool.chunk = TM_CLAMP(constants + constants / 4, (uint64_t)64 << 10, (uint64_t)32 << 20);
    tm_recorder *recorder;
    TM_TRY(tm_recorder_begin(graph->gpu, &recorder, err));
    for (size_t i = 0; i < graph->node_count; i++) {
        tm_node *node = &graph->nodes[i];
        if (!can_prepare(graph, node)) continue;
        tagmask_status status = prepare_node(graph, node, recorder, err);
        if (status != TAGMASK_OK) {
            tm_recorder_abandon(recorder);
            return status;
        }
    }
    return tm_recorder_finish(recorder, err);
}

// The outputs of what is loaded.
typedef enum kept_outputs {
    OWN_AND_EXTRA = 0,
    ONLY_EXTRA,
    MEAN_OF_EXTRA  // one: attention.c
} kept_outputs;

// What is loaded of a model.
typedef struct request {
    tm_precision precision;
    const char *const *extra;  // outputs
    size_t extra_count;
    const tm_tail *tail;          // NULL: the whole network
    const tm_gradient *gradient;  // NULL: none
    kept_outputs outputs;
} request;

static bool is_extra(const request *wanted, const char *name) {
    for (size_t i = 0; i < wanted->extra_count; i++) {
        if (!strcmp(wanted->extra[i], name)) return true;
    }
    return false;
}

// The passes remove what then nobody needs.
static void drop_own_outputs(tm_graph *graph, const request *wanted) {
    size_t kept = 0;
    for (size_t i = 0; i < graph->output_count; i++) {
        if (!is_extra(wanted, graph->output_infos[i].name)) continue;
        graph->outputs[kept] = graph->outputs[i];
        graph->output_infos[kept++] = graph->output_infos[i];
    }
    graph->output_count = kept;
}

// Their indices stay.
static void join_own_outputs(tm_graph *graph, const request *wanted) {
    size_t one = wanted->tail->output;
    if (one >= graph->output_count) return;
    for (size_t i = 0; i < graph->output_count; i++)
        if (!is_extra(wanted, graph->output_infos[i].name)) graph->outputs[i] = graph->outputs[one];
}

static tagmask_status load(tm_gpu *gpu, const uint8_t *data, size_t size, const char *name, const char *folder,
                           const request *wanted, tm_graph **out, tm_error *err) {
    tm_graph *graph = tm_calloc(1, sizeof *graph);
    if (!graph) return tm_memory_fail(err);
    graph->gpu = gpu;
    graph->precision = wanted->precision;
    graph->name = tm_arena_strdup(&graph->arena, name);
    tagmask_status status = graph->name ? tm_import(graph, data, size, folder, wanted->extra, wanted->extra_count, err)
                                        : tm_memory_fail(err);
    if (status == TAGMASK_OK && wanted->outputs != OWN_AND_EXTRA) drop_own_outputs(graph, wanted);
    if (status == TAGMASK_OK && wanted->outputs == MEAN_OF_EXTRA) status = tm_attention_mean(graph, err);
    if (status == TAGMASK_OK && wanted->tail) join_own_outputs(graph, wanted);
    if (status == TAGMASK_OK && wanted->tail) status = tm_tail_cut(graph, wanted->tail->from, err);
    if (status == TAGMASK_OK && wanted->gradient) status = tm_gradient_append(graph, wanted->gradient, err);
    if (status == TAGMASK_OK) status = tm_run_passes(graph, err);
    if (status == TAGMASK_OK && wanted->tail)
        status = tm_tail_widen(graph, wanted->tail->dilation, wanted->tail->dense, err);
    if (status == TAGMASK_OK) mark_wanted(graph);
    if (status == TAGMASK_OK) tm_find_cam_heads(graph);
    if (status == TAGMASK_OK) status = tm_find_attentions(graph, err);
    if (status == TAGMASK_OK && gpu) status = tm_activations_get(gpu, &graph->activations, err);
    if (status == TAGMASK_OK && gpu) status = prepare(graph, err);
    if (status != TAGMASK_OK) {
        tm_fail_prefix(err, "%.300s", name);
        tm_graph_free(graph);
        return status;
    }
    *out = graph;
    return TAGMASK_OK;
}

tagmask_status tm_graph_load_memory_as(tm_gpu *gpu, tm_precision precision, const uint8_t *data, size_t size,
                                       const char *name_for_messages, const char *const *extra_outputs,
                                       size_t extra_count, tm_graph **graph, tm_error *err) {
    const request wanted = {precision, extra_outputs, extra_count, NULL, NULL, OWN_AND_EXTRA};
    return load(gpu, data, size, name_for_messages, NULL, &wanted, graph, err);
}

// Maps the file: the scan and protobuf-c read it once, front to back.
static tagmask_status map_file(const char *path, const void **data, size_t *size, tm_error *err) {
    TM_TRY(tm_check_regular(path, err));
    int file = tm_file_open(path);
    tm_file_info info;
    if (file < 0 || !tm_file_stat_open(file, &info)) {
        tm_fail(err, TAGMASK_ERROR_FILE, "%s: cannot be opened: %s", path, strerror(errno));
        if (file >= 0) tm_file_close(file);
        return TAGMASK_ERROR_FILE;
    }
    tagmask_status status = TAGMASK_OK;
    if (!info.size)
        status = tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: the file is empty; expected an ONNX model", path);
    else if (info.size > MODEL_BYTES_MAX)
        status = tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "%s: larger than 2 GiB, the limit of the ONNX format", path);
    if (status == TAGMASK_OK) {
        *size = (size_t)info.size;
        if (!tm_file_map(file, *size, data))
            status = tm_fail(err, TAGMASK_ERROR_FILE, "%s: cannot be read: %s", path, strerror(errno));
    }
    tm_file_close(file);
    return status;
}

static tagmask_status load_file(tm_gpu *gpu, const char *path, const request *wanted, tm_graph **graph, tm_error *err) {
    const void *data;
    size_t size;
    TM_TRY(map_file(path, &data, &size, err));
    size_t length = (size_t)(tm_file_name(path) - path);
    char *folder = tm_format("%.*s", (int)(length ? length : 1), length ? path : ".");
    tagmask_status status = folder ? load(gpu, data, size, path, folder, wanted, graph, err) : tm_memory_fail(err);
    free(folder);
    tm_file_unmap(data, size);
    return status;
}

tagmask_status tm_graph_load_as(tm_gpu *gpu, tm_precision precision, const char *path, const char *const *extra_outputs,
                                size_t extra_count, tm_graph **graph, tm_error *err) {
    const request wanted = {precision, extra_outputs, extra_count, NULL, NULL, OWN_AND_EXTRA};
    return load_file(gpu, path, &wanted, graph, err);
}

tagmask_status tm_graph_load_layers(tm_gpu *gpu, tm_precision precision, const char *path, const char *const *layers,
                                    size_t count, tm_graph **graph, tm_error *err) {
    const request wanted = {precision, layers, count, NULL, NULL, ONLY_EXTRA};
    return load_file(gpu, path, &wanted, graph, err);
}

tagmask_status tm_graph_load_attention(tm_gpu *gpu, tm_precision precision, const char *path, const char *const *blocks,
                                       size_t count, tm_graph **graph, tm_error *err) {
    const request wanted = {precision, blocks, count, NULL, NULL, MEAN_OF_EXTRA};
    return load_file(gpu, path, &wanted, graph, err);
}

tagmask_status tm_graph_load_tail(tm_gpu *gpu, const char *path, const tm_tail *tail, const char *const *extra_outputs,
                                  size_t extra_count, tm_graph **graph, tm_error *err) {
    const request wanted = {tail->precision, extra_outputs, extra_count, tail, NULL, OWN_AND_EXTRA};
    return load_file(gpu, path, &wanted, graph, err);
}

tagmask_status tm_graph_load_gradient(tm_gpu *gpu, const char *path, const tm_gradient *gradient,
                                      const char *const *extra_outputs, size_t extra_count, tm_graph **graph,
                                      tm_error *err) {
    const request wanted = {gradient->precision, extra_outputs, extra_count, NULL, gradient, OWN_AND_EXTRA};
    return load_file(gpu, path, &wanted, graph, err);
}

tagmask_status tm_graph_load_gradient_memory(tm_gpu *gpu, const uint8_t *data, size_t size,
                                             const char *name_for_messages, const tm_gradient *gradient,
                                             const char *const *extra_outputs, size_t extra_count, tm_graph **graph,
                                             tm_error *err) {
    const request wanted = {gradient->precision, extra_outputs, extra_count, NULL, gradient, OWN_AND_EXTRA};
    return load(gpu, data, size, name_for_messages, NULL, &wanted, graph, err);
}

tagmask_status tm_graph_weight(const tm_graph *graph, const char *name, tm_tensor *weight, tm_error *err) {
    for (size_t v = 0; v < graph->value_count; v++) {
        const tm_value *value = &graph->values[v];
        if (!value->kept || !value->data || strcmp(value->name, name) != 0) continue;
        if (!value->device[TM_LINEAR].buffer)
            return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "weight '%.200s' is not there before the network is planned",
                           name);
        *weight = (tm_tensor){value->dtype, TM_LINEAR, value->shape, value->device[TM_LINEAR]};
        weight->slice.size = tm_layout_bytes(&value->shape, TM_LINEAR);
        return TAGMASK_OK;
    }
    return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "'%.200s' is no weight that the network is differentiated by", name);
}

void tm_graph_free(tm_graph *graph) {
    if (!graph) return;
    while (graph->plans) tm_plan_drop_oldest(graph);
    for (size_t i = 0; i < graph->node_count; i++) {
        tm_node *node = &graph->nodes[i];
        if (node->op && node->op->release && node->prepared) node->op->release(node);
    }
    tm_pool_free(graph);
    tm_activations_release(graph->activations);
    free(graph->values);
    tm_arena_free(&graph->arena);
    free(graph);
}

size_t tm_graph_inputs(const tm_graph *graph, const tm_value_info **infos) {
    *infos = graph->input_infos;
    return graph->input_count;
}

size_t tm_graph_outputs(const tm_graph *graph, const tm_value_info **infos) {
    *infos = graph->output_infos;
    return graph->output_count;
}

// ---- Values.
int32_t tm_add_value(tm_graph *graph, const char *name) {
    void *values = graph->values;
    if (graph->value_count >= INT32_MAX ||
        !tm_grow(&values, &graph->value_capacity, graph->value_count + 1, sizeof *graph->values))
        return -1;
    graph->values = values;
    char *copy = tm_arena_strdup(&graph->arena, name);
    if (!copy) return -1;
    graph->values[graph->value_count] = (tm_value){.name = copy, .shape = {.rank = -1}, .producer = -1, .input = -1};
    return (int32_t)graph->value_count++;
}

int32_t tm_add_constant(tm_graph *graph, const char *name, tm_dtype dtype, const tm_shape *shape) {
    size_t count, bytes;
    if (!tm_shape_count(shape, &count) || !tm_mul_size(count, 8, &bytes)) return -1;
    void *data = tm_arena_alloc(&graph->arena, count * tm_dtype_size(dtype));
    int32_t index = data ? tm_add_value(graph, name) : -1;
    if (index < 0) return -1;
    graph->values[index].dtype = dtype;
    graph->values[index].shape = *shape;
    graph->values[index].data = data;
    return index;
}

const char *tm_graph_nan_weight(const tm_graph *graph) {
    return graph->nan_weight;
}

// ---- Rules.
tagmask_status tm_op_fail(const tm_op_ctx *ctx, tm_error *err, tagmask_status code, const char *format, ...) {
    char message[700];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return tm_fail(err, code, "node '%.200s' (%.60s, opset %lld): %s", ctx->node->name, ctx->node->op_type,
                   (long long)ctx->node->opset, message);
}

tm_op_ctx *tm_make_ctx(tm_arena *arena, tm_gpu *gpu, tm_node *node, tm_error *err) {
    tm_op_ctx *ctx = tm_arena_alloc(arena, sizeof *ctx);
    if (ctx) {
        ctx->gpu = gpu;
        ctx->node = node;
        ctx->arena = arena;
        ctx->input_count = node->input_count;
        ctx->output_count = node->output_count;
        ctx->in = tm_arena_alloc(arena, node->input_count * sizeof *ctx->in);
        ctx->out = tm_arena_alloc(arena, node->output_count * sizeof *ctx->out);
    }
    if (ctx && ctx->in && ctx->out) return ctx;
    tm_memory_fail(err);
    return NULL;
}

// What a shape rule claims is checked once, here, for all operators.
static tagmask_status check_outputs(const tm_op_ctx *ctx, tm_error *err) {
    for (size_t i = 0; i < ctx->output_count; i++) {
        size_t count, bytes;
        const tm_host_tensor *out = &ctx->out[i];
        if (ctx->node->outputs[i] < 0) continue;
        if (!tm_shape_count(&out->shape, &count) || !tm_mul_size(count, 8, &bytes) || bytes > (size_t)1 << 42) {
            char text[128];
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "output %zu would have the impossible shape %s", i,
                              tm_shape_text(&out->shape, text, sizeof text));
        }
        if (!tm_dtype_size(out->dtype) && i)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "has %zu outputs; expected at most %zu of this operator",
                              ctx->output_count, i);
        if (!tm_dtype_size(out->dtype))
            return tm_op_fail(ctx, err, TAGMASK_ERROR_INTERNAL, "output %zu has no data type", i);
    }
    return TAGMASK_OK;
}

#define ARENA_SLACK ((size_t)128 << 10)  // an arena grows by blocks

// Takes the elements that folding would go through from what is left of them. Their memory must be left, too.
static bool can_afford(const tm_op_ctx *ctx) {
    tm_graph *graph = ctx->graph;
    const tm_arena *arena = ctx->arena;
    size_t elements = 0, bytes = 0, count;
    for (size_t i = 0; i < ctx->input_count; i++) {
        bool read = ctx->in[i].data && !ctx->node->op->fold_from_shapes;
        if (read && tm_shape_count(&ctx->in[i].shape, &count)) elements += count;
    }
    for (size_t i = 0; i < ctx->output_count; i++) {
        if (ctx->node->outputs[i] < 0 || !tm_shape_count(&ctx->out[i].shape, &count)) continue;
        if (count > TM_FOLD_MAX / tm_dtype_size(ctx->out[i].dtype)) return false;
        elements += count;
        bytes += count * tm_dtype_size(ctx->out[i].dtype) + ARENA_SLACK;
    }
    if (arena->limit && bytes > arena->limit - TM_MIN(arena->total, arena->limit)) return false;
    if (elements > graph->most_folded - graph->folded) return false;
    graph->folded += elements;
    return true;
}

tagmask_status tm_evaluate(tm_op_ctx *ctx, bool allow_fold, bool *folded, tm_error *err) {
    const tm_op *op = ctx->node->op;
    *folded = false;
    TM_TRY(op->shape(ctx, err));
    TM_TRY(tm_check_attributes(ctx->node, err));
    TM_TRY(check_outputs(ctx, err));
    bool known = op->fold && allow_fold && ctx->node->fused.act == TM_ACT_NONE && ctx->node->fused.residual < 0;
    for (size_t i = 0; i < ctx->input_count; i++)
        known = known && (op->fold_from_shapes || ctx->node->inputs[i] < 0 || ctx->in[i].data);
    if (!known) return TAGMASK_OK;
    if (!can_afford(ctx)) {
        if (op->record) return TAGMASK_OK;
        return tm_op_fail(
            ctx, err, TAGMASK_ERROR_UNSUPPORTED,
            "what the model computes from constants or inputs on the host is out of proportion to their size");
    }
    bool empty = true;
    for (size_t i = 0; i < ctx->output_count; i++) {
        if (ctx->node->outputs[i] < 0) continue;
        size_t count = 0;
        tm_shape_count(&ctx->out[i].shape, &count);
        ctx->out[i].data = tm_arena_alloc(ctx->arena, count * tm_dtype_size(ctx->out[i].dtype));
        if (!ctx->out[i].data) return tm_memory_fail(err);
        empty = empty && !count;
    }
    // 2^50 rows of nothing are not gone through.
    *folded = empty;
    if (empty) return TAGMASK_OK;
    tm_error why = TAGMASK_ERROR_INIT;
    tagmask_status status = op->fold(ctx, &why);
    if (status == TAGMASK_ERROR_UNSUPPORTED && op->record) {  // the device can do it instead
        for (size_t i = 0; i < ctx->output_count; i++) ctx->out[i].data = NULL;
        return TAGMASK_OK;
    }
    if (status != TAGMASK_OK && err) *err = why;
    *folded = status == TAGMASK_OK;
    return status;
}
