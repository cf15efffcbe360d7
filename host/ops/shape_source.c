// Operators whose outputs are known when shapes are: Shape, Size, Constant, ConstantOfShape, Range.
#include <math.h>
#include <string.h>

#include "ops/gradients.h"
#include "ops/host_eval.h"

// ---- Shape and Size
static void shape_bounds(const tm_op_ctx *ctx, int32_t *start, int32_t *end) {
    int32_t rank = ctx->in[0].shape.rank;
    int64_t first = tm_attr_int(ctx->node, "start", 0), last = tm_attr_int(ctx->node, "end", rank);
    first = TM_CLAMP(first, -(int64_t)TM_MAX_RANK, (int64_t)TM_MAX_RANK);
    last = TM_CLAMP(last, -(int64_t)TM_MAX_RANK, (int64_t)TM_MAX_RANK);
    *start = (int32_t)TM_CLAMP(first < 0 ? first + rank : first, (int64_t)0, (int64_t)rank);
    *end = (int32_t)TM_CLAMP(last < 0 ? last + rank : last, (int64_t)0, (int64_t)rank);
}

static tagmask_status check_one_input(tm_op_ctx *ctx, tm_error *err) {
    if (ctx->input_count != 1 || ctx->output_count != 1)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "it has %zu inputs and %zu outputs; expected one of each",
                          ctx->input_count, ctx->output_count);
    return TAGMASK_OK;
}

static tagmask_status shape_shape(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(check_one_input(ctx, err));
    int32_t start, end;
    shape_bounds(ctx, &start, &end);
    ctx->out[0].dtype = TM_INT64;
    ctx->out[0].shape = (tm_shape){.rank = 1, .dim = {TM_MAX(end - start, 0)}};
    return TAGMASK_OK;
}

static tagmask_status shape_fold(tm_op_ctx *ctx, tm_error *err) {
    (void)err;
    int32_t start, end;
    shape_bounds(ctx, &start, &end);
    for (int32_t d = start; d < end; d++) ((int64_t *)ctx->out[0].data)[d - start] = ctx->in[0].shape.dim[d];
    return TAGMASK_OK;
}

static tagmask_status size_shape(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(check_one_input(ctx, err));
    ctx->out[0].dtype = TM_INT64;
    ctx->out[0].shape = (tm_shape){0};
    return TAGMASK_OK;
}

static tagmask_status size_fold(tm_op_ctx *ctx, tm_error *err) {
    (void)err;
    size_t count = 0;
    tm_shape_count(&ctx->in[0].shape, &count);
    *(int64_t *)ctx->out[0].data = (int64_t)count;
    return TAGMASK_OK;
}

// ---- Constant
static tagmask_status constant_value(tm_op_ctx *ctx, tm_host_tensor *value, tm_error *err) {
    const tm_host_tensor *tensor = tm_attr_tensor(ctx->node, "value");
    size_t count;
    *value = (tm_host_tensor){0};
    if (ctx->input_count || ctx->output_count != 1)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "it has inputs or several outputs");
    if (tensor) {
        *value = *tensor;
        return TAGMASK_OK;
    }
    if ((value->data = (void *)(uintptr_t)tm_attr_ints(ctx->node, "value_ints", &count))) {
        value->dtype = TM_INT64;
        value->shape = (tm_shape){.rank = 1, .dim = {(int64_t)count}};
    } else if ((value->data = (void *)(uintptr_t)tm_attr_floats(ctx->node, "value_floats", &count))) {
        value->dtype = TM_FLOAT32;
        value->shape = (tm_shape){.rank = 1, .dim = {(int64_t)count}};
    } else if (tm_attr_has(ctx->node, "value_int")) {
        value->dtype = TM_INT64;
    } else if (tm_attr_has(ctx->node, "value_float")) {
        value->dtype = TM_FLOAT32;
    } else {
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "its value is not a dense tensor of numbers");
    }
    return TAGMASK_OK;
}

static tagmask_status constant_shape(tm_op_ctx *ctx, tm_error *err) {
    tm_host_tensor value;
    TM_TRY(constant_value(ctx, &value, err));
    ctx->out[0].dtype = value.dtype;
    ctx->out[0].shape = value.shape;
    return TAGMASK_OK;
}

static tagmask_status constant_fold(tm_op_ctx *ctx, tm_error *err) {
    tm_host_tensor value;
    TM_TRY(constant_value(ctx, &value, err));
    int64_t whole = tm_attr_int(ctx->node, "value_int", 0);
    float real = tm_attr_float(ctx->node, "value_float", 0);
    if (!value.data) value.data = value.dtype == TM_INT64 ? (void *)&whole : (void *)&real;
    size_t count = 0;
    tm_shape_count(&value.shape, &count);
    if (count) memcpy(ctx->out[0].data, value.data, count * tm_dtype_size(value.dtype));
    return TAGMASK_OK;
}

// ---- ConstantOfShape
static tagmask_status filled_shape(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(check_one_input(ctx, err));
    const int64_t *dims;
    size_t rank, count = 1;
    TM_TRY(tm_host_ints(ctx, 0, &dims, &rank, err));
    const tm_host_tensor *value = tm_attr_tensor(ctx->node, "value");
    if (rank > TM_MAX_RANK || (value && (!tm_shape_count(&value->shape, &count) || count != 1)))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "its shape has %zu dimensions, its value %zu elements", rank,
                          count);
    ctx->out[0].dtype = value ? value->dtype : TM_FLOAT32;
    ctx->out[0].shape = (tm_shape){.rank = (int32_t)rank};
    for (size_t d = 0; d < rank; d++) ctx->out[0].shape.dim[d] = dims[d];
    return TAGMASK_OK;
}

static tagmask_status filled_fold(tm_op_ctx *ctx, tm_error *err) {
    (void)err;
    const tm_host_tensor *value = tm_attr_tensor(ctx->node, "value");
    size_t count = 0, size = tm_dtype_size(ctx->out[0].dtype);
    tm_shape_count(&ctx->out[0].shape, &count);
    for (size_t i = 0; i < count; i++) {
        if (value)
            memcpy((uint8_t *)ctx->out[0].data + i * size, value->data, size);
        else
            ((float *)ctx->out[0].data)[i] = 0;
    }
    return TAGMASK_OK;
}

// ---- Range
// Exact where doubles are not: beyond 2^53.
static uint64_t whole_steps(int64_t start, int64_t limit, int64_t delta) {
    if (delta == 0 || (delta > 0 ? limit <= start : limit >= start)) return 0;
    uint64_t span = delta > 0 ? (uint64_t)limit - (uint64_t)start : (uint64_t)start - (uint64_t)limit;
    uint64_t step = delta > 0 ? (uint64_t)delta : 0 - (uint64_t)delta;
    return span / step + (span % step != 0);
}

static tagmask_status range_shape(tm_op_ctx *ctx, tm_error *err) {
    tm_dtype dtype = ctx->input_count == 3 ? ctx->in[0].dtype : TM_DTYPE_NONE;
    if (dtype != TM_INT64 && dtype != TM_INT32 && dtype != TM_FLOAT32)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "expected three scalars of float32, int32 or int64");
    double v[3], count;
    int64_t whole[3] = {0};
    for (size_t i = 0; i < 3; i++) {
        const tm_host_tensor *in = &ctx->in[i];
        size_t elements = 0;
        if (in->dtype != dtype || !tm_shape_count(&in->shape, &elements) || elements != 1)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "input %zu is not a scalar of the same type", i);
        if (!in->data)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "input %zu must be known before the network runs",
                              i);
        if (dtype != TM_FLOAT32) whole[i] = dtype == TM_INT64 ? *(const int64_t *)in->data : *(const int32_t *)in->data;
        v[i] = dtype == TM_FLOAT32 ? *(const float *)in->data : (double)whole[i];
    }
    count = dtype == TM_FLOAT32 ? ceil((v[1] - v[0]) / v[2]) : (double)whole_steps(whole[0], whole[1], whole[2]);
    if (v[2] == 0 || !(count < 1e9))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "from %g to %g in steps of %g is no range", v[0], v[1], v[2]);
    ctx->out[0].dtype = dtype;
    ctx->out[0].shape = (tm_shape){.rank = 1, .dim = {count > 0 ? (int64_t)count : 0}};
    return TAGMASK_OK;
}

static tagmask_status range_fold(tm_op_ctx *ctx, tm_error *err) {
    (void)err;
    int64_t count = ctx->out[0].shape.dim[0];
    for (int64_t i = 0; i < count; i++) {
        if (ctx->out[0].dtype == TM_FLOAT32) {
            const float *start = ctx->in[0].data, *delta = ctx->in[2].data;
            ((float *)ctx->out[0].data)[i] = (float)(*start + (double)i * *delta);
        } else if (ctx->out[0].dtype == TM_INT32) {
            const int32_t *start = ctx->in[0].data, *delta = ctx->in[2].data;
            ((int32_t *)ctx->out[0].data)[i] = (int32_t)((uint32_t)*start + (uint32_t)i * (uint32_t)*delta);
        } else {
            const int64_t *start = ctx->in[0].data, *delta = ctx->in[2].data;
            ((int64_t *)ctx->out[0].data)[i] = (int64_t)((uint64_t)*start + (uint64_t)i * (uint64_t)*delta);
        }
    }
    return TAGMASK_OK;
}

const tm_op tm_ops_shape_source[] = {
    {.type = "Shape",
     .domain = "",
     .since = 1,
     .shape = shape_shape,
     .fold = shape_fold,
     .fold_from_shapes = true,
     .gradient = tm_gradient_zero},
    {.type = "Size",
     .domain = "",
     .since = 1,
     .shape = size_shape,
     .fold = size_fold,
     .fold_from_shapes = true,
     .gradient = tm_gradient_zero},
    {.type = "Constant", .domain = "", .since = 1, .shape = constant_shape, .fold = constant_fold},
    {.type = "ConstantOfShape", .domain = "", .since = 9, .shape = filled_shape, .fold = filled_fold, .host_inputs = 1},
    {.type = "Range", .domain = "", .since = 11, .shape = range_shape, .fold = range_fold, .host_inputs = 7},
    {.type = NULL}};
