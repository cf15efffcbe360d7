// Attention (opset 23 on): scaled dot products of queries and keys, masked, softmax, times the values. Heads of queries
// may share heads of keys and values. Queries, keys and values are read where they lie, by strides; only a cache (past
// keys and values before the new ones) is put together.
#include <math.h>

#include "ops/matmul.h"

enum { QUERY, KEY, VALUE, MASK, PAST_KEY, PAST_VALUE, VALID };

// A tensor [batch][heads][length][size], or [batch][length][heads * size].
typedef struct head_tensor {
    int64_t heads, length, size;
    int64_t batch_stride, head_stride, row_stride;
} head_tensor;

typedef struct attention {
    int64_t batch, past;
    bool flat;                                         // rank 3
    head_tensor q, k, v;                               // as given
    head_tensor keys, values;                          // with the past before them
    uint64_t scores, key_cache, value_cache, product;  // bytes of scratch; 0: not needed
} attention;

static bool wants(const tm_op_ctx *ctx, size_t output) {
    return output < ctx->output_count && ctx->node->outputs[output] >= 0;
}

static head_tensor contiguous(int64_t heads, int64_t length, int64_t size) {
    head_tensor t = {heads, length, size, heads * length * size, length * size, size};
    return t;
}

static tagmask_status read_heads(const tm_op_ctx *ctx, size_t input, int64_t heads, head_tensor *t, tm_error *err) {
    const tm_shape *s = &ctx->in[input].shape;
    if (s->rank == 4) {
        *t = contiguous(s->dim[1], s->dim[2], s->dim[3]);
    } else if (heads >= 1 && s->dim[2] % heads == 0) {
        *t = (head_tensor){heads, s->dim[1], s->dim[2] / heads, s->dim[1] * s->dim[2], s->dim[2] / heads, s->dim[2]};
    } else {
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT,
                          "input %zu has %lld channels, which %lld heads (q_num_heads, kv_num_heads) do not divide",
                          input, (long long)s->dim[2], (long long)heads);
    }
    return TAGMASK_OK;
}

// Past keys or values [batch][heads][past][size], put before the new ones.
static tagmask_status read_past(const tm_op_ctx *ctx, size_t input, const head_tensor *given, int64_t batch,
                                int64_t *past, head_tensor *whole, tm_error *err) {
    *past = 0;
    *whole = *given;
    if (!tm_has_input(ctx, input)) return TAGMASK_OK;
    const tm_shape *s = &ctx->in[input].shape;
    if (s->rank != 4 || s->dim[0] != batch || s->dim[1] != given->heads || s->dim[3] != given->size)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "input %zu (past) does not fit the new keys and values",
                          input);
    *past = s->dim[2];
    *whole = contiguous(given->heads, given->length + *past, given->size);
    return TAGMASK_OK;
}

static tagmask_status check_mask(const tm_op_ctx *ctx, const attention *a, tm_error *err) {
    if (!tm_has_input(ctx, MASK)) return TAGMASK_OK;
    const tm_host_tensor *mask = &ctx->in[MASK];
    const int64_t seen[4] = {a->batch, a->q.heads, a->q.length, a->keys.length};
    bool fits = (mask->dtype == TM_BOOL || mask->dtype == TM_FLOAT32) && mask->shape.rank >= 1 && mask->shape.rank <= 4;
    for (int32_t d = 0; fits && d < mask->shape.rank; d++) {
        int64_t size = mask->shape.dim[d], expected = seen[4 - mask->shape.rank + d];
        bool last = d == mask->shape.rank - 1;
        fits = size == expected || size == 1 || (last && size < expected);
    }
    if (fits) return TAGMASK_OK;
    char text[128];
    return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT,
                      "attn_mask is %s of %s; expected bool or float that broadcasts to %lldx%lldx%lldx%lld",
                      tm_shape_text(&mask->shape, text, sizeof text), tm_dtype_name(mask->dtype), (long long)seen[0],
                      (long long)seen[1], (long long)seen[2], (long long)seen[3]);
}

static tagmask_status read_attention(tm_op_ctx *ctx, attention *a, tm_error *err) {
    *a = (attention){.flat = ctx->in[QUERY].shape.rank == 3, .batch = ctx->in[QUERY].shape.dim[0]};
    for (size_t i = QUERY; i <= VALUE; i++) {
        const tm_shape *s = &ctx->in[i].shape;
        if (s->rank != (a->flat ? 3 : 4) || s->dim[0] != a->batch)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT,
                              "queries, keys and values need the same batch, and all rank 3 or all rank 4");
    }
    int64_t heads = tm_attr_int(ctx->node, "q_num_heads", 0), shared = tm_attr_int(ctx->node, "kv_num_heads", 0);
    int64_t past_values;
    TM_TRY(read_heads(ctx, QUERY, heads, &a->q, err));
    TM_TRY(read_heads(ctx, KEY, shared, &a->k, err));
    TM_TRY(read_heads(ctx, VALUE, shared, &a->v, err));
    TM_TRY(read_past(ctx, PAST_KEY, &a->k, a->batch, &a->past, &a->keys, err));
    TM_TRY(read_past(ctx, PAST_VALUE, &a->v, a->batch, &past_values, &a->values, err));
    bool fits = a->k.heads >= 1 && a->q.heads % a->k.heads == 0 && a->v.heads == a->k.heads && a->q.size == a->k.size &&
                a->keys.length == a->values.length && a->past == past_values;
    if (!fits || a->keys.length < 1)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "queries, keys and values have shapes that do not fit");
    if (tm_has_input(ctx, VALID) && (a->past || ctx->in[VALID].shape.rank != 1 ||
                                     ctx->in[VALID].shape.dim[0] != a->batch || ctx->in[VALID].dtype != TM_INT64))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT,
                          "nonpad_kv_seqlen needs one int64 for each of the batch, and no past keys");
    int64_t mode = tm_attr_int(ctx->node, "qk_matmul_output_mode", 0);
    if (mode < 0 || mode > 3)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "qk_matmul_output_mode is %lld; expected 0..3",
                          (long long)mode);
    return check_mask(ctx, a, err);
}

static uint64_t scratch_of(int64_t batch, const head_tensor *t, int64_t columns) {
    return tm_align_up((uint64_t)(batch * t->heads * t->length * columns) * 4 + 16, 256);
}

static void plan_scratch(tm_op_ctx *ctx, attention *a) {
    a->scores = scratch_of(a->batch, &a->q, a->keys.length);
    if (a->past && !wants(ctx, 1)) a->key_cache = scratch_of(a->batch, &a->keys, a->keys.size);
    if (a->past && !wants(ctx, 2)) a->value_cache = scratch_of(a->batch, &a->values, a->values.size);
    if (a->flat) a->product = scratch_of(a->batch, &a->q, a->values.size);
}

static tagmask_status shape_attention(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 3, 7, err));
    for (size_t i = 0; i < ctx->input_count; i++)
        if (i != MASK && i != VALID) TM_TRY(tm_need_float(ctx, i, "an input", err));
    if (ctx->in[QUERY].shape.rank < 3 || ctx->in[QUERY].shape.rank > 4)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "queries have rank %d; expected 3 or 4",
                          (int)ctx->in[QUERY].shape.rank);
    attention a;
    TM_TRY(read_attention(ctx, &a, err));
    tm_shape y = {4, {a.batch, a.q.heads, a.q.length, a.v.size}};
    if (a.flat) y = (tm_shape){3, {a.batch, a.q.length, a.q.heads * a.v.size}};
    tm_set_output(ctx, 0, TM_FLOAT32, &y);
    const tm_shape others[] = {{4, {a.batch, a.k.heads, a.keys.length, a.k.size}},
                               {4, {a.batch, a.v.heads, a.values.length, a.v.size}},
                               {4, {a.batch, a.q.heads, a.q.length, a.keys.length}}};
    for (size_t i = 1; i < ctx->output_count && i <= 3; i++) tm_set_output(ctx, i, TM_FLOAT32, &others[i - 1]);
    plan_scratch(ctx, &a);
    ctx->scratch_bytes = a.scores + a.key_cache + a.value_cache + a.product;
    ctx->flops = 2.0 * (double)(a.batch * a.q.heads * a.q.length * a.keys.length) * (double)(a.q.size + a.v.size);
    return TAGMASK_OK;
}

// By images and, where each head of the queries has its own keys, by heads.
static void cut_attention(tm_op_ctx *ctx, tm_cut *cut) {
    attention a;
    tm_error ignored;
    if (read_attention(ctx, &a, &ignored) != TAGMASK_OK) return;
    plan_scratch(ctx, &a);
    bool heads = !a.flat && a.q.heads == a.k.heads;
    for (int8_t d = 0; d < (heads ? 2 : 1); d++) {
        size_t axis = tm_cut_add(cut, d ? a.q.heads : a.batch, 1);
        for (size_t i = 0; i < ctx->input_count + ctx->output_count; i++) cut->dim[i][axis] = d;
        if (d && ctx->input_count > VALID) cut->dim[VALID][axis] = -1;
        if (!tm_has_input(ctx, MASK)) continue;
        int32_t own = d - (4 - ctx->in[MASK].shape.rank);
        cut->dim[MASK][axis] = own >= 0 && ctx->in[MASK].shape.dim[own] > 1 ? (int8_t)own : -1;
    }
    cut->hidden[0].bytes = a.scores;
    cut->hidden[0].axes = heads ? 3 : 1;
}

// Copies [batch][heads][length][size] between strides.
static tagmask_status copy_heads(tm_op_ctx *ctx, tm_recorder *recorder, int64_t batch, tm_slice from,
                                 const head_tensor *in, tm_slice to, const head_tensor *out, int64_t out_offset,
                                 tm_error *err) {
    tm_copy_spec copy = {.from = from,
                         .to = to,
                         .rank = 4,
                         .dim = {batch, in->heads, in->length, in->size},
                         .in_stride = {in->batch_stride, in->head_stride, in->row_stride, 1},
                         .out_stride = {out->batch_stride, out->head_stride, out->row_stride, 1},
                         .out_offset = out_offset};
    if (!batch || !in->heads || !in->length || !in->size) return TAGMASK_OK;
    return tm_strided_copy(ctx, recorder, &copy, err);
}

// The past and the new keys (or values) where the products read them: *whole says how they lie in *slice.
static tagmask_status join_cache(tm_op_ctx *ctx, tm_recorder *recorder, const attention *a, size_t input, size_t past,
                                 size_t output, tm_slice scratch, head_tensor *whole, tm_slice *slice, tm_error *err) {
    const head_tensor *given = input == KEY ? &a->k : &a->v;
    *slice = ctx->gin[input].slice;
    head_tensor target = contiguous(given->heads, given->length + a->past, given->size);
    if (wants(ctx, output)) scratch = ctx->gout[output].slice;
    if (wants(ctx, output) || a->past)
        TM_TRY(copy_heads(ctx, recorder, a->batch, *slice, given, scratch, &target, a->past * given->size, err));
    *whole = *given;
    if (!a->past) return TAGMASK_OK;
    head_tensor before = contiguous(given->heads, a->past, given->size);
    TM_TRY(copy_heads(ctx, recorder, a->batch, ctx->gin[past].slice, &before, scratch, &target, 0, err));
    *whole = target;
    *slice = scratch;
    return TAGMASK_OK;
}

// A product for each head of the queries; `a` follows the queries' heads, `b` the shared heads of keys and values.
static tm_matmul head_product(const attention *t, const head_tensor *a, const head_tensor *b) {
    uint32_t group = (uint32_t)(t->q.heads / t->k.heads);
    tm_matmul p = {
        .batches = (uint32_t)(t->batch * t->q.heads),
        .a_row = (uint32_t)a->row_stride,
        .a_col = 1,
        .alpha = 1,
        .batch_dim = {1, 1, 1, (uint32_t)t->batch, (uint32_t)t->k.heads, group},
        .a_batch = {0, 0, 0, (uint32_t)a->batch_stride, (uint32_t)a->head_stride * group, (uint32_t)a->head_stride},
        .b_batch = {0, 0, 0, (uint32_t)b->batch_stride, (uint32_t)b->head_stride, 0}};
    return p;
}

static tagmask_status record_masked_softmax(tm_op_ctx *ctx, tm_recorder *recorder, const attention *a, tm_slice scores,
                                            tm_error *err) {
    const tm_node *node = ctx->node;
    struct {
        uint32_t rows, heads, queries, keys, mask_stride[4], mask_keys;
        float softcap;
        int32_t causal, left, right, past;
    } push = {.rows = (uint32_t)(a->batch * a->q.heads * a->q.length),
              .heads = (uint32_t)a->q.heads,
              .queries = (uint32_t)a->q.length,
              .keys = (uint32_t)a->keys.length,
              .softcap = tm_attr_float(node, "softcap", 0),
              .causal = tm_attr_int(node, "is_causal", 0) != 0,
              .left = (int32_t)TM_CLAMP(tm_attr_int(node, "left_window_size", -1), -1, 1 << 24),
              .right = (int32_t)TM_CLAMP(tm_attr_int(node, "right_window_size", -1), -1, 1 << 24),
              .past = (int32_t)a->past};
    bool masked = ctx->input_count > MASK && ctx->gin[MASK].dtype != TM_DTYPE_NONE;
    bool valid = ctx->input_count > VALID && ctx->gin[VALID].dtype != TM_DTYPE_NONE;
    if (masked) {
        const tm_shape *s = &ctx->gin[MASK].shape;
        int64_t own[TM_MAX_RANK];
        tm_row_major(s->rank, s->dim, own);
        for (int32_t d = 0; d < s->rank; d++)
            push.mask_stride[4 - s->rank + d] = s->dim[d] == 1 && d < s->rank - 1 ? 0 : (uint32_t)own[d];
        push.mask_keys = (uint32_t)s->dim[s->rank - 1];
        if (push.mask_keys == 1 && a->keys.length > 1) {  // one element for all keys
            push.mask_stride[3] = 0;
            push.mask_keys = push.keys;
        }
    }
    bool shown = wants(ctx, 3);
    uint32_t mask_kind = !masked ? 0 : ctx->gin[MASK].dtype == TM_BOOL ? 2 : 1;
    tm_launch launch = {
        .shader = "nn/attention_softmax",
        .constants = {mask_kind, valid, shown ? 1 + (uint32_t)tm_attr_int(node, "qk_matmul_output_mode", 0) : 0},
        .constant_count = 3,
        .bindings = {scores, masked ? ctx->gin[MASK].slice : scores, valid ? ctx->gin[VALID].slice : scores,
                     shown ? ctx->gout[3].slice : scores},
        .binding_count = 4,
        .push = &push,
        .push_size = sizeof push,
        .threads = push.rows,
        .rounds = 3 * ((uint64_t)push.keys / 8 + 1),
        .flops = 10.0 * push.rows * push.keys};
    return tm_launch_threads(ctx, recorder, &launch, err);
}

static tagmask_status record_attention(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    attention a;
    tm_op_ctx piece = *ctx;
    tm_host_tensor in[7];
    for (size_t i = 0; i < ctx->input_count; i++) in[i] = (tm_host_tensor){ctx->in[i].dtype, ctx->gin[i].shape, NULL};
    piece.in = in;
    TM_TRY(read_attention(&piece, &a, err));
    plan_scratch(ctx, &a);
    uint64_t offset = 0, sizes[] = {a.scores, a.key_cache, a.value_cache, a.product};
    tm_slice parts[4], keys, values;
    for (size_t i = 0; i < TM_ARRAY_LEN(parts); i++, offset += sizes[i - 1])
        parts[i] = (tm_slice){ctx->scratch.buffer, ctx->scratch.offset + offset, sizes[i]};
    TM_TRY(join_cache(ctx, recorder, &a, KEY, PAST_KEY, 1, parts[1], &a.keys, &keys, err));
    TM_TRY(join_cache(ctx, recorder, &a, VALUE, PAST_VALUE, 2, parts[2], &a.values, &values, err));

    tm_matmul p = head_product(&a, &a.q, &a.keys);
    p.m = (uint32_t)a.q.length;
    p.n = (uint32_t)a.keys.length;
    p.k = (uint32_t)a.q.size;
    p.b_row = 1;
    p.b_col = (uint32_t)a.keys.row_stride;
    p.alpha = tm_attr_float(ctx->node, "scale", 1.0f / sqrtf((float)a.q.size));
    TM_TRY(tm_matmul_record(ctx, recorder, &p, ctx->gin[QUERY].slice, keys, (tm_slice){0}, parts[0], err));
    TM_TRY(record_masked_softmax(ctx, recorder, &a, parts[0], err));

    head_tensor scores = contiguous(a.q.heads, a.q.length, a.keys.length);
    p = head_product(&a, &scores, &a.values);
    p.m = (uint32_t)a.q.length;
    p.n = (uint32_t)a.v.size;
    p.k = (uint32_t)a.keys.length;
    p.b_row = (uint32_t)a.values.row_stride;
    p.b_col = 1;
    tm_slice out = a.flat ? parts[3] : ctx->gout[0].slice;
    TM_TRY(tm_matmul_record(ctx, recorder, &p, parts[0], values, (tm_slice){0}, out, err));
    if (!a.flat) return TAGMASK_OK;
    head_tensor made = contiguous(a.q.heads, a.q.length, a.v.size);
    head_tensor flat = {a.q.heads, a.q.length,          a.v.size, a.q.length * a.q.heads * a.v.size,
                        a.v.size,  a.q.heads * a.v.size};
    return copy_heads(ctx, recorder, a.batch, out, &made, ctx->gout[0].slice, &flat, 0, err);
}

const tm_op tm_ops_attention[] = {
    {.type = "Attention",
     .domain = "",
     .since = 23,
     .shape = shape_attention,
     .cut = cut_attention,
     .record = record_attention},
    {.type = NULL},
};
