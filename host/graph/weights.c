// Constant weights on the device, as 32-bit or as 16-bit floats.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "graph/internal.h"

static tagmask_status read_precision(const char *text, tm_precision *precision, tm_error *err) {
    if (text && *text && strcmp(text, "fp32") != 0 && strcmp(text, "fp16") != 0)
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "precision \"%.60s\" is unknown; expected fp32 or fp16", text);
    *precision = text && !strcmp(text, "fp16") ? TM_FP16 : TM_FP32;
    return TAGMASK_OK;
}

tagmask_status tm_load_options_read(const tagmask_load_options *options, tagmask_load_options *own,
                                    tm_precision *precision, tm_error *err) {
    *own = (tagmask_load_options){.struct_size = sizeof *own};
    if (options && !tm_struct_read(own, sizeof *own, options))
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "tagmask_load_options: struct_size is not set");
    return read_precision(own->precision, precision, err);
}

bool tm_op_wants_halves(const tm_op_ctx *ctx) {
    return ctx->graph->precision == TM_FP16;
}

tagmask_status tm_op_alloc_weights(tm_op_ctx *ctx, uint64_t size, tm_slice *slice, tm_error *err) {
    return tm_pool_alloc(ctx->graph, size, slice, err);
}

// A half of normal size is off by at most 2^-11 of a value. Values below 2^-14 lose more, and those above 65504 all:
// weights are kept in 32 bits if they become infinite, or together move by more than 2^-11 of their norm.
static bool round_all(const float *values, size_t count, uint16_t *halves) {
    double moved = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        halves[i] = tm_half_from_float(values[i]);
        double value = values[i], difference = (double)tm_half_to_float(halves[i]) - value;
        moved += difference * difference;
        norm += value * value;
    }
    return sqrt(moved) <= sqrt(norm) * 0x1p-11;  // false, too, for what is not a number
}

tagmask_status tm_op_upload(tm_op_ctx *ctx, const void *data, uint64_t bytes, tm_slice *slice, tm_recorder *recorder,
                            tm_error *err) {
    TM_TRY(tm_op_alloc_weights(ctx, bytes, slice, err));
    tm_slice given = {slice->buffer, slice->offset, bytes};  // the slice itself is rounded up
    return tm_upload(recorder, given, data, err);
}

tagmask_status tm_op_upload_weights(tm_op_ctx *ctx, const float *values, size_t count, tm_weights *weights,
                                    tm_recorder *recorder, tm_error *err) {
    *weights = (tm_weights){0};
    if (!tm_op_wants_halves(ctx) || count % 2)
        return tm_op_upload(ctx, values, count * sizeof *values, &weights->slice, recorder, err);
    uint16_t *halves = tm_calloc(count, sizeof *halves);
    if (!halves) return tm_op_fail(ctx, err, TAGMASK_ERROR_MEMORY, "out of memory for %zu weights", count);
    weights->half = round_all(values, count, halves);
    if (!weights->half) tm_log(TAGMASK_LOG_DEBUG, "node '%.200s': weights stay 32-bit floats", ctx->node->name);
    tagmask_status status = weights->half
                                ? tm_op_upload(ctx, halves, count * sizeof *halves, &weights->slice, recorder, err)
                                : tm_op_upload(ctx, values, count * sizeof *values, &weights->slice, recorder, err);
    free(halves);
    return status;
}
