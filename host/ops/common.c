#include "ops/common.h"

#include <string.h>

tagmask_status tm_need_inputs(tm_op_ctx *ctx, size_t min, size_t max, tm_error *err) {
    if (ctx->input_count < min || ctx->input_count > max || ctx->output_count < 1) {
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT,
                          "has %zu inputs and %zu outputs; expected %zu to %zu inputs and an output", ctx->input_count,
                          ctx->output_count, min, max);
    }
    for (size_t i = 0; i < min; i++) {
        if (!tm_has_input(ctx, i))
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "input %zu is missing; it is required", i);
    }
    return TAGMASK_OK;
}

tagmask_status tm_need_float(tm_op_ctx *ctx, size_t i, const char *what, tm_error *err) {
    if (!tm_has_input(ctx, i) || ctx->in[i].dtype == TM_FLOAT32) return TAGMASK_OK;
    return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "%s is %s; expected float32", what,
                      tm_dtype_name(ctx->in[i].dtype));
}

tagmask_status tm_need_words(tm_op_ctx *ctx, size_t i, const char *what, tm_error *err) {
    switch (ctx->in[i].dtype) {
        case TM_FLOAT32:
        case TM_BOOL:
        case TM_INT8:
        case TM_INT16:
        case TM_INT32:
        case TM_INT64:
        case TM_UINT8:
        case TM_UINT16:
        case TM_UINT32:
        case TM_UINT64:
            return TAGMASK_OK;
        default:
            return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "%s is %s; expected float32, bool or an integer",
                              what, tm_dtype_name(ctx->in[i].dtype));
    }
}

bool tm_has_input(const tm_op_ctx *ctx, size_t i) {
    return i < ctx->input_count && ctx->in[i].dtype != TM_DTYPE_NONE;
}

void tm_set_output(tm_op_ctx *ctx, size_t i, tm_dtype dtype, const tm_shape *shape) {
    ctx->out[i].dtype = dtype;
    ctx->out[i].shape = *shape;
}

size_t tm_span(const tm_shape *shape, int32_t first, int32_t last) {
    size_t count = 1;
    for (int32_t d = first; d < last; d++) count *= (size_t)shape->dim[d];
    return count;
}

tagmask_status tm_host_float(tm_op_ctx *ctx, size_t i, float otherwise, float *value, tm_error *err) {
    *value = otherwise;
    if (!tm_has_input(ctx, i)) return TAGMASK_OK;
    size_t count;
    if (ctx->in[i].dtype != TM_FLOAT32 || !ctx->in[i].data || !tm_shape_count(&ctx->in[i].shape, &count) || count != 1)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED,
                          "input %zu is not a float32 scalar known before the network runs; expected a constant", i);
    *value = *(const float *)ctx->in[i].data;
    return TAGMASK_OK;
}

tagmask_status tm_host_int(tm_op_ctx *ctx, size_t i, int64_t *value, tm_error *err) {
    size_t count;
    const void *data = ctx->in[i].data;
    bool scalar = data && tm_shape_count(&ctx->in[i].shape, &count) && count == 1;
    switch (scalar ? ctx->in[i].dtype : TM_DTYPE_NONE) {
        case TM_BOOL:
        case TM_UINT8:
            *value = *(const uint8_t *)data;
            return TAGMASK_OK;
        case TM_INT8:
            *value = *(const int8_t *)data;
            return TAGMASK_OK;
        case TM_UINT16:
            *value = *(const uint16_t *)data;
            return TAGMASK_OK;
        case TM_INT16:
            *value = *(const int16_t *)data;
            return TAGMASK_OK;
        case TM_INT32:
            *value = *(const int32_t *)data;
            return TAGMASK_OK;
        case TM_UINT32:
            *value = *(const uint32_t *)data;
            return TAGMASK_OK;
        case TM_INT64:
            *value = *(const int64_t *)data;
            return TAGMASK_OK;
        default:
            return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED,
                              "input %zu is not an integer known before the network runs; expected a constant", i);
    }
}

// ---- Alarms.
bool tm_is_wide(tm_dtype dtype) {
    return dtype == TM_INT64 || dtype == TM_UINT64 || dtype == TM_UINT32;
}

void tm_alarm_if_wide(tm_op_ctx *ctx, tm_dtype dtype) {
    if (tm_is_wide(dtype)) ctx->alarm_text = "a result does not fit 32 bits; integers on the device are int32";
}

// The pipeline's constants and the bindings of a launch with an alarm.
static const char *set_alarm(const tm_op_ctx *ctx, const tm_launch *launch, uint32_t constants[],
                             tm_dispatch_info *dispatch) {
    tm_dtype dtype = ctx->out[0].dtype;
    dispatch->bindings[launch->binding_count] = ctx->alarm;
    constants[8] = tm_is_wide(dtype);
    constants[9] = dtype == TM_UINT64 || dtype == TM_UINT32;
    return launch->alarm_shader;
}

// ---- Cutting.
void tm_cut_itself(tm_op_ctx *ctx, tm_cut *cut) {
    (void)ctx;
    cut->itself = true;
}

void tm_cut_dims(tm_op_ctx *ctx, tm_cut *cut, uint32_t dims) {
    const tm_shape *in = &ctx->in[0].shape;
    for (int32_t d = 0; d < in->rank; d++) {
        if (!(dims >> d & 1) || in->dim[d] < 2) continue;
        size_t axis = tm_cut_add(cut, in->dim[d], 1);
        cut->dim[0][axis] = (int8_t)d;
        for (size_t i = 0; i < ctx->output_count; i++)
            if (d < ctx->out[i].shape.rank) cut->dim[ctx->input_count + i][axis] = (int8_t)d;
    }
}

void tm_cut_broadcast(tm_op_ctx *ctx, tm_cut *cut) {
    const tm_shape *out = &ctx->out[0].shape;
    for (int32_t d = 0; d < out->rank; d++) {
        if (out->dim[d] < 2) continue;
        size_t axis = tm_cut_add(cut, out->dim[d], 1);
        cut->dim[ctx->input_count][axis] = (int8_t)d;
        for (size_t i = 0; i < ctx->input_count; i++) {
            int32_t own = d - (out->rank - ctx->in[i].shape.rank);
            if (own >= 0 && ctx->in[i].shape.dim[own] == out->dim[d]) cut->dim[i][axis] = (int8_t)own;
        }
    }
}

uint32_t tm_items(const tm_gpu *gpu) {
    return tm_gpu_get_info(gpu)->gpu_class == TM_GPU_CLASS_GPU ? 1 : 4;
}

static tagmask_status widen(const tm_op_ctx *ctx, const tm_gpu_info *info, const tm_slice *slice, tm_slice *out,
                            tm_error *err) {
    *out = *slice;
    out->size = (slice->size + 15) / 16 * 16;
    if (out->offset + out->size > tm_buffer_size(slice->buffer)) out->size = slice->size;
    if (out->size <= info->max_storage_range) return TAGMASK_OK;
    return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED,
                      "needs %llu bytes at once, and this device binds at most %llu: use a smaller input, or a device "
                      "that binds more",
                      (unsigned long long)slice->size, (unsigned long long)info->max_storage_range);
}

static bool use_texels(const tm_gpu_info *info, const tm_launch *launch) {
    if (!launch->texel_shader) return false;
    for (uint32_t i = 0; i < launch->texel_inputs; i++)
        if (!tm_gpu_by_texels(info, launch->bindings[i], launch->half >> i & 1u)) return false;
    return true;
}

// Mesa's driver for the CPU ends all loops of an invocation after 65,536 rounds together (LP_MAX_TGSI_LOOP_ITERATIONS
// in its lp_limits.h), silently.
#define LAVAPIPE_ROUNDS 65000u

tagmask_status tm_check_rounds(const tm_op_ctx *ctx, uint64_t rounds, tm_error *err) {
    if (tm_gpu_get_info(ctx->gpu)->gpu_class != TM_GPU_CLASS_LAVAPIPE || rounds <= LAVAPIPE_ROUNDS) return TAGMASK_OK;
    return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED,
                      "needs %llu rounds of a loop for an element, and this driver (lavapipe) ends loops after 65536: "
                      "use another Vulkan device",
                      (unsigned long long)rounds);
}

tagmask_status tm_launch_threads(tm_op_ctx *ctx, tm_recorder *recorder, const tm_launch *launch, tm_error *err) {
    if (!launch->threads) return TAGMASK_OK;
    TM_TRY(tm_check_rounds(ctx, launch->rounds, err));
    const tm_gpu_info *info = tm_gpu_get_info(ctx->gpu);
    uint32_t local = info->gpu_class == TM_GPU_CLASS_GPU ? 64 : 16;
    // Small work still has to reach every core or lane group.
    while (local > 8 && launch->threads < (uint64_t)local * 8) local /= 2;
    uint64_t groups = (launch->threads + local - 1) / local;
    uint64_t rows = (groups + info->max_groups[0] - 1) / info->max_groups[0];
    if (rows > info->max_groups[1] || launch->threads > UINT32_MAX / 4)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "has too many elements (%llu) for one dispatch",
                          (unsigned long long)launch->threads);
    tm_dispatch_info dispatch = {.push = launch->push,
                                 .push_size = launch->push_size,
                                 .groups = {(uint32_t)((groups + rows - 1) / rows), (uint32_t)rows, 1},
                                 .divisible = true,
                                 .flops = launch->flops,
                                 .half = launch->half,
                                 .label = launch->shader};
    for (uint32_t i = 0; i < launch->binding_count; i++)
        TM_TRY(widen(ctx, info, &launch->bindings[i], &dispatch.bindings[i], err));
    uint32_t constants[TM_ARRAY_LEN(launch->constants) + 1] = {local}, constant_count = launch->constant_count + 1;
    for (uint32_t i = 0; i < launch->constant_count; i++) constants[i + 1] = launch->constants[i];
    const char *shader = use_texels(info, launch) ? launch->texel_shader : launch->shader;
    if (launch->alarm_shader && ctx->alarm_text) {
        shader = set_alarm(ctx, launch, constants, &dispatch);
        constant_count = TM_ARRAY_LEN(constants);
    }
    TM_TRY(tm_pipeline_get(ctx->gpu, shader, constants, constant_count, &dispatch.pipeline, err));
    return tm_dispatch(recorder, &dispatch, err);
}

void tm_row_major(int32_t rank, const int64_t *dim, int64_t *stride) {
    int64_t s = 1;
    for (int32_t d = rank - 1; d >= 0; d--) {
        stride[d] = s;
        s = tm_wrap_mul(s, dim[d]);
    }
}

int32_t tm_collapse(int32_t rank, int64_t *dim, int64_t *const *strides, size_t count) {
    int32_t kept = 0;
    for (int32_t d = 0; d < rank; d++) {
        if (dim[d] == 1) continue;
        bool merge = kept > 0;
        for (size_t k = 0; merge && k < count; k++) merge = strides[k][kept - 1] == tm_wrap_mul(strides[k][d], dim[d]);
        int32_t to = merge ? kept - 1 : kept++;
        dim[to] = merge ? tm_wrap_mul(dim[to], dim[d]) : dim[d];
        for (size_t k = 0; k < count; k++) strides[k][to] = strides[k][d];
    }
    if (kept == 0) {
        dim[0] = 1;
        for (size_t k = 0; k < count; k++) strides[k][0] = 0;
        kept = 1;
    }
    return kept;
}

void tm_element_dims(const tm_tensor *tensor, tm_shape *dims) {
    *dims = tensor->shape;
    if (tensor->layout == TM_C4) dims->dim[1] = tm_channel_blocks(&tensor->shape);
}

// ---- Copies of ranges larger than the device binds: in parts along the longest step, until all that a part touches
// lies in a window that can be bound.

// The bytes that a copy touches of one side.
static void find_window(const tm_copy_spec *spec, bool out, uint64_t alignment, uint64_t *begin, uint64_t *end) {
    const int64_t *stride = out ? spec->out_stride : spec->in_stride;
    int64_t low = out ? spec->out_offset : spec->in_offset, high = low, bytes = spec->vec4 ? 16 : 4;
    for (int32_t d = 0; d < spec->rank; d++) *(stride[d] < 0 ? &low : &high) += (spec->dim[d] - 1) * stride[d];
    *begin = (uint64_t)(low * bytes) / alignment * alignment;
    *end = tm_align_up((uint64_t)((high + 1) * bytes), 16);
}

static int32_t longest_step(const tm_copy_spec *spec, bool out) {
    const int64_t *stride = out ? spec->out_stride : spec->in_stride;
    int64_t longest = -1;
    int32_t at = 0;
    for (int32_t d = 0; d < spec->rank; d++) {
        int64_t length = (spec->dim[d] - 1) * (stride[d] < 0 ? -stride[d] : stride[d]);
        if (length <= longest) continue;
        longest = length;
        at = d;
    }
    return at;
}

// Whether the whole slices can be bound. If not, *copy gets windows of them; *done: the copy was recorded in parts.
static tagmask_status fit_windows(tm_op_ctx *ctx, tm_recorder *recorder, tm_copy_spec *copy, bool *done,
                                  tm_error *err) {
    const tm_gpu_info *info = tm_gpu_get_info(ctx->gpu);
    uint64_t limit = info->max_storage_range / 16 * 16, alignment = info->buffer_alignment;
    *done = false;
    for (int out = 0; out < 2; out++) {
        tm_slice *slice = out ? &copy->to : &copy->from;
        if (slice->size <= limit) continue;
        uint64_t begin, end;
        find_window(copy, out, alignment, &begin, &end);
        if (end - begin <= limit) {
            slice->offset += begin;
            slice->size = TM_MIN(end, slice->size) - begin;
            *(out ? &copy->out_offset : &copy->in_offset) -= (int64_t)(begin / (copy->vec4 ? 16 : 4));
            continue;
        }
        int32_t d = longest_step(copy, out);
        uint64_t parts = TM_MIN((end - begin) / (limit - alignment) + 1, (uint64_t)copy->dim[d]);
        int64_t size = (copy->dim[d] + (int64_t)parts - 1) / (int64_t)parts;
        for (int64_t first = 0; first < copy->dim[d]; first += size) {
            tm_copy_spec part = *copy;
            part.dim[d] = TM_MIN(size, copy->dim[d] - first);
            part.in_offset += first * copy->in_stride[d];
            part.out_offset += first * copy->out_stride[d];
            TM_TRY(tm_strided_copy(ctx, recorder, &part, err));
        }
        *done = true;
        return TAGMASK_OK;
    }
    return TAGMASK_OK;
}

// Rows up to this many are copied one by one: a copy costs a CPU device a memcpy, a shader an address for each element.
#define MAX_COPIES 8

tagmask_status tm_strided_copy(tm_op_ctx *ctx, tm_recorder *recorder, const tm_copy_spec *spec, tm_error *err) {
    int64_t dim[TM_MAX_RANK], in[TM_MAX_RANK], out[TM_MAX_RANK], count = 1;
    for (int32_t d = 0; d < spec->rank; d++) {
        dim[d] = spec->dim[d];
        in[d] = spec->in_stride[d];
        out[d] = spec->out_stride[d];
        count = tm_wrap_mul(count, dim[d]);
    }
    if (count == 0) return TAGMASK_OK;
    int32_t rank = tm_collapse(spec->rank, dim, (int64_t *const[]){in, out}, 2);
    uint64_t bytes = spec->vec4 ? 16 : 4;
    bool row = (in[rank - 1] == 1 && out[rank - 1] == 1) || dim[rank - 1] == 1;
    if (rank <= 2 && row && (rank == 1 || dim[0] <= MAX_COPIES)) {
        uint64_t size = (uint64_t)dim[rank - 1] * bytes;
        for (int64_t i = 0; i < (rank == 1 ? 1 : dim[0]); i++) {
            tm_slice from = spec->from, to = spec->to;
            from.offset += (uint64_t)(spec->in_offset + (rank == 1 ? 0 : i * in[0])) * bytes;
            to.offset += (uint64_t)(spec->out_offset + (rank == 1 ? 0 : i * out[0])) * bytes;
            from.size = to.size = size;
            TM_TRY(tm_copy(recorder, from, to, err));
        }
        return TAGMASK_OK;
    }
    tm_copy_spec copy = {.from = spec->from,
                         .to = spec->to,
                         .vec4 = spec->vec4,
                         .rank = rank,
                         .in_offset = spec->in_offset,
                         .out_offset = spec->out_offset};
    memcpy(copy.dim, dim, sizeof dim);
    memcpy(copy.in_stride, in, sizeof in);
    memcpy(copy.out_stride, out, sizeof out);
    bool done;
    TM_TRY(fit_windows(ctx, recorder, &copy, &done, err));
    if (done) return TAGMASK_OK;
    struct {
        uint32_t dim[8], in[8], out[8], in_offset, out_offset, count, rank;
    } push = {.in_offset = (uint32_t)copy.in_offset,
              .out_offset = (uint32_t)copy.out_offset,
              .count = (uint32_t)count,
              .rank = (uint32_t)rank};
    for (int32_t d = 0; d < rank; d++) {
        push.dim[d] = (uint32_t)dim[d];
        push.in[d] = (uint32_t)in[d];
        push.out[d] = (uint32_t)out[d];
    }
    uint32_t items = tm_items(ctx->gpu);
    tm_launch launch = {.shader = spec->vec4 ? "nn/copy_c4" : "nn/copy",
                        .constants = {items},
                        .constant_count = 1,
                        .bindings = {copy.from, copy.to},
                        .binding_count = 2,
                        .push = &push,
                        .push_size = sizeof push,
                        .threads = ((uint64_t)count + items - 1) / items};
    return tm_launch_threads(ctx, recorder, &launch, err);
}
