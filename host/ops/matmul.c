// MatMul (batched, broadcast) and Gemm: one shader that reads matrices by strides.
#include "ops/matmul.h"

#include <stdlib.h>
#include <string.h>

#include "ops/gradients.h"

// Every vector of four words that nn/matmul_vec4 reads starts at a multiple of four.
static bool by_vectors(const tm_matmul *p, bool transposed) {
    bool whole = p->k % 4 == 0 && p->a_col == 1 && p->a_row % 4 == 0;
    whole = whole && (transposed ? p->b_col % 4 == 0 : p->b_col == 1 && p->n % 4 == 0 && p->b_row % 4 == 0);
    for (int d = 0; d < 6; d++) whole = whole && p->a_batch[d] % 4 == 0 && p->b_batch[d] % 4 == 0;
    return whole;
}

// Whether the rows of a matrix start at multiples of four words.
static bool whole_rows(uint32_t row, const uint32_t batch[6]) {
    bool whole = row % 4 == 0;
    for (int d = 0; d < 6; d++) whole = whole && batch[d] % 4 == 0;
    return whole;
}

// Whether nn/matmul_tile_texel serves: for drivers on the CPU whose loads are dear, and enough rows to share them.
static bool by_tiles(const tm_gpu_info *info, const tm_matmul *p, tm_slice a, tm_slice b) {
    return info->gpu_class == TM_GPU_CLASS_LAVAPIPE && p->m >= 4 && p->n >= 4 && p->a_col == 1 && p->b_col == 1 &&
           TM_MAX(a.size, b.size) / 16 < info->max_texel_elements;
}

static tagmask_status record_tiles(tm_op_ctx *ctx, tm_recorder *recorder, const tm_matmul *p, tm_launch *launch,
                                   tm_error *err) {
    const uint32_t size = 8, constants[] = {size,
                                            launch->constants[1],
                                            launch->constants[2],
                                            whole_rows(p->a_row, p->a_batch),
                                            whole_rows(p->b_row, p->b_batch),
                                            p->k % 4 != 0};
    launch->shader = "nn/matmul_tile_texel";
    launch->texel_shader = NULL;
    memcpy(launch->constants, constants, sizeof constants);
    launch->constant_count = TM_ARRAY_LEN(constants);
    launch->threads = (uint64_t)p->batches * tm_div_up(p->m, size) * tm_div_up(p->n, size);
    launch->rounds = p->k / 4 + 1;
    return tm_launch_threads(ctx, recorder, launch, err);
}

static tagmask_status record_product(tm_op_ctx *ctx, tm_recorder *recorder, const tm_matmul *product, tm_act act,
                                     tm_slice a, tm_weights b, tm_slice d, tm_slice out, tm_error *err) {
    uint32_t rows = product->m >= 4 ? 4 : 1;
    uint64_t tiles = (uint64_t)product->batches * ((product->m + rows - 1) / rows) * ((product->n + 3) / 4);
    bool transposed = product->b_row == 1 && product->b_col != 1, vectors = by_vectors(product, transposed);
    tm_launch launch = {.shader = b.half    ? "nn/matmul_vec4_half"
                                  : vectors ? "nn/matmul_vec4"
                                            : "nn/matmul",
                        .texel_shader = b.half    ? "nn/matmul_vec4_texel_half"
                                        : vectors ? "nn/matmul_vec4_texel"
                                                  : NULL,
                        .texel_inputs = 2,
                        .half = b.half ? 2 : 0,
                        .constants = {rows, act, d.buffer != NULL, transposed},
                        .constant_count = vectors ? 4 : 3,
                        .bindings = {a, b.slice, d.buffer ? d : a, out},
                        .binding_count = 4,
                        .push = product,
                        .push_size = sizeof *product,
                        .threads = tiles,
                        .rounds = vectors ? product->k / 4 : product->k,
                        .flops = 2.0 * product->batches * product->m * product->n * product->k};
    if (!product->k && !d.buffer) return tm_fill(recorder, out, 0, err);
    if (!product->k)
        launch.bindings[0] = launch.bindings[1] = d;  // never read
    else if (!b.half && by_tiles(tm_gpu_get_info(ctx->gpu), product, a, b.slice))
        return record_tiles(ctx, recorder, product, &launch, err);
    return tm_launch_threads(ctx, recorder, &launch, err);
}

// b of 16-bit floats is not larger than the device binds: see prepare_halves.
static tagmask_status record_parts(tm_op_ctx *ctx, tm_recorder *recorder, const tm_matmul *product, tm_slice a,
                                   tm_weights b, tm_slice d, tm_slice out, tm_error *err) {
    tm_act act = ctx->node->fused.act;
    const tm_gpu_info *info = tm_gpu_get_info(ctx->gpu);
    uint32_t step = (uint32_t)(info->buffer_alignment / 4), row = product->b_row;
    if (b.slice.size <= info->max_storage_range || product->batches > 1 || product->b_col != 1 || !row)
        return record_product(ctx, recorder, product, act, a, b, d, out, err);
    // Rows of B in parts that can be bound; each adds its products to what the parts before it made.
    uint32_t most = (uint32_t)TM_MIN(info->max_storage_range / 16 * 4 / row, (uint64_t)product->k) / step * step;
    if (!most) return record_product(ctx, recorder, product, act, a, b, d, out, err);  // fails: a row is too large
    for (uint32_t first = 0; first < product->k; first += most) {
        tm_matmul part = *product;
        part.k = TM_MIN(most, product->k - first);
        uint64_t skip_a = (uint64_t)first * product->a_col * 4, skip_b = (uint64_t)first * row * 4;
        tm_slice part_a = {a.buffer, a.offset + skip_a, a.size - skip_a};
        tm_weights part_b = {{b.slice.buffer, b.slice.offset + skip_b, (uint64_t)part.k * row * 4}, false};
        if (first) {
            d = out;
            part.d_row = product->n;
            part.d_col = 1;
            part.beta = 1;
        }
        bool last = first + part.k == product->k;
        TM_TRY(record_product(ctx, recorder, &part, last ? act : TM_ACT_NONE, part_a, part_b, d, out, err));
    }
    return TAGMASK_OK;
}

tagmask_status tm_matmul_record(tm_op_ctx *ctx, tm_recorder *recorder, const tm_matmul *product, tm_slice a, tm_slice b,
                                tm_slice d, tm_slice out, tm_error *err) {
    return record_parts(ctx, recorder, product, a, (tm_weights){b, false}, d, out, err);
}

// The node's own two matrices, with its fused activation.
static tagmask_status record_node(tm_op_ctx *ctx, tm_recorder *recorder, tm_matmul *product, tm_slice d,
                                  tm_error *err) {
    product->act_a = ctx->node->fused.a;
    product->act_b = ctx->node->fused.b;
    const tm_weights *prepared = ctx->node->prepared;
    tm_weights b = prepared ? *prepared : (tm_weights){ctx->gin[1].slice, false};
    return record_parts(ctx, recorder, product, ctx->gin[0].slice, b, d, ctx->gout[0].slice, err);
}

// A constant second matrix becomes 16-bit floats where the graph is loaded so and its vectors can be read whole,
// whatever the first one is. Not prepared: it is bound as it is.
static tagmask_status prepare_halves(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    const tm_host_tensor *b = &ctx->in[1];
    bool ta = tm_attr_int(ctx->node, "transA", 0) != 0, tb = tm_attr_int(ctx->node, "transB", 0) != 0;
    size_t count = 0;
    bool fits = tm_op_wants_halves(ctx) && b->data && b->dtype == TM_FLOAT32 && b->shape.rank == 2 &&
                tm_shape_count(&b->shape, &count) && count > 0 && !ta && b->shape.dim[tb] % 4 == 0 &&
                (tb || b->shape.dim[1] % 4 == 0);
    if (!fits || count * 4 > tm_gpu_get_info(ctx->gpu)->max_storage_range) return TAGMASK_OK;
    tm_weights *prepared = tm_calloc(1, sizeof *prepared);
    if (!prepared) return tm_op_fail(ctx, err, TAGMASK_ERROR_MEMORY, "out of memory");
    tagmask_status status = tm_op_upload_weights(ctx, b->data, count, prepared, recorder, err);
    if (status == TAGMASK_OK)
        ctx->node->prepared = prepared;
    else
        free(prepared);
    return status;
}

static void release(tm_node *node) {
    free(node->prepared);
    node->prepared = NULL;
}

// ---- MatMul: vectors are matrices of one row or column; leading dimensions broadcast.
typedef struct matmul_plan {
    tm_shape a, b;  // with at least two dimensions
    tm_shape batch;
} matmul_plan;

static tagmask_status make_matmul_plan(tm_op_ctx *ctx, const tm_shape *left, const tm_shape *right, matmul_plan *p,
                                       tm_error *err) {
    p->a = *left;
    p->b = *right;
    if (p->a.rank < 1 || p->b.rank < 1)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "multiplies a scalar; expected rank 1 or more");
    if (p->a.rank == 1) p->a = (tm_shape){2, {1, p->a.dim[0]}};
    if (p->b.rank == 1) p->b = (tm_shape){2, {p->b.dim[0], 1}};
    int32_t ar = p->a.rank - 2, br = p->b.rank - 2;
    p->batch.rank = TM_MAX(ar, br);
    bool fits = p->a.dim[ar + 1] == p->b.dim[br];
    for (int32_t d = 0; d < p->batch.rank; d++) {
        int32_t ad = d - (p->batch.rank - ar), bd = d - (p->batch.rank - br);
        int64_t x = ad < 0 ? 1 : p->a.dim[ad], y = bd < 0 ? 1 : p->b.dim[bd];
        fits = fits && (x == y || x == 1 || y == 1);
        p->batch.dim[d] = x == 1 ? y : x;
    }
    char a[128], b[128];
    if (fits) return TAGMASK_OK;
    return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "cannot multiply %s by %s", tm_shape_text(left, a, sizeof a),
                      tm_shape_text(right, b, sizeof b));
}

static tagmask_status shape_matmul(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 2, 2, err));
    TM_TRY(tm_need_float(ctx, 0, "the first matrix", err));
    TM_TRY(tm_need_float(ctx, 1, "the second matrix", err));
    matmul_plan p;
    TM_TRY(make_matmul_plan(ctx, &ctx->in[0].shape, &ctx->in[1].shape, &p, err));
    tm_shape shape = p.batch;
    if (ctx->in[0].shape.rank > 1) shape.dim[shape.rank++] = p.a.dim[p.a.rank - 2];
    if (ctx->in[1].shape.rank > 1) shape.dim[shape.rank++] = p.b.dim[p.b.rank - 1];
    tm_set_output(ctx, 0, TM_FLOAT32, &shape);
    ctx->flops = 2.0 * (double)tm_span(&shape, 0, shape.rank) * (double)p.a.dim[p.a.rank - 1];
    return TAGMASK_OK;
}

static void batch_strides(const tm_shape *matrix, const tm_shape *batch, int64_t *stride) {
    int64_t own[TM_MAX_RANK];
    tm_row_major(matrix->rank, matrix->dim, own);
    for (int32_t d = 0; d < batch->rank; d++) {
        int32_t s = d - (batch->rank - (matrix->rank - 2));
        stride[d] = s < 0 || matrix->dim[s] == 1 ? 0 : own[s];
    }
}

// Whether B is one matrix of whole rows that is larger than the device binds: tm_matmul_record takes its rows in parts.
static bool is_large(const tm_op_ctx *ctx, bool transposed) {
    const tm_shape *b = &ctx->in[1].shape;
    bool single = b->rank < 3 || tm_span(b, 0, b->rank - 2) == 1;
    return single && !transposed && tm_layout_bytes(b, TM_LINEAR) > tm_gpu_get_info(ctx->gpu)->max_storage_range;
}

// By batches, rows of A, and columns of B.
static void cut_matmul(tm_op_ctx *ctx, tm_cut *cut) {
    matmul_plan p;
    tm_error ignored;
    const tm_shape *a = &ctx->in[0].shape, *b = &ctx->in[1].shape;
    if (make_matmul_plan(ctx, a, b, &p, &ignored) != TAGMASK_OK) return;
    int32_t outer = p.batch.rank;
    for (int32_t d = 0; d < outer; d++) {
        int32_t ad = d - (outer - (p.a.rank - 2)), bd = d - (outer - (p.b.rank - 2));
        size_t axis = tm_cut_add(cut, p.batch.dim[d], 1);
        if (ad >= 0 && p.a.dim[ad] > 1) cut->dim[0][axis] = (int8_t)ad;
        if (bd >= 0 && p.b.dim[bd] > 1) cut->dim[1][axis] = (int8_t)bd;
        cut->dim[2][axis] = (int8_t)d;
    }
    if (a->rank > 1) {
        size_t axis = tm_cut_add(cut, a->dim[a->rank - 2], 1);
        cut->dim[0][axis] = (int8_t)(a->rank - 2);
        cut->dim[2][axis] = (int8_t)outer;
    }
    if (is_large(ctx, false)) {
        cut->own = 2;
    } else if (b->rank > 1 && !ctx->node->prepared) {
        size_t axis = tm_cut_add(cut, b->dim[b->rank - 1], 1);
        cut->dim[1][axis] = (int8_t)(b->rank - 1);
        cut->dim[2][axis] = (int8_t)(outer + (a->rank > 1));
    }
}

static tagmask_status record_matmul(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    matmul_plan p;
    TM_TRY(make_matmul_plan(ctx, &ctx->gin[0].shape, &ctx->gin[1].shape, &p, err));
    tm_matmul push = {.m = (uint32_t)p.a.dim[p.a.rank - 2],
                      .k = (uint32_t)p.a.dim[p.a.rank - 1],
                      .n = (uint32_t)p.b.dim[p.b.rank - 1],
                      .a_col = 1,
                      .b_col = 1,
                      .alpha = 1.0f};
    push.a_row = push.k;
    push.b_row = push.n;
    push.batches = (uint32_t)tm_span(&p.batch, 0, p.batch.rank);
    int64_t dim[TM_MAX_RANK], a[TM_MAX_RANK], b[TM_MAX_RANK];
    for (int32_t d = 0; d < p.batch.rank; d++) dim[d] = p.batch.dim[d];
    batch_strides(&p.a, &p.batch, a);
    batch_strides(&p.b, &p.batch, b);
    int32_t rank = tm_collapse(p.batch.rank, dim, (int64_t *const[]){a, b}, 2);
    // One matrix for all batches on the right: the batches are rows of one tall matrix.
    if (rank == 1 && b[0] == 0 && a[0] == (int64_t)push.m * push.k && push.batches > 1) {
        push.m *= push.batches;
        push.batches = 1;
        dim[0] = 1;
    }
    for (int32_t d = 0; d < 6; d++) push.batch_dim[d] = 1;
    for (int32_t d = 0; d < rank; d++) {
        push.batch_dim[6 - rank + d] = (uint32_t)dim[d];
        push.a_batch[6 - rank + d] = (uint32_t)a[d];
        push.b_batch[6 - rank + d] = (uint32_t)b[d];
    }
    return record_node(ctx, recorder, &push, (tm_slice){0}, err);
}

// ---- Gemm: alpha * A' B' + beta * C, where ' is an optional transposition and C broadcasts.
static tagmask_status shape_gemm(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, ctx->node->opset < 11 ? 3 : 2, 3, err));
    for (size_t i = 0; i < ctx->input_count; i++) TM_TRY(tm_need_float(ctx, i, "an input", err));
    const tm_shape *a = &ctx->in[0].shape, *b = &ctx->in[1].shape;
    bool ta = tm_attr_int(ctx->node, "transA", 0) != 0, tb = tm_attr_int(ctx->node, "transB", 0) != 0;
    char text_a[128], text_b[128];
    if (a->rank != 2 || b->rank != 2 || a->dim[!ta] != b->dim[tb])
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "cannot multiply %s%s by %s%s",
                          tm_shape_text(a, text_a, sizeof text_a), ta ? " transposed" : "",
                          tm_shape_text(b, text_b, sizeof text_b), tb ? " transposed" : "");
    tm_shape shape = {2, {a->dim[ta], b->dim[!tb]}};
    if (tm_has_input(ctx, 2)) {
        const tm_shape *c = &ctx->in[2].shape;
        bool fits = c->rank <= 2;
        for (int32_t d = 0; fits && d < c->rank; d++) fits = c->dim[d] == 1 || c->dim[d] == shape.dim[2 - c->rank + d];
        if (!fits)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "cannot add %s to %s",
                              tm_shape_text(c, text_a, sizeof text_a), tm_shape_text(&shape, text_b, sizeof text_b));
    }
    tm_set_output(ctx, 0, TM_FLOAT32, &shape);
    ctx->flops = 2.0 * (double)shape.dim[0] * (double)shape.dim[1] * (double)a->dim[!ta];
    return TAGMASK_OK;
}

static void cut_gemm(tm_op_ctx *ctx, tm_cut *cut) {
    bool ta = tm_attr_int(ctx->node, "transA", 0) != 0, tb = tm_attr_int(ctx->node, "transB", 0) != 0;
    bool added = tm_has_input(ctx, 2), large = is_large(ctx, tb), rows_only = large || ctx->node->prepared;
    const tm_shape *out = &ctx->out[0].shape, *c = added ? &ctx->in[2].shape : NULL;
    for (int8_t d = 0; d < (rows_only ? 1 : 2); d++) {
        size_t axis = tm_cut_add(cut, out->dim[d], 1);
        cut->dim[d][axis] = d == 0 ? ta : !tb;
        cut->dim[ctx->input_count][axis] = d;
        int32_t own = added ? d - (2 - c->rank) : -1;
        if (own >= 0 && c->dim[own] > 1) cut->dim[2][axis] = (int8_t)own;
    }
    if (large) cut->own = 2;
}

static tagmask_status record_gemm(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    const tm_shape *a = &ctx->gin[0].shape, *b = &ctx->gin[1].shape;
    bool ta = tm_attr_int(ctx->node, "transA", 0) != 0, tb = tm_attr_int(ctx->node, "transB", 0) != 0;
    tm_matmul push = {.m = (uint32_t)a->dim[ta],
                      .k = (uint32_t)a->dim[!ta],
                      .n = (uint32_t)b->dim[!tb],
                      .batches = 1,
                      .a_row = ta ? 1 : (uint32_t)a->dim[1],
                      .a_col = ta ? (uint32_t)a->dim[1] : 1,
                      .b_row = tb ? 1 : (uint32_t)b->dim[1],
                      .b_col = tb ? (uint32_t)b->dim[1] : 1,
                      .alpha = tm_attr_float(ctx->node, "alpha", 1.0f),
                      .beta = tm_attr_float(ctx->node, "beta", 1.0f)};
    for (int d = 0; d < 6; d++) push.batch_dim[d] = 1;
    tm_slice c = {0};
    if (ctx->input_count > 2 && ctx->gin[2].dtype != TM_DTYPE_NONE) {
        const tm_shape *s = &ctx->gin[2].shape;
        c = ctx->gin[2].slice;
        int64_t cols = s->rank > 0 ? s->dim[s->rank - 1] : 1, rows = s->rank > 1 ? s->dim[0] : 1;
        push.d_col = cols > 1;
        push.d_row = rows > 1 ? (uint32_t)cols : 0;
    }
    return record_node(ctx, recorder, &push, c, err);
}

const tm_op tm_ops_matmul[] = {
    {.type = "MatMul",
     .domain = "",
     .since = 1,
     .shape = shape_matmul,
     .prepare = prepare_halves,
     .release = release,
     .constant_inputs = 2,
     .cut = cut_matmul,
     .record = record_matmul,
     .gradient = tm_gradient_matmul},
    {.type = "Gemm",
     .domain = "",
     .since = 7,
     .shape = shape_gemm,
     .prepare = prepare_halves,
     .release = release,
     .constant_inputs = 2,
     .cut = cut_gemm,
     .record = record_gemm,
     .gradient = tm_gradient_gemm},
    {.type = NULL},
};
