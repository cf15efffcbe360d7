// Host evaluators, part 1: helpers for shape rules, and the folds that move elements without looking at them.
#include "ops/host_eval.h"

#include <string.h>

#include "ops/host_walk.h"

size_t tm_dtype_size(tm_dtype dtype) {
    switch (dtype) {
        case TM_UINT8:
        case TM_INT8:
        case TM_BOOL:
            return 1;
        case TM_UINT16:
        case TM_INT16:
            return 2;
        case TM_FLOAT32:
        case TM_INT32:
        case TM_UINT32:
            return 4;
        case TM_INT64:
        case TM_UINT64:
            return 8;
        default:
            return 0;
    }
}

const char *tm_dtype_name(tm_dtype dtype) {
    static const char *const names[] = {"none",  "float32", "uint8", "int8",    "uint16",  "int16",  "int32",
                                        "int64", "string",  "bool",  "float16", "float64", "uint32", "uint64"};
    if ((size_t)dtype < TM_ARRAY_LEN(names)) return names[dtype];
    return dtype == TM_BFLOAT16 ? "bfloat16" : "unknown";
}

// ---- Helpers for shape rules.
tagmask_status tm_host_ints(tm_op_ctx *ctx, size_t i, const int64_t **values, size_t *count, tm_error *err) {
    if (i >= ctx->input_count || ctx->in[i].dtype == TM_DTYPE_NONE)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "input %zu is missing", i);
    const tm_host_tensor *in = &ctx->in[i];
    if (in->dtype != TM_INT64 && in->dtype != TM_INT32)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "input %zu is %s; expected int64 or int32", i,
                          tm_dtype_name(in->dtype));
    if (!in->data)
        return tm_op_fail(
            ctx, err, TAGMASK_ERROR_UNSUPPORTED,
            "input %zu must be known before the network runs: a constant, or computed from shapes or from "
            "inputs given as host data",
            i);
    size_t n = 0;
    tm_shape_count(&in->shape, &n);
    if (in->dtype == TM_INT64) {
        *values = in->data;
    } else {
        int64_t *wide = tm_arena_alloc(ctx->arena, n * sizeof *wide);
        if (!wide) return tm_fail(err, TAGMASK_ERROR_MEMORY, "out of memory");
        for (size_t k = 0; k < n; k++) wide[k] = ((const int32_t *)in->data)[k];
        *values = wide;
    }
    *count = n;
    return TAGMASK_OK;
}

tagmask_status tm_attr_or_input_ints(tm_op_ctx *ctx, const char *name, size_t i, const int64_t **values, size_t *count,
                                     tm_error *err) {
    *values = tm_attr_ints(ctx->node, name, count);
    if (*values || i >= ctx->input_count || ctx->in[i].dtype == TM_DTYPE_NONE) return TAGMASK_OK;
    return tm_host_ints(ctx, i, values, count, err);
}

tagmask_status tm_broadcast(tm_op_ctx *ctx, size_t first, size_t last, tm_shape *shape, tm_error *err) {
    tm_shape result = {0};
    for (size_t i = first; i <= last && i < ctx->input_count; i++) {
        if (ctx->in[i].dtype != TM_DTYPE_NONE) result.rank = TM_MAX(result.rank, ctx->in[i].shape.rank);
    }
    for (int32_t d = 0; d < result.rank; d++) result.dim[d] = 1;
    for (size_t i = first; i <= last && i < ctx->input_count; i++) {
        const tm_shape *in = &ctx->in[i].shape;
        if (ctx->in[i].dtype == TM_DTYPE_NONE) continue;
        for (int32_t d = 0; d < in->rank; d++) {
            int64_t *out = &result.dim[d + result.rank - in->rank], dim = in->dim[d];
            if (dim == 1 || dim == *out) continue;
            if (*out != 1)
                return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT,
                                  "the inputs' shapes do not fit together: dimension %lld of input %zu meets %lld",
                                  (long long)dim, i, (long long)*out);
            *out = dim;
        }
    }
    *shape = result;
    return TAGMASK_OK;
}

tagmask_status tm_normalize_axis(tm_op_ctx *ctx, const char *what, int64_t axis, int32_t rank, int32_t *out,
                                 tm_error *err) {
    if (axis < -(int64_t)rank || axis >= rank)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "%s is %lld; expected %d to %d", what, (long long)axis, -rank,
                          rank - 1);
    *out = (int32_t)(axis < 0 ? axis + rank : axis);
    return TAGMASK_OK;
}

static void slice_axis(int64_t dim, int64_t start, int64_t end, int64_t step, int64_t *first, int64_t *count) {
    if (start < 0) start += dim;
    if (end < 0) end += dim;
    int64_t range;
    if (step > 0) {
        start = TM_CLAMP(start, 0, dim);
        end = TM_CLAMP(end, 0, dim);
        range = end - start;
    } else {
        start = TM_MIN(TM_MAX(start, 0), dim - 1);
        end = TM_CLAMP(end, -1, dim - 1);
        range = start - end;
        step = -step;
    }
    *first = start;
    *count = range > 0 ? (range + step - 1) / step : 0;
}

tagmask_status tm_slice_ranges(tm_op_ctx *ctx, tm_slice_range *range, tm_error *err) {
    const tm_shape *in = &ctx->in[0].shape;
    for (int32_t d = 0; d < in->rank; d++) {
        range->start[d] = 0;
        range->step[d] = 1;
        range->count[d] = in->dim[d];
    }
    const int64_t *starts, *ends, *axes, *steps;
    size_t n, end_count, axis_count, step_count;
    TM_TRY(tm_attr_or_input_ints(ctx, "starts", 1, &starts, &n, err));
    TM_TRY(tm_attr_or_input_ints(ctx, "ends", 2, &ends, &end_count, err));
    TM_TRY(tm_attr_or_input_ints(ctx, "axes", 3, &axes, &axis_count, err));
    TM_TRY(tm_attr_or_input_ints(ctx, "steps", 4, &steps, &step_count, err));
    if (n != end_count || (axes && n != axis_count) || (steps && n != step_count) || n > (size_t)in->rank)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "starts, ends, axes and steps have different lengths");
    for (size_t i = 0; i < n; i++) {
        int32_t axis = 0;
        TM_TRY(tm_normalize_axis(ctx, "an axis", axes ? axes[i] : (int64_t)i, in->rank, &axis, err));
        const int64_t far = (int64_t)1 << 62;
        int64_t step = steps ? TM_CLAMP(steps[i], -far, far) : 1;
        if (!step) return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "a step is 0");
        slice_axis(in->dim[axis], TM_CLAMP(starts[i], -far, far), TM_CLAMP(ends[i], -far, far), step,
                   &range->start[axis], &range->count[axis]);
        range->step[axis] = step;
    }
    return TAGMASK_OK;
}

// ---- Walking.
void tm_walk_start(tm_walk *walk, const tm_shape *shape) {
    *walk = (tm_walk){.rank = shape->rank};
    for (int32_t d = 0; d < shape->rank; d++) walk->dim[d] = shape->dim[d];
}

void tm_walk_operand(tm_walk *walk, int k, const tm_shape *operand) {
    int64_t stride = 1;
    for (int32_t d = operand->rank - 1; d >= 0; d--) {
        int32_t at = d + walk->rank - operand->rank;
        walk->stride[k][at] = operand->dim[d] == 1 ? 0 : stride;
        stride *= operand->dim[d];
    }
}

void tm_walk_next(tm_walk *walk) {
    for (int32_t d = walk->rank - 1; d >= 0; d--) {
        for (int k = 0; k < 3; k++) walk->at[k] += walk->stride[k][d];
        if (++walk->index[d] < walk->dim[d]) return;
        walk->index[d] = 0;
        for (int k = 0; k < 3; k++) walk->at[k] -= walk->stride[k][d] * walk->dim[d];
    }
}

static size_t count_of(const tm_host_tensor *tensor) {
    size_t count = 0;
    tm_shape_count(&tensor->shape, &count);
    return count;
}

// Copies operand 0 of the walk to consecutive elements.
static void gather_walk(tm_walk *walk, const tm_host_tensor *in, tm_host_tensor *out) {
    size_t size = tm_dtype_size(out->dtype), count = count_of(out);
    const uint8_t *from = in->data;
    uint8_t *to = out->data;
    for (size_t i = 0; i < count; i++, tm_walk_next(walk))
        memcpy(to + i * size, from + walk->at[0] * (int64_t)size, size);
}

// ---- Folds that move elements.
tagmask_status tm_fold_copy(tm_op_ctx *ctx, tm_error *err) {
    size_t count = count_of(&ctx->out[0]);
    if (count != count_of(&ctx->in[0]))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "input and output have different numbers of elements");
    if (count) memcpy(ctx->out[0].data, ctx->in[0].data, count * tm_dtype_size(ctx->out[0].dtype));
    return TAGMASK_OK;
}

static void around_axis(const tm_shape *shape, int32_t axis, size_t *outer, size_t *inner) {
    *outer = *inner = 1;
    for (int32_t d = 0; d < shape->rank; d++)
        if (d != axis) *(d < axis ? outer : inner) *= (size_t)shape->dim[d];
}

tagmask_status tm_fold_concat(tm_op_ctx *ctx, tm_error *err) {
    tm_host_tensor *out = &ctx->out[0];
    int32_t axis = 0;
    TM_TRY(tm_normalize_axis(ctx, "axis", tm_attr_int(ctx->node, "axis", 0), out->shape.rank, &axis, err));
    size_t outer, inner, size = tm_dtype_size(out->dtype);
    around_axis(&out->shape, axis, &outer, &inner);
    uint8_t *to = out->data;
    for (size_t o = 0; o < outer; o++) {
        for (size_t i = 0; i < ctx->input_count; i++) {
            size_t bytes = (size_t)ctx->in[i].shape.dim[axis] * inner * size;
            if (bytes) memcpy(to, (const uint8_t *)ctx->in[i].data + o * bytes, bytes);
            to += bytes;
        }
    }
    return TAGMASK_OK;
}

tagmask_status tm_fold_split(tm_op_ctx *ctx, tm_error *err) {
    const tm_host_tensor *in = &ctx->in[0];
    int32_t axis = 0;
    TM_TRY(tm_normalize_axis(ctx, "axis", tm_attr_int(ctx->node, "axis", 0), in->shape.rank, &axis, err));
    size_t outer, inner, size = tm_dtype_size(in->dtype);
    around_axis(&in->shape, axis, &outer, &inner);
    const uint8_t *from = in->data;
    for (size_t o = 0; o < outer; o++) {
        for (size_t i = 0; i < ctx->output_count; i++) {
            size_t bytes = (size_t)ctx->out[i].shape.dim[axis] * inner * size;
            if (bytes && ctx->out[i].data) memcpy((uint8_t *)ctx->out[i].data + o * bytes, from, bytes);
            from += bytes;
        }
    }
    return TAGMASK_OK;
}

tagmask_status tm_fold_slice(tm_op_ctx *ctx, tm_error *err) {
    tm_slice_range range;
    TM_TRY(tm_slice_ranges(ctx, &range, err));
    const tm_shape *in = &ctx->in[0].shape;
    tm_walk walk;
    tm_walk_start(&walk, &ctx->out[0].shape);
    int64_t stride = 1;
    for (int32_t d = in->rank - 1; d >= 0; d--) {
        walk.stride[0][d] = stride * (range.count[d] > 1 ? range.step[d] : 0);
        walk.at[0] += stride * range.start[d];
        stride *= in->dim[d];
    }
    gather_walk(&walk, &ctx->in[0], &ctx->out[0]);
    return TAGMASK_OK;
}

tagmask_status tm_fold_gather(tm_op_ctx *ctx, tm_error *err) {
    const tm_host_tensor *in = &ctx->in[0];
    const int64_t *indices;
    size_t n, outer, inner, size = tm_dtype_size(in->dtype);
    int32_t axis = 0;
    TM_TRY(tm_host_ints(ctx, 1, &indices, &n, err));
    TM_TRY(tm_normalize_axis(ctx, "axis", tm_attr_int(ctx->node, "axis", 0), in->shape.rank, &axis, err));
    around_axis(&in->shape, axis, &outer, &inner);
    int64_t dim = in->shape.dim[axis];
    const uint8_t *from = in->data;
    uint8_t *to = ctx->out[0].data;
    for (size_t o = 0; o < outer; o++) {
        for (size_t i = 0; i < n; i++) {
            if (indices[i] < -dim || indices[i] >= dim)
                return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "index %lld is outside a dimension of %lld",
                                  (long long)indices[i], (long long)dim);
            size_t row = (size_t)(indices[i] < 0 ? indices[i] + dim : indices[i]);
            memcpy(to, from + (o * (size_t)dim + row) * inner * size, inner * size);
            to += inner * size;
        }
    }
    return TAGMASK_OK;
}

tagmask_status tm_fold_transpose(tm_op_ctx *ctx, tm_error *err) {
    const tm_shape *in = &ctx->in[0].shape;
    int64_t stride[TM_MAX_RANK], step = 1;
    for (int32_t d = in->rank - 1; d >= 0; d--) {
        stride[d] = step;
        step *= in->dim[d];
    }
    size_t count;
    const int64_t *perm = tm_attr_ints(ctx->node, "perm", &count);
    tm_walk walk;
    tm_walk_start(&walk, &ctx->out[0].shape);
    for (int32_t d = 0; d < in->rank; d++) {
        int64_t axis = perm ? perm[d] : in->rank - 1 - d;
        if ((perm && count != (size_t)in->rank) || axis < 0 || axis >= in->rank)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "perm is not a permutation of the dimensions");
        walk.stride[0][d] = stride[axis];
    }
    gather_walk(&walk, &ctx->in[0], &ctx->out[0]);
    return TAGMASK_OK;
}

tagmask_status tm_fold_expand(tm_op_ctx *ctx, tm_error *err) {
    (void)err;
    tm_walk walk;
    tm_walk_start(&walk, &ctx->out[0].shape);
    tm_walk_operand(&walk, 0, &ctx->in[0].shape);
    gather_walk(&walk, &ctx->in[0], &ctx->out[0]);
    return TAGMASK_OK;
}

// Each dimension becomes two: the repeats (stride 0) and the elements.
tagmask_status tm_fold_tile(tm_op_ctx *ctx, tm_error *err) {
    const tm_shape *in = &ctx->in[0].shape, *out = &ctx->out[0].shape;
    tm_walk walk = {.rank = 2 * in->rank};
    int64_t stride = 1;
    for (int32_t d = in->rank - 1; d >= 0; d--) {
        if (in->dim[d] && out->dim[d] % in->dim[d])
            return tm_op_fail(ctx, err, TAGMASK_ERROR_INTERNAL, "an output dimension is no multiple of the input's");
        walk.dim[2 * d] = in->dim[d] ? out->dim[d] / in->dim[d] : 0;
        walk.dim[2 * d + 1] = in->dim[d];
        walk.stride[0][2 * d + 1] = stride;
        stride *= in->dim[d];
    }
    gather_walk(&walk, &ctx->in[0], &ctx->out[0]);
    return TAGMASK_OK;
}
