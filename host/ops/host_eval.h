// Host evaluators: generic `fold` rules for operators that also run on the GPU. A family's rows put them into
// tm_op.fold; they read the operator from ctx->node->op_type, its attributes from the node and its shapes from
// ctx->out, which the row's shape rule has filled (and whose data is allocated). They accept every dtype the host can
// hold (float32, the integers, bool) and report what they cannot do with tm_op_fail. bool is one byte, 0 or 1.
//
// Rows that live in shape_*.c (no GPU work or only views): Shape, Size, Constant, ConstantOfShape, Range, Identity,
// Dropout, Reshape, Flatten, Squeeze, Unsqueeze. Every other operator has its row in the file of its GPU family.
#ifndef TM_OPS_HOST_EVAL_H
#define TM_OPS_HOST_EVAL_H

#include "graph/op.h"

// ---- Helpers for shape rules.
size_t tm_dtype_size(tm_dtype dtype);  // bytes of an element on the host; 0 for types that cannot be held
const char *tm_dtype_name(tm_dtype dtype);
// Reads input i, a host value of int32 or int64, as int64. *values is arena memory of *count elements.
// Fails when the input is absent, not known on the host, or of another type.
tagmask_status tm_host_ints(tm_op_ctx *ctx, size_t i, const int64_t **values, size_t *count, tm_error *err);
// The same from the attribute `name` (old opsets) or else input i (new opsets). Neither: *values NULL and *count 0.
tagmask_status tm_attr_or_input_ints(tm_op_ctx *ctx, const char *name, size_t i, const int64_t **values, size_t *count,
                                     tm_error *err);
// Numpy broadcasting of input shapes first..last (absent inputs are skipped) into *shape.
tagmask_status tm_broadcast(tm_op_ctx *ctx, size_t first, size_t last, tm_shape *shape, tm_error *err);
// axis in -rank..rank-1 -> 0..rank-1; fails naming the attribute or input `what`.
tagmask_status tm_normalize_axis(tm_op_ctx *ctx, const char *what, int64_t axis, int32_t rank, int32_t *out,
                                 tm_error *err);
// Starts, ends, axes and steps of Slice in every opset, clamped as the standard says: for each dimension of input 0 the
// first index, the step (never 0) and the number of elements.
typedef struct tm_slice_range {
    int64_t start[TM_MAX_RANK], step[TM_MAX_RANK], count[TM_MAX_RANK];
} tm_slice_range;
tagmask_status tm_slice_ranges(tm_op_ctx *ctx, tm_slice_range *range, tm_error *err);

// ---- Fold rules.
// Unary: Abs Ceil Cos Elu Erf Exp Floor Gelu HardSigmoid HardSwish LeakyRelu Log Mish Neg Not Reciprocal Relu Round
// Selu Sigmoid Sign Sin Softplus Sqrt Tanh.
tagmask_status tm_fold_unary(tm_op_ctx *ctx, tm_error *err);
// Binary and variadic with broadcasting: Add And Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mod Mul
// Or Pow PRelu Sub Sum Xor.
tagmask_status tm_fold_binary(tm_op_ctx *ctx, tm_error *err);
tagmask_status tm_fold_clip(tm_op_ctx *ctx, tm_error *err);
tagmask_status tm_fold_where(tm_op_ctx *ctx, tm_error *err);
tagmask_status tm_fold_cast(tm_op_ctx *ctx, tm_error *err);  // Cast, CastLike: converts to out[0].dtype
// Copies input 0's elements to output 0 unchanged: every view.
tagmask_status tm_fold_copy(tm_op_ctx *ctx, tm_error *err);
tagmask_status tm_fold_concat(tm_op_ctx *ctx, tm_error *err);
tagmask_status tm_fold_slice(tm_op_ctx *ctx, tm_error *err);
tagmask_status tm_fold_split(tm_op_ctx *ctx, tm_error *err);  // part sizes from out[i].shape
tagmask_status tm_fold_gather(tm_op_ctx *ctx, tm_error *err);
tagmask_status tm_fold_transpose(tm_op_ctx *ctx, tm_error *err);
tagmask_status tm_fold_expand(tm_op_ctx *ctx, tm_error *err);
tagmask_status tm_fold_tile(tm_op_ctx *ctx, tm_error *err);
// ReduceSum ReduceProd ReduceMax ReduceMin ReduceMean.
tagmask_status tm_fold_reduce(tm_op_ctx *ctx, tm_error *err);

#endif
