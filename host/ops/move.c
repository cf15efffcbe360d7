// Operators that move elements without computing: Concat, Slice, Split, Transpose, Expand, DepthToSpace, SpaceToDepth,
// Gather, Pad and Tile.
#include <string.h>

#include "ops/common.h"
#include "ops/gradients.h"

static bool empty(const tm_shape *shape) {
    size_t count;
    return !tm_shape_count(shape, &count) || count == 0;
}

// ---- Concat.
static tagmask_status shape_concat(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, ctx->input_count ? ctx->input_count : 1, SIZE_MAX, err));
    TM_TRY(tm_need_words(ctx, 0, "an input", err));
    tm_shape shape = ctx->in[0].shape;
    int32_t axis;
    if (!tm_attr_has(ctx->node, "axis"))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "has no attribute axis; it is required");
    TM_TRY(tm_normalize_axis(ctx, "axis", tm_attr_int(ctx->node, "axis", 0), shape.rank, &axis, err));
    for (size_t i = 1; i < ctx->input_count; i++) {
        const tm_shape *s = &ctx->in[i].shape;
        bool fits = s->rank == shape.rank && ctx->in[i].dtype == ctx->in[0].dtype;
        for (int32_t d = 0; fits && d < shape.rank; d++) fits = d == axis || s->dim[d] == shape.dim[d];
        char a[128], b[128];
        if (!fits)
            return tm_op_fail(
                ctx, err, TAGMASK_ERROR_FORMAT, "input %zu is %s of %s, which does not continue %s of %s along axis %d",
                i, tm_shape_text(s, a, sizeof a), tm_dtype_name(ctx->in[i].dtype),
                tm_shape_text(&ctx->in[0].shape, b, sizeof b), tm_dtype_name(ctx->in[0].dtype), (int)axis);
        if (!tm_add_i64(shape.dim[axis], s->dim[axis], &shape.dim[axis]))
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "the output is too long along axis %d", (int)axis);
    }
    tm_set_output(ctx, 0, ctx->in[0].dtype, &shape);
    return TAGMASK_OK;
}

static int32_t concat_axis(const tm_op_ctx *ctx, int32_t rank) {
    int64_t axis = tm_attr_int(ctx->node, "axis", 0);
    return (int32_t)(axis < 0 ? axis + rank : axis);
}

static void layout_concat(tm_op_ctx *ctx, tm_layout *in, tm_layout *out) {
    bool c4 = ctx->out[0].shape.rank == 4, whole = true;
    double bytes[2] = {0, 0};
    for (size_t i = 0; i < ctx->input_count; i++) {
        bytes[in[i] == TM_C4] += (double)tm_layout_bytes(&ctx->in[i].shape, TM_LINEAR);
        // All but the last part along the channels must end on a block of four.
        if (i + 1 < ctx->input_count) whole = whole && ctx->in[i].shape.rank == 4 && ctx->in[i].shape.dim[1] % 4 == 0;
    }
    c4 = c4 && bytes[1] > 0 && bytes[1] >= bytes[0] && (concat_axis(ctx, 4) != 1 || whole);
    for (size_t i = 0; i < ctx->input_count; i++) in[i] = c4 ? TM_C4 : TM_LINEAR;
    out[0] = c4 ? TM_C4 : TM_LINEAR;
}

static tagmask_status record_concat(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    int32_t axis = concat_axis(ctx, ctx->gout[0].shape.rank);
    tm_shape out;
    tm_element_dims(&ctx->gout[0], &out);
    tm_copy_spec copy = {.to = ctx->gout[0].slice, .vec4 = ctx->gout[0].layout == TM_C4, .rank = out.rank};
    tm_row_major(out.rank, out.dim, copy.out_stride);
    for (size_t i = 0; i < ctx->input_count; i++) {
        if (empty(&ctx->gin[i].shape)) continue;
        tm_shape in;
        tm_element_dims(&ctx->gin[i], &in);
        copy.from = ctx->gin[i].slice;
        memcpy(copy.dim, in.dim, sizeof copy.dim);
        tm_row_major(in.rank, in.dim, copy.in_stride);
        TM_TRY(tm_strided_copy(ctx, recorder, &copy, err));
        copy.out_offset += in.dim[axis] * copy.out_stride[axis];
    }
    return TAGMASK_OK;
}

// ---- Slice.
static tagmask_status shape_slice(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, ctx->node->opset < 10 ? 1 : 3, ctx->node->opset < 10 ? 1 : 5, err));
    TM_TRY(tm_need_words(ctx, 0, "the input", err));
    tm_slice_range range;
    TM_TRY(tm_slice_ranges(ctx, &range, err));
    tm_shape shape = ctx->in[0].shape;
    for (int32_t d = 0; d < shape.rank; d++) shape.dim[d] = range.count[d];
    tm_set_output(ctx, 0, ctx->in[0].dtype, &shape);
    return TAGMASK_OK;
}

// Channels can be cut in C4 where the cut starts on a block and ends on one or at the end.
static bool c4_channel_cut(const tm_shape *in, int64_t start, int64_t step, int64_t count) {
    bool whole = start == 0 && step == 1 && count == in->dim[1];
    return whole || (step == 1 && start % 4 == 0 && (count % 4 == 0 || start + count == in->dim[1]));
}

static void layout_slice(tm_op_ctx *ctx, tm_layout *in, tm_layout *out) {
    tm_slice_range range;
    tm_error ignored;
    bool c4 = in[0] == TM_C4 && ctx->in[0].shape.rank == 4 && !empty(&ctx->out[0].shape) &&
              tm_slice_ranges(ctx, &range, &ignored) == TAGMASK_OK &&
              c4_channel_cut(&ctx->in[0].shape, range.start[1], range.step[1], range.count[1]);
    in[0] = out[0] = c4 ? TM_C4 : TM_LINEAR;
}

static tagmask_status record_slice(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    tm_slice_range range;
    TM_TRY(tm_slice_ranges(ctx, &range, err));
    bool c4 = ctx->gin[0].layout == TM_C4;
    tm_shape in, out;
    tm_element_dims(&ctx->gin[0], &in);
    tm_element_dims(&ctx->gout[0], &out);
    tm_copy_spec copy = {.from = ctx->gin[0].slice, .to = ctx->gout[0].slice, .vec4 = c4, .rank = out.rank};
    memcpy(copy.dim, out.dim, sizeof copy.dim);
    tm_row_major(out.rank, out.dim, copy.out_stride);
    tm_row_major(in.rank, in.dim, copy.in_stride);
    for (int32_t d = 0; d < in.rank; d++) {
        int64_t start = c4 && d == 1 ? range.start[d] / 4 : range.start[d];
        copy.in_offset += start * copy.in_stride[d];
        copy.in_stride[d] *= range.step[d];
    }
    return tm_strided_copy(ctx, recorder, &copy, err);
}

// ---- Split: sizes are an attribute before opset 13, then an input; absent, the parts are equal.
static tagmask_status shape_split(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 1, 2, err));
    TM_TRY(tm_need_words(ctx, 0, "the input", err));
    tm_shape shape = ctx->in[0].shape;
    int32_t axis;
    TM_TRY(tm_normalize_axis(ctx, "axis", tm_attr_int(ctx->node, "axis", 0), shape.rank, &axis, err));
    const int64_t *sizes;
    size_t count;
    TM_TRY(tm_attr_or_input_ints(ctx, "split", 1, &sizes, &count, err));
    int64_t parts = (int64_t)ctx->output_count, length = ctx->in[0].shape.dim[axis], total = 0;
    if (sizes && count != ctx->output_count)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "gives %zu sizes for %zu outputs", count, ctx->output_count);
    // Equal parts; the last one may be smaller (opset 18).
    int64_t each = (length + parts - 1) / parts;
    for (int64_t i = 0; i < parts; i++) {
        int64_t size = sizes ? sizes[i] : TM_MIN(each, length - total);
        if (size < 0 || size > length - total)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT,
                              "part %lld does not fit into the %lld elements of axis %d", (long long)i,
                              (long long)length, (int)axis);
        total += size;
        shape.dim[axis] = size;
        tm_set_output(ctx, (size_t)i, ctx->in[0].dtype, &shape);
    }
    if (total != length)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "its parts have %lld elements; expected the %lld of axis %d",
                          (long long)total, (long long)length, (int)axis);
    return TAGMASK_OK;
}

static void layout_split(tm_op_ctx *ctx, tm_layout *in, tm_layout *out) {
    bool c4 = in[0] == TM_C4 && ctx->in[0].shape.rank == 4;
    if (c4 && concat_axis(ctx, 4) == 1) {
        for (size_t i = 0; i + 1 < ctx->output_count; i++) c4 = c4 && ctx->out[i].shape.dim[1] % 4 == 0;
    }
    in[0] = c4 ? TM_C4 : TM_LINEAR;
    for (size_t i = 0; i < ctx->output_count; i++) out[i] = in[0];
}

static tagmask_status record_split(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    int32_t axis = concat_axis(ctx, ctx->gin[0].shape.rank);
    tm_shape in;
    tm_element_dims(&ctx->gin[0], &in);
    tm_copy_spec copy = {.from = ctx->gin[0].slice, .vec4 = ctx->gin[0].layout == TM_C4, .rank = in.rank};
    tm_row_major(in.rank, in.dim, copy.in_stride);
    for (size_t i = 0; i < ctx->output_count; i++) {
        tm_shape out;
        tm_element_dims(&ctx->gout[i], &out);
        copy.to = ctx->gout[i].slice;
        memcpy(copy.dim, out.dim, sizeof copy.dim);
        tm_row_major(out.rank, out.dim, copy.out_stride);
        if (copy.to.buffer) TM_TRY(tm_strided_copy(ctx, recorder, &copy, err));
        copy.in_offset += out.dim[axis] * copy.in_stride[axis];
    }
    return TAGMASK_OK;
}

// ---- Transpose.
static tagmask_status transpose_order(tm_op_ctx *ctx, int32_t rank, int32_t order[TM_MAX_RANK], tm_error *err) {
    size_t count;
    const int64_t *perm = tm_attr_ints(ctx->node, "perm", &count);
    bool seen[TM_MAX_RANK] = {false};
    if (perm && count != (size_t)rank)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "perm has %zu entries for a tensor of rank %d", count,
                          (int)rank);
    for (int32_t d = 0; d < rank; d++) {
        int64_t from = perm ? perm[d] : rank - 1 - d;
        if (from < 0 || from >= rank || seen[from])
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "perm is not a permutation of 0..%d", (int)rank - 1);
        seen[from] = true;
        order[d] = (int32_t)from;
    }
    return TAGMASK_OK;
}

static tagmask_status shape_transpose(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 1, 1, err));
    TM_TRY(tm_need_words(ctx, 0, "the input", err));
    int32_t order[TM_MAX_RANK];
    tm_shape shape = ctx->in[0].shape;
    TM_TRY(transpose_order(ctx, shape.rank, order, err));
    for (int32_t d = 0; d < shape.rank; d++) shape.dim[d] = ctx->in[0].shape.dim[order[d]];
    tm_set_output(ctx, 0, ctx->in[0].dtype, &shape);
    return TAGMASK_OK;
}

static tagmask_status record_transpose(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    const tm_shape *in = &ctx->gin[0].shape, *out = &ctx->gout[0].shape;
    int32_t order[TM_MAX_RANK];
    int64_t stride[TM_MAX_RANK];
    TM_TRY(transpose_order(ctx, in->rank, order, err));
    tm_copy_spec copy = {.from = ctx->gin[0].slice, .to = ctx->gout[0].slice, .rank = out->rank};
    tm_row_major(in->rank, in->dim, stride);
    tm_row_major(out->rank, out->dim, copy.out_stride);
    for (int32_t d = 0; d < out->rank; d++) {
        copy.dim[d] = out->dim[d];
        copy.in_stride[d] = stride[order[d]];
    }
    return tm_strided_copy(ctx, recorder, &copy, err);
}

// ---- Expand.
static tagmask_status shape_expand(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 2, 2, err));
    TM_TRY(tm_need_words(ctx, 0, "the input", err));
    const int64_t *target;
    size_t count;
    TM_TRY(tm_host_ints(ctx, 1, &target, &count, err));
    const tm_shape *in = &ctx->in[0].shape;
    if (count > TM_MAX_RANK)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "expands to %zu dimensions; at most %d are supported",
                          count, TM_MAX_RANK);
    tm_shape shape = {.rank = TM_MAX(in->rank, (int32_t)count)};
    for (int32_t d = 0; d < shape.rank; d++) {
        int32_t s = d - (shape.rank - in->rank), t = d - (shape.rank - (int32_t)count);
        int64_t a = s < 0 ? 1 : in->dim[s], b = t < 0 ? 1 : target[t];
        if (b < 0 || (a != b && a != 1 && b != 1))
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "cannot expand %lld elements to %lld in dimension %d",
                              (long long)a, (long long)b, (int)d);
        shape.dim[d] = a == 1 ? b : a;
    }
    tm_set_output(ctx, 0, ctx->in[0].dtype, &shape);
    return TAGMASK_OK;
}

static tagmask_status record_expand(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    const tm_shape *in = &ctx->gin[0].shape, *out = &ctx->gout[0].shape;
    int64_t stride[TM_MAX_RANK];
    tm_copy_spec copy = {.from = ctx->gin[0].slice, .to = ctx->gout[0].slice, .rank = out->rank};
    tm_row_major(in->rank, in->dim, stride);
    tm_row_major(out->rank, out->dim, copy.out_stride);
    for (int32_t d = 0; d < out->rank; d++) {
        int32_t s = d - (out->rank - in->rank);
        copy.dim[d] = out->dim[d];
        copy.in_stride[d] = s < 0 || in->dim[s] == 1 ? 0 : stride[s];
    }
    return tm_strided_copy(ctx, recorder, &copy, err);
}

// ---- DepthToSpace and SpaceToDepth: a transposition of six dimensions.
static tagmask_status shape_depth(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 1, 1, err));
    TM_TRY(tm_need_words(ctx, 0, "the input", err));
    tm_shape shape = ctx->in[0].shape;
    int64_t b = tm_attr_int(ctx->node, "blocksize", 0);
    bool to_space = !strcmp(ctx->node->op_type, "DepthToSpace");
    const char *mode = tm_attr_string(ctx->node, "mode", "DCR");
    if (shape.rank != 4 || b < 1 || b > 32768)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT,
                          "has rank %d and blocksize %lld; expected rank 4 and a blocksize of at least 1",
                          (int)shape.rank, (long long)b);
    if (strcmp(mode, "DCR") && strcmp(mode, "CRD"))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "mode is '%s'; expected DCR or CRD", mode);
    bool fits = to_space ? shape.dim[1] % (b * b) == 0 : shape.dim[2] % b == 0 && shape.dim[3] % b == 0;
    if (!fits)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "its input cannot be divided into blocks of %lld",
                          (long long)b);
    for (int d = 1; d < 4; d++) {
        int64_t factor = d == 1 ? b * b : b;
        if (to_space == (d == 1))
            shape.dim[d] /= factor;
        else if (!tm_mul_i64(shape.dim[d], factor, &shape.dim[d]))
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "its output is too large");
    }
    tm_set_output(ctx, 0, ctx->in[0].dtype, &shape);
    return TAGMASK_OK;
}

static tagmask_status record_depth(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    const tm_shape *in = &ctx->gin[0].shape, *out = &ctx->gout[0].shape;
    int64_t b = tm_attr_int(ctx->node, "blocksize", 0);
    bool to_space = !strcmp(ctx->node->op_type, "DepthToSpace");
    bool crd = !strcmp(tm_attr_string(ctx->node, "mode", "DCR"), "CRD");
    // The deep side is (n, by, bx, c, y, x), with c first for CRD; the wide side is (n, c, y, by, x, bx).
    const tm_shape *deep = to_space ? in : out, *wide = to_space ? out : in;
    int64_t c = wide->dim[1], h = deep->dim[2], w = deep->dim[3], plane = h * w, wide_w = wide->dim[3];
    int64_t dim[6] = {wide->dim[0], c, h, b, w, b};  // n c y by x bx
    int64_t deep_stride[6] = {c * b * b * plane,    (crd ? b * b : 1) * plane, w, b * (crd ? 1 : c) * plane, 1,
                              (crd ? 1 : c) * plane};
    int64_t wide_stride[6] = {c * wide->dim[2] * wide_w, wide->dim[2] * wide_w, b * wide_w, wide_w, b, 1};
    tm_copy_spec copy = {.from = ctx->gin[0].slice, .to = ctx->gout[0].slice, .rank = 6};
    memcpy(copy.dim, dim, sizeof dim);
    memcpy(copy.in_stride, to_space ? deep_stride : wide_stride, sizeof dim);
    memcpy(copy.out_stride, to_space ? wide_stride : deep_stride, sizeof dim);
    return tm_strided_copy(ctx, recorder, &copy, err);
}

// ---- Gather.
// Indices that are known are checked now, the others by the shader.
static tagmask_status check_indices(tm_op_ctx *ctx, int64_t length, tm_error *err) {
    const tm_host_tensor *index = &ctx->in[1];
    size_t count = 0;
    tm_shape_count(&index->shape, &count);
    for (size_t i = 0; index->data && i < count; i++) {
        int64_t at = index->dtype == TM_INT64 ? ((const int64_t *)index->data)[i] : ((const int32_t *)index->data)[i];
        if (at < -length || at >= length)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "index %zu is %lld; expected %lld to %lld", i,
                              (long long)at, (long long)-length, (long long)length - 1);
    }
    if (!index->data && count) ctx->alarm_text = "an index lies outside of the axis that is gathered from";
    return TAGMASK_OK;
}

static tagmask_status shape_gather(tm_op_ctx *ctx, tm_error *err) {
    TM_TRY(tm_need_inputs(ctx, 2, 2, err));
    TM_TRY(tm_need_words(ctx, 0, "the input", err));
    const tm_shape *in = &ctx->in[0].shape, *index = &ctx->in[1].shape;
    int32_t axis;
    TM_TRY(tm_normalize_axis(ctx, "axis", tm_attr_int(ctx->node, "axis", 0), in->rank, &axis, err));
    if (ctx->in[1].dtype != TM_INT64 && ctx->in[1].dtype != TM_INT32)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "its indices are %s; expected int32 or int64",
                          tm_dtype_name(ctx->in[1].dtype));
    tm_shape shape = {.rank = in->rank - 1 + index->rank};
    if (shape.rank > TM_MAX_RANK)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "makes %d dimensions; at most %d are supported",
                          (int)shape.rank, TM_MAX_RANK);
    size_t count;
    if (in->dim[axis] == 0 && tm_shape_count(index, &count) && count)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "gathers from an empty axis %d", (int)axis);
    int32_t to = 0;
    for (int32_t d = 0; d < axis; d++) shape.dim[to++] = in->dim[d];
    for (int32_t d = 0; d < index->rank; d++) shape.dim[to++] = index->dim[d];
    for (int32_t d = axis + 1; d < in->rank; d++) shape.dim[to++] = in->dim[d];
    tm_set_output(ctx, 0, ctx->in[0].dtype, &shape);
    return check_indices(ctx, in->dim[axis], err);
}

// What lies before and after the axis is kept; of the indices, all that are taken.
static void cut_gather(tm_op_ctx *ctx, tm_cut *cut) {
    const tm_shape *in = &ctx->in[0].shape, *index = &ctx->in[1].shape;
    int32_t axis = concat_axis(ctx, in->rank);
    for (int32_t d = 0; d < ctx->out[0].shape.rank; d++) {
        size_t a = tm_cut_add(cut, ctx->out[0].shape.dim[d], 1);
        cut->dim[2][a] = (int8_t)d;
        if (d < axis)
            cut->dim[0][a] = (int8_t)d;
        else if (d < axis + index->rank)
            cut->dim[1][a] = (int8_t)(d - axis);
        else
            cut->dim[0][a] = (int8_t)(d - index->rank + 1);
    }
}

static tagmask_status record_gather(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    const tm_shape *in = &ctx->gin[0].shape, *index = &ctx->gin[1].shape, *out = &ctx->gout[0].shape;
    int32_t axis = concat_axis(ctx, in->rank);
    struct {
        uint32_t count, axis, indices, inner;
    } push = {.count = (uint32_t)tm_span(out, 0, out->rank),
              .axis = (uint32_t)in->dim[axis],
              .indices = (uint32_t)tm_span(index, 0, index->rank),
              .inner = (uint32_t)tm_span(in, axis + 1, in->rank)};
    tm_launch launch = {.shader = "nn/gather",
                        .alarm_shader = "nn/gather_alarm",
                        .bindings = {ctx->gin[0].slice, ctx->gin[1].slice, ctx->gout[0].slice},
                        .binding_count = 3,
                        .push = &push,
                        .push_size = sizeof push,
                        .threads = push.count};
    return tm_launch_threads(ctx, recorder, &launch, err);
}

#define MOVE(name, opset, family)                                                              \
    .type = name, .domain = "", .since = opset, .shape = shape_##family, .cut = tm_cut_itself, \
    .record = record_##family, .gradient = tm_gradient_##family
const tm_op tm_ops_move[] = {
    {MOVE("Concat", 4, concat), .fold = tm_fold_concat, .layout = layout_concat},
    {MOVE("Slice", 1, slice), .fold = tm_fold_slice, .layout = layout_slice, .constant_inputs = 30, .host_inputs = 30},
    {MOVE("Split", 2, split), .fold = tm_fold_split, .layout = layout_split, .constant_inputs = 2, .host_inputs = 2},
    {MOVE("Transpose", 1, transpose), .fold = tm_fold_transpose},
    {MOVE("Expand", 8, expand), .fold = tm_fold_expand, .constant_inputs = 2, .host_inputs = 2},
    {MOVE("DepthToSpace", 1, depth)},
    {MOVE("SpaceToDepth", 1, depth)},
    {.type = "Gather",
     .domain = "",
     .since = 1,
     .shape = shape_gather,
     .fold = tm_fold_gather,
     .cut = cut_gather,
     .record = record_gather,
     .gradient = tm_gradient_gather},
    {.type = NULL},
};
