#include "ops/axis_sum.h"

#include <stdlib.h>

#define ALIGNMENT 256  // of offsets that any device can bind

tagmask_status tm_axis_sums_add(tm_op_ctx *ctx, tm_axis_sums *sums, int32_t axis, int64_t in, int64_t out,
                                const tm_resize_tap *table, size_t taps, tm_error *err) {
    size_t *used = tm_calloc((size_t)in, sizeof *used), most = 1, entries = (size_t)out * taps;
    if (!used && in) return tm_op_fail(ctx, err, TAGMASK_ERROR_MEMORY, "has no memory for its table");
    for (size_t e = 0; e < entries; e++)
        if (table[e].index >= 0 && table[e].weight != 0) most = TM_MAX(most, ++used[table[e].index]);
    tm_axis_sum *sum = &sums->sum[sums->count];
    size_t size;
    *sum = (tm_axis_sum){.axis = axis, .from = out, .to = in, .taps = most};
    if (tm_mul_size((size_t)in, most, &size) && size < INT32_MAX / 8) sum->table = tm_calloc(size, sizeof *sum->table);
    if (!sum->table) {
        free(used);
        return tm_op_fail(ctx, err, TAGMASK_ERROR_MEMORY, "has no memory for its table");
    }
    sums->count++;
    for (size_t e = 0; e < size; e++) sum->table[e].index = -1;
    for (int64_t i = 0; i < in; i++) used[i] = 0;
    for (size_t e = 0; e < entries; e++) {
        if (table[e].index < 0 || table[e].weight == 0) continue;
        size_t to = (size_t)table[e].index;
        sum->table[to * most + used[to]++] = (tm_resize_tap){(int32_t)(e / taps), table[e].weight};
    }
    free(used);
    return TAGMASK_OK;
}

void tm_axis_sums_free(tm_axis_sums *sums) {
    for (size_t i = 0; i < sums->count; i++) free(sums->sum[i].table);
    sums->count = 0;
}

// Where the table and the result of each sum lie.
typedef struct place {
    uint64_t table, table_bytes, out, out_bytes;
} place;

static place next_place(const tm_axis_sum *sum, tm_shape *shape, uint64_t *bytes) {
    place p = {.table = *bytes, .table_bytes = (uint64_t)sum->to * sum->taps * sizeof *sum->table};
    shape->dim[sum->axis] = sum->to;
    p.out = tm_align_up(p.table + p.table_bytes, ALIGNMENT);
    p.out_bytes = tm_layout_bytes(shape, TM_LINEAR);
    *bytes = tm_align_up(p.out + p.out_bytes, ALIGNMENT);
    return p;
}

tagmask_status tm_axis_sums_scratch(tm_op_ctx *ctx, const tm_axis_sums *sums, const tm_shape *shape, uint64_t *bytes,
                                    tm_error *err) {
    tm_shape at = *shape;
    size_t elements;
    *bytes = 0;
    for (size_t i = 0; i < sums->count; i++) {
        next_place(&sums->sum[i], &at, bytes);
        if (!tm_shape_count(&at, &elements) || elements > INT32_MAX)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "is too large in between its axes");
    }
    return TAGMASK_OK;
}

static tagmask_status record_one(tm_op_ctx *ctx, const tm_axis_sum *sum, const tm_shape *shape, const place *p,
                                 tm_slice from, tm_slice to, tm_recorder *recorder, tm_error *err) {
    tm_slice table = {ctx->scratch.buffer, ctx->scratch.offset + p->table, p->table_bytes};
    TM_TRY(tm_upload(recorder, table, sum->table, err));
    struct {
        uint32_t count, in_axis, out_axis, inner, taps;
        float outside;
    } push = {.count = (uint32_t)(p->out_bytes / 4),
              .in_axis = (uint32_t)sum->from,
              .out_axis = (uint32_t)sum->to,
              .inner = (uint32_t)tm_span(shape, sum->axis + 1, shape->rank),
              .taps = (uint32_t)sum->taps};
    tm_launch launch = {.shader = "nn/resize_axis",
                        .bindings = {from, table, to},
                        .binding_count = 3,
                        .push = &push,
                        .push_size = sizeof push,
                        .threads = push.count,
                        .rounds = push.taps,
                        .flops = 2.0 * push.count * push.taps};
    return tm_launch_threads(ctx, recorder, &launch, err);
}

tagmask_status tm_axis_sums_record(tm_op_ctx *ctx, const tm_axis_sums *sums, const tm_shape *shape, tm_slice from,
                                   tm_slice to, tm_recorder *recorder, tm_error *err) {
    tm_shape at = *shape;
    uint64_t bytes = 0;
    for (size_t i = 0; i < sums->count; i++) {
        place p = next_place(&sums->sum[i], &at, &bytes);
        tm_slice result = {ctx->scratch.buffer, ctx->scratch.offset + p.out, p.out_bytes};
        if (i + 1 == sums->count) result = to;
        if (!p.out_bytes) return TAGMASK_OK;
        TM_TRY(record_one(ctx, &sums->sum[i], &at, &p, from, result, recorder, err));
        from = result;
    }
    if (sums->count) return TAGMASK_OK;
    from.size = to.size = tm_layout_bytes(shape, TM_LINEAR);
    return from.size ? tm_copy(recorder, from, to, err) : TAGMASK_OK;
}
