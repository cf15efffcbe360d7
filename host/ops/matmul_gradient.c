// Gradients of matrix products. MatrixGradient(g, other, like) is the product for one operand of a MatMul (side 0: g
// B', side 1: A' g, where ' transposes the last two dimensions), for all batches that the result had; what was
// broadcast is summed after it.
#include "ops/gradients.h"
#include "ops/matmul.h"

void tm_gradient_matmul(tm_backward *back) {
    for (size_t side = 0; side < 2; side++) {
        if (!tm_back_wants(back, side)) continue;
        int32_t in = tm_back_in(back, side);
        int32_t product = TM_BACK(back, "MatrixGradient", tm_back_from(back, 0), tm_back_in(back, 1 - side), in);
        tm_back_int(back, "side", (int64_t)side);
        tm_back_give_sum(back, side, product);
    }
}

static int32_t gemm(tm_backward *back, int32_t a, int32_t b, bool ta, bool tb) {
    int32_t product = TM_BACK(back, "Gemm", a, b);
    tm_back_int(back, "transA", ta);
    tm_back_int(back, "transB", tb);
    tm_back_float(back, "alpha", tm_attr_float(tm_back_node(back), "alpha", 1));
    return product;
}

void tm_gradient_gemm(tm_backward *back) {
    const tm_node *node = tm_back_node(back);
    int32_t g = tm_back_from(back, 0), a = tm_back_in(back, 0), b = tm_back_in(back, 1);
    bool ta = tm_attr_int(node, "transA", 0) != 0, tb = tm_attr_int(node, "transB", 0) != 0;
    if (tm_back_wants(back, 0)) tm_back_give(back, 0, ta ? gemm(back, b, g, tb, true) : gemm(back, g, b, false, !tb));
    if (tm_back_wants(back, 1)) tm_back_give(back, 1, tb ? gemm(back, g, a, true, ta) : gemm(back, a, g, !ta, false));
    if (!tm_back_wants(back, 2)) return;
    float beta = tm_attr_float(node, "beta", 1);
    tm_back_give_sum(back, 2, beta == 1 ? g : TM_BACK(back, "Mul", g, tm_back_scalar(back, beta)));
}

// ---- The operator. A vector is a matrix of one row on the left, of one column on the right.
typedef struct product {
    tm_shape g, other, like, batch;  // g, other, like: with two dimensions at least
    bool right, vector;              // like is the right operand; it has one dimension
} product;

static void as_matrix(tm_shape *shape, bool row) {
    if (shape->rank == 1) *shape = row ? (tm_shape){2, {1, shape->dim[0]}} : (tm_shape){2, {shape->dim[0], 1}};
}

// The result of a product with a vector lacks a dimension.
static void insert_one(tm_shape *shape, int32_t at) {
    for (int32_t d = shape->rank; d > at; d--) shape->dim[d] = shape->dim[d - 1];
    shape->dim[at] = 1;
    shape->rank++;
}

static product read_product(const tm_op_ctx *ctx, const tm_shape *g, const tm_shape *other) {
    product p = {.g = *g, .other = *other, .like = ctx->in[2].shape, .right = tm_attr_int(ctx->node, "side", 0) != 0};
    const tm_shape *left = p.right ? other : &ctx->in[2].shape, *right = p.right ? &ctx->in[2].shape : other;
    p.vector = p.like.rank == 1;
    bool row = left->rank == 1, column = right->rank == 1;
    if (column) insert_one(&p.g, p.g.rank);
    if (row) insert_one(&p.g, p.g.rank - 1);
    as_matrix(&p.other, p.right);
    as_matrix(&p.like, !p.right);
    p.batch = p.g;
    p.batch.rank -= 2;
    return p;
}

static tagmask_status shape_matrix(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 3, 3, err));
    TM_TRY(tm_need_float(ctx, 0, "the gradient", err));
    TM_TRY(tm_need_float(ctx, 1, "the other matrix", err));
    if (ctx->in[0].shape.rank > TM_MAX_RANK - 2)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "has %d dimensions; at most %d are supported",
                          (int)ctx->in[0].shape.rank, TM_MAX_RANK - 2);
    product p = read_product(ctx, &ctx->in[0].shape, &ctx->in[1].shape);
    tm_shape shape = p.batch;
    // A left vector has one row, which is summed over as all that was broadcast; a right one has no dimension for its
    // one column.
    shape.dim[shape.rank++] = p.like.dim[p.like.rank - 2];
    if (!(p.vector && p.right)) shape.dim[shape.rank++] = p.like.dim[p.like.rank - 1];
    int64_t inner = p.right ? p.other.dim[p.other.rank - 2] : p.other.dim[p.other.rank - 1];
    // One matrix on the right of a batch: a single product that sums over the batch as well.
    ctx->choice = p.right && p.like.rank == 2 && p.other.rank == p.g.rank && p.other.rank > 2 && !p.vector;
    for (int32_t d = 0; d < p.batch.rank; d++) ctx->choice = ctx->choice && p.other.dim[d] == p.batch.dim[d];
    if (ctx->choice) shape = p.like;
    tm_set_output(ctx, 0, TM_FLOAT32, &shape);
    ctx->flops = 2.0 * (double)tm_span(&shape, 0, shape.rank) * (double)inner;
    if (ctx->choice) ctx->flops *= (double)tm_span(&p.batch, 0, p.batch.rank);
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

static tagmask_status record_matrix(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    product p = read_product(ctx, &ctx->gin[0].shape, &ctx->gin[1].shape);
    uint32_t rows = (uint32_t)p.g.dim[p.g.rank - 2], columns = (uint32_t)p.g.dim[p.g.rank - 1],
             m = (uint32_t)p.other.dim[p.other.rank - 2], n = (uint32_t)p.other.dim[p.other.rank - 1];
    uint32_t batches = (uint32_t)tm_span(&p.batch, 0, p.batch.rank);
    tm_matmul push = {.batches = batches, .alpha = 1};
    if (p.right) {  // other' g: (n x m) (m x columns)
        push.m = n;
        push.k = m;
        push.n = columns;
        push.a_row = 1;
        push.a_col = n;
        push.b_row = columns;
        push.b_col = 1;
        if (ctx->choice) {
            push.k *= batches;
            push.batches = 1;
        }
    } else {  // g other': (rows x columns) (n x m)
        push.m = rows;
        push.k = columns;
        push.n = m;
        push.a_row = columns;
        push.a_col = 1;
        push.b_row = 1;
        push.b_col = n;
    }
    int64_t dim[TM_MAX_RANK], g[TM_MAX_RANK], other[TM_MAX_RANK];
    for (int32_t d = 0; d < p.batch.rank; d++) dim[d] = p.batch.dim[d];
    batch_strides(&p.g, &p.batch, g);
    batch_strides(&p.other, &p.batch, other);
    int32_t rank = ctx->choice ? 0 : tm_collapse(p.batch.rank, dim, (int64_t *const[]){g, other}, 2);
    for (int32_t d = 0; d < 6; d++) push.batch_dim[d] = 1;
    for (int32_t d = 0; d < rank; d++) {
        push.batch_dim[6 - rank + d] = (uint32_t)dim[d];
        push.a_batch[6 - rank + d] = (uint32_t)(p.right ? other[d] : g[d]);
        push.b_batch[6 - rank + d] = (uint32_t)(p.right ? g[d] : other[d]);
    }
    tm_slice a = ctx->gin[p.right].slice, b = ctx->gin[!p.right].slice;
    return tm_matmul_record(ctx, recorder, &push, a, b, (tm_slice){0}, ctx->gout[0].slice, err);
}

const tm_op tm_ops_matmul_gradient[] = {
    {.type = "MatrixGradient",
     .domain = TM_GRADIENT_DOMAIN,
     .since = 1,
     .shape = shape_matrix,
     .shape_inputs = 4,
     .record = record_matrix},
    {.type = NULL},
};
