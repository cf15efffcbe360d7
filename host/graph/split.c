// Steps whose tensors are larger than the device binds at once: which pieces they are cut into, and recording them one
// by one. A piece is a box: a range along each axis that the operator can be cut along (tm_cut in op.h). Where the box
// of a tensor is contiguous and starts where the device can bind, the piece sees it in place; else it is staged: copied
// from or to scratch memory.
#include <string.h>

#include "graph/plan.h"
#include "ops/common.h"

// What staged pieces may take: they cost memory beside the tensors that are too large already.
#define STAGE_BYTES ((uint64_t)32 << 20)
#define MAX_PIECES 65536

typedef struct box {
    int64_t first[TM_MAX_RANK], size[TM_MAX_RANK];  // by dimension
} box;

typedef struct part {
    int32_t tensor;  // of the plan; -1: none
    bool staged;
    uint64_t at, bytes;  // of its staging memory, in the step's scratch memory
    box last;            // what was staged last
} part;

typedef struct tm_split {
    tm_cut cut;
    int64_t size[TM_MAX_RANK];  // of a piece along each axis
    size_t input_count, count;  // parts: inputs, then outputs
    part *parts;
    tm_tensor *tensors;  // of the piece being recorded
    uint64_t alignment, scratch_bytes;
} tm_split;

size_t tm_cut_add(tm_cut *cut, int64_t extent, int64_t grain) {
    cut->axis[cut->axis_count] = (tm_cut_axis){.extent = extent, .grain = TM_MAX(grain, (int64_t)1)};
    return cut->axis_count++;
}

// ---- Boxes.
static bool is_window(const tm_split *split, size_t operand, size_t axis) {
    return operand == 0 && split->cut.axis[axis].div > 0;
}

static int64_t lcm(int64_t a, int64_t b) {
    int64_t x = a, y = b;
    while (y) {
        int64_t rest = x % y;
        x = y;
        y = rest;
    }
    return a / x * b;
}

// The part of a tensor that the outputs' ranges first to first + size need.
static void find_box(const tm_split *split, size_t operand, const tm_shape *shape, const int64_t *first,
                     const int64_t *size, box *b) {
    for (int32_t d = 0; d < shape->rank; d++) {
        b->first[d] = 0;
        b->size[d] = shape->dim[d];
    }
    for (size_t a = 0; a < split->cut.axis_count; a++) {
        int d = split->cut.dim[operand][a];
        const tm_cut_axis *axis = &split->cut.axis[a];
        if (d < 0 || size[a] == axis->extent) continue;
        int64_t begin = first[a], end = first[a] + size[a];
        if (is_window(split, operand, a)) {
            // At least one element, even if the piece lies in the padding.
            int64_t low = tm_floor_div(begin * axis->mul + axis->low, axis->div);
            int64_t high = tm_floor_div((end - 1) * axis->mul + axis->high, axis->div) + 1;
            begin = TM_CLAMP(low, 0, shape->dim[d] - 1);
            end = TM_CLAMP(high, begin + 1, shape->dim[d]);
        }
        b->first[d] = begin;
        b->size[d] = end - begin;
    }
}

static tm_shape box_shape(const tm_shape *shape, const box *b) {
    tm_shape piece = *shape;
    memcpy(piece.dim, b->size, sizeof piece.dim);
    return piece;
}

// The largest box of any piece.
static tm_shape largest_shape(const tm_split *split, size_t operand, const tm_shape *shape, const int64_t *size) {
    tm_shape piece = *shape;
    for (size_t a = 0; a < split->cut.axis_count; a++) {
        int d = split->cut.dim[operand][a];
        const tm_cut_axis *axis = &split->cut.axis[a];
        if (d < 0 || size[a] == axis->extent) continue;
        int64_t most = size[a];
        if (is_window(split, operand, a)) {
            int64_t reach = (size[a] - 1) * axis->mul + axis->high - axis->low;
            most = tm_floor_div(reach, axis->div) + (axis->div > 1 ? 2 : 1);
        }
        piece.dim[d] = TM_CLAMP(most, 1, shape->dim[d]);
    }
    return piece;
}

// Bytes between neighbours along a dimension; for the channels of C4, between blocks of four.
static uint64_t stride_bytes(const tm_plan_tensor *t, int32_t d) {
    uint64_t stride = t->layout == TM_C4 ? 16 : 4;
    for (int32_t k = d + 1; k < t->shape.rank; k++)
        stride *= (uint64_t)(t->layout == TM_C4 && k == 1 ? (t->shape.dim[1] + 3) / 4 : t->shape.dim[k]);
    return stride;
}

static uint64_t box_offset(const tm_plan_tensor *t, const box *b) {
    uint64_t offset = 0;
    for (int32_t d = 0; d < t->shape.rank; d++) {
        int64_t first = t->layout == TM_C4 && d == 1 ? b->first[1] / 4 : b->first[d];
        offset += (uint64_t)first * stride_bytes(t, d);
    }
    return offset;
}

// ---- Choosing pieces.
static const tm_plan_tensor *tensor_of(const tm_plan *plan, const tm_split *split, size_t operand) {
    int32_t tensor = split->parts[operand].tensor;
    bool own = operand < split->input_count && operand < 32 && split->cut.own >> operand & 1;
    return tensor >= 0 && !own ? &plan->tensors[tensor] : NULL;
}

static uint64_t hidden_bytes(const tm_split *split, size_t h, const int64_t *size) {
    double bytes = (double)split->cut.hidden[h].bytes;
    for (size_t a = 0; a < split->cut.axis_count; a++)
        if (split->cut.hidden[h].axes >> a & 1) bytes = bytes * (double)size[a] / (double)split->cut.axis[a].extent;
    return (uint64_t)bytes;
}

// Do pieces of this size fit? Looks at everything (axis < 0), or only at what follows one axis.
static bool fits(const tm_plan *plan, const tm_split *split, const int64_t *size, uint64_t limit, int axis) {
    for (size_t i = 0; i < split->count; i++) {
        const tm_plan_tensor *t = tensor_of(plan, split, i);
        if (!t || (axis >= 0 && split->cut.dim[i][axis] < 0)) continue;
        tm_shape piece = largest_shape(split, i, &t->shape, size);
        if (tm_layout_bytes(&piece, t->layout) > limit) return false;
    }
    for (size_t h = 0; h < TM_CUT_HIDDEN; h++) {
        if (axis >= 0 && !(split->cut.hidden[h].axes >> axis & 1)) continue;
        if (hidden_bytes(split, h, size) > limit) return false;
    }
    return true;
}

// The largest size along an axis with which pieces fit; 0: none.
static int64_t largest_size(const tm_plan *plan, const tm_split *split, size_t a, const int64_t *size, uint64_t limit,
                            int affected) {
    const tm_cut_axis *axis = &split->cut.axis[a];
    int64_t tried[TM_MAX_RANK], low = 0, high = axis->extent / axis->grain;
    memcpy(tried, size, sizeof tried);
    while (low < high) {
        int64_t middle = (low + high + 1) / 2;
        tried[a] = middle * axis->grain;
        if (fits(plan, split, tried, limit, affected))
            low = middle;
        else
            high = middle - 1;
    }
    return low * axis->grain;
}

// One axis if one is enough, else one after the other until everything fits.
static bool choose_sizes(const tm_plan *plan, const tm_split *split, int64_t *size, uint64_t limit) {
    const tm_cut *cut = &split->cut;
    for (size_t a = 0; a < cut->axis_count; a++) size[a] = cut->axis[a].extent;
    for (size_t a = 0; a < cut->axis_count; a++) {
        int64_t n = largest_size(plan, split, a, size, limit, -1);
        if (!n) continue;
        size[a] = n;
        return true;
    }
    for (size_t a = 0; a < cut->axis_count && !fits(plan, split, size, limit, -1); a++) {
        if (fits(plan, split, size, limit, (int)a)) continue;
        int64_t n = largest_size(plan, split, a, size, limit, (int)a);
        size[a] = n ? n : TM_MIN(cut->axis[a].grain, cut->axis[a].extent);
    }
    return fits(plan, split, size, limit, -1);
}

// Rounds the sizes such that pieces start where the device can bind, if that is possible, and are about equal.
static void round_sizes(const tm_plan *plan, const tm_split *split, int64_t *size) {
    for (size_t a = 0; a < split->cut.axis_count; a++) {
        const tm_cut_axis *axis = &split->cut.axis[a];
        if (size[a] >= axis->extent) continue;
        int64_t grain = axis->grain;
        for (size_t i = 0; i < split->count; i++) {
            const tm_plan_tensor *t = tensor_of(plan, split, i);
            int d = t ? split->cut.dim[i][a] : -1;
            if (d < 0 || is_window(split, i, a) || !stride_bytes(t, d)) continue;
            int64_t stride = (int64_t)stride_bytes(t, d), step = lcm(stride, (int64_t)split->alignment) / stride;
            int64_t wanted = lcm(grain, step * (t->layout == TM_C4 && d == 1 ? 4 : 1));
            if (wanted <= size[a]) grain = wanted;
        }
        int64_t most = size[a] / grain * grain, parts = (axis->extent + most - 1) / most;
        int64_t even = (axis->extent + parts - 1) / parts;
        size[a] = (even + grain - 1) / grain * grain;
    }
}

// Whether a tensor's boxes cannot be bound as they lie.
static bool needs_staging(const tm_split *split, size_t operand, const tm_plan_tensor *t, const int64_t *size) {
    bool partial[TM_MAX_RANK] = {false}, aligned = true, inner = false, contiguous = true;
    for (size_t a = 0; a < split->cut.axis_count; a++) {
        int d = split->cut.dim[operand][a];
        if (d < 0 || size[a] >= split->cut.axis[a].extent) continue;
        partial[d] = true;
        bool block = t->layout == TM_C4 && d == 1, window = is_window(split, operand, a);
        uint64_t step = stride_bytes(t, d) * (uint64_t)(window ? 1 : block ? size[a] / 4 : size[a]);
        aligned = aligned && step % split->alignment == 0;
    }
    tm_shape piece = largest_shape(split, operand, &t->shape, size);
    for (int32_t d = 0; d < t->shape.rank; d++) {
        bool one = piece.dim[d] == 1 || (t->layout == TM_C4 && d == 1 && piece.dim[d] <= 4);
        contiguous = contiguous && !(inner && partial[d]);
        inner = inner || !one;
    }
    return !(contiguous && aligned);
}

static bool find_staged(const tm_plan *plan, tm_split *split) {
    bool any = false;
    for (size_t i = 0; i < split->count; i++) {
        const tm_plan_tensor *t = tensor_of(plan, split, i);
        split->parts[i].staged = t && needs_staging(split, i, t, split->size);
        any = any || split->parts[i].staged;
    }
    return any;
}

static void place_staged(const tm_plan *plan, tm_split *split, uint64_t scratch) {
    split->scratch_bytes = scratch;
    for (size_t i = 0; i < split->count; i++) {
        part *o = &split->parts[i];
        if (!o->staged) continue;
        const tm_plan_tensor *t = tensor_of(plan, split, i);
        tm_shape piece = largest_shape(split, i, &t->shape, split->size);
        o->at = tm_align_up(split->scratch_bytes, split->alignment);
        o->bytes = tm_align_up(TM_MAX(tm_layout_bytes(&piece, t->layout), (size_t)16), 16);
        split->scratch_bytes = o->at + o->bytes;
    }
}

// ---- Conversions: as an operator with a name for messages.
static void cut_conversion(const tm_shape *shape, tm_cut *cut) {
    for (int8_t d = 0; d < shape->rank; d++) {
        size_t a = tm_cut_add(cut, shape->dim[d], 1);
        cut->dim[0][a] = cut->dim[1][a] = d;
    }
}

static const tm_node conversion_node = {.name = "", .op_type = "change of layout"};

static tm_op_ctx conversion_ctx(const tm_plan *plan) {
    tm_op_ctx ctx = {.gpu = plan->graph->gpu, .node = (tm_node *)&conversion_node};
    return ctx;
}

// ---- Planning.
static tagmask_status too_large(const tm_plan *plan, const tm_step *step, const tm_split *split, uint64_t limit,
                                tm_error *err) {
    uint64_t largest = 0;
    for (size_t i = 0; i < split->count; i++) {
        const tm_plan_tensor *t = tensor_of(plan, split, i);
        if (t) largest = TM_MAX(largest, tm_layout_bytes(&t->shape, t->layout));
    }
    for (size_t h = 0; h < TM_CUT_HIDDEN; h++) largest = TM_MAX(largest, split->cut.hidden[h].bytes);
    tm_op_ctx conversion = conversion_ctx(plan);
    return tm_op_fail(step->item ? step->item->ctx : &conversion, err, TAGMASK_ERROR_UNSUPPORTED,
                      "reads or writes %llu bytes in a way that cannot be cut into pieces of the %llu bytes that this "
                      "device binds at once: use a smaller input, or a device that binds more",
                      (unsigned long long)largest, (unsigned long long)limit);
}

static tagmask_status new_split(tm_plan *plan, const tm_step *step, tm_split **out, tm_error *err) {
    const tm_item *item = step->item;
    size_t inputs = item ? item->node.input_count : 1, outputs = item ? item->node.output_count : 1;
    tm_split *split = tm_arena_alloc(&plan->memory, sizeof *split);
    if (!split) return tm_memory_fail(err);
    split->input_count = inputs;
    split->count = inputs + outputs;
    split->alignment = TM_MAX(tm_gpu_get_info(plan->graph->gpu)->buffer_alignment, (uint64_t)16);
    split->parts = tm_arena_alloc(&plan->memory, split->count * sizeof *split->parts);
    split->tensors = tm_arena_alloc(&plan->memory, split->count * sizeof *split->tensors);
    split->cut.dim = tm_arena_alloc(&plan->memory, split->count * sizeof *split->cut.dim);
    if (!split->parts || !split->tensors || !split->cut.dim) return tm_memory_fail(err);
    memset(split->cut.dim, -1, split->count * sizeof *split->cut.dim);
    for (size_t i = 0; i < split->count; i++) {
        if (item)
            split->parts[i].tensor = i < inputs ? step->in_tensor[i] : step->out_tensor[i - inputs];
        else
            split->parts[i].tensor = i ? step->to : step->from;
    }
    *out = split;
    return TAGMASK_OK;
}

// Channels of C4 are cut between blocks of four.
static void widen_grains(const tm_plan *plan, tm_split *split) {
    for (size_t i = 0; i < split->count; i++) {
        const tm_plan_tensor *t = tensor_of(plan, split, i);
        for (size_t a = 0; t && t->layout == TM_C4 && a < split->cut.axis_count; a++)
            if (split->cut.dim[i][a] == 1 && !is_window(split, i, a))
                split->cut.axis[a].grain = lcm(split->cut.axis[a].grain, 4);
    }
}

static bool may_exceed(const tm_plan *plan, const tm_step *step, uint64_t limit) {
    const tm_node *node = step->item ? &step->item->node : NULL;
    if (node && node->prepared) return true;  // what it binds besides tensors is not known here
    if (step->item && step->item->ctx->scratch_bytes > limit) return true;
    for (size_t i = 0; i < (node ? node->input_count + node->output_count : 2); i++) {
        int32_t tensor = !node                   ? (i ? step->to : step->from)
                         : i < node->input_count ? step->in_tensor[i]
                                                 : step->out_tensor[i - node->input_count];
        if (tensor < 0) continue;
        const tm_plan_tensor *t = &plan->tensors[tensor];
        if (tm_layout_bytes(&t->shape, t->layout) > limit) return true;
    }
    return false;
}

tagmask_status tm_split_make(tm_plan *plan, tm_step *step, tm_error *err) {
    if (!plan->graph->gpu) return TAGMASK_OK;
    const tm_item *item = step->item;
    uint64_t limit = tm_gpu_get_info(plan->graph->gpu)->max_storage_range / 16 * 16;
    if (!may_exceed(plan, step, limit)) return TAGMASK_OK;
    tm_split *split = NULL;
    TM_TRY(new_split(plan, step, &split, err));
    if (!item)
        cut_conversion(&plan->tensors[step->from].shape, &split->cut);
    else if (item->node.op->cut)
        item->node.op->cut(item->ctx, &split->cut);
    if (split->cut.itself) return TAGMASK_OK;
    widen_grains(plan, split);
    int64_t whole[TM_MAX_RANK];
    for (size_t a = 0; a < split->cut.axis_count; a++) whole[a] = split->cut.axis[a].extent;
    if (fits(plan, split, whole, limit, -1)) return TAGMASK_OK;
    if (!choose_sizes(plan, split, split->size, limit)) return too_large(plan, step, split, limit, err);
    round_sizes(plan, split, split->size);
    if (find_staged(plan, split) && STAGE_BYTES < limit) {
        int64_t smaller[TM_MAX_RANK];
        if (choose_sizes(plan, split, smaller, STAGE_BYTES)) {
            round_sizes(plan, split, smaller);
            memcpy(split->size, smaller, sizeof smaller);
            find_staged(plan, split);
        }
    }
    double pieces = 1;
    for (size_t a = 0; a < split->cut.axis_count; a++)
        pieces *= (double)((split->cut.axis[a].extent + split->size[a] - 1) / split->size[a]);
    if (pieces > MAX_PIECES) return too_large(plan, step, split, limit, err);
    place_staged(plan, split, item ? item->ctx->scratch_bytes : 0);
    step->split = split;
    return TAGMASK_OK;
}

uint64_t tm_split_scratch(const tm_step *step) {
    if (step->split) return step->split->scratch_bytes;
    return step->item ? step->item->ctx->scratch_bytes : 0;
}

// ---- Recording.
// Copies the box of a tensor to its staging memory, or back.
static tagmask_status stage(tm_op_ctx *ctx, const tm_tensor *whole, const tm_tensor *staged, const box *b, bool back,
                            tm_recorder *recorder, tm_error *err) {
    tm_copy_spec copy = {.from = back ? staged->slice : whole->slice,
                         .to = back ? whole->slice : staged->slice,
                         .vec4 = whole->layout == TM_C4};
    tm_shape all, some;
    tm_element_dims(whole, &all);
    tm_element_dims(staged, &some);
    copy.rank = all.rank;
    memcpy(copy.dim, some.dim, sizeof copy.dim);
    int64_t *wide = back ? copy.out_stride : copy.in_stride, *narrow = back ? copy.in_stride : copy.out_stride;
    tm_row_major(all.rank, all.dim, wide);
    tm_row_major(some.rank, some.dim, narrow);
    int64_t offset = 0;
    for (int32_t d = 0; d < all.rank; d++) offset += (copy.vec4 && d == 1 ? b->first[d] / 4 : b->first[d]) * wide[d];
    *(back ? &copy.out_offset : &copy.in_offset) = offset;
    return tm_strided_copy(ctx, recorder, &copy, err);
}

// Sets the piece's tensor of an operand and brings a staged input there.
static tagmask_status bring(const tm_plan *plan, tm_split *split, size_t i, tm_slice scratch, const int64_t *first,
                            const int64_t *size, tm_op_ctx *ctx, tm_recorder *recorder, box *b, tm_error *err) {
    part *o = &split->parts[i];
    tm_tensor whole = tm_plan_tensor_at(plan, o->tensor), *piece = &split->tensors[i];
    find_box(split, i, &whole.shape, first, size, b);
    *piece = whole;
    piece->shape = box_shape(&whole.shape, b);
    uint64_t bytes = tm_align_up(TM_MAX(tm_layout_bytes(&piece->shape, piece->layout), (size_t)16), 16);
    if (!o->staged) {
        // A tensor that is bound in parts by the operator, or not cut at all, is given as a whole.
        piece->slice.offset += box_offset(&plan->tensors[o->tensor], b);
        piece->slice.size = bytes;
        return TAGMASK_OK;
    }
    piece->slice = (tm_slice){scratch.buffer, scratch.offset + o->at, bytes};
    bool there = !memcmp(b, &o->last, sizeof *b);
    if (i >= split->input_count || there) return TAGMASK_OK;
    o->last = *b;
    return stage(ctx, &whole, piece, b, false, recorder, err);
}

static tagmask_status record_piece(const tm_plan *plan, const tm_step *step, const int64_t *first, const int64_t *size,
                                   tm_recorder *recorder, tm_error *err) {
    tm_split *split = step->split;
    tm_op_ctx ctx = step->item ? *step->item->ctx : conversion_ctx(plan);
    tm_slice scratch = {0};
    if (step->scratch >= 0) scratch = tm_plan_slice_at(plan, step->scratch, split->scratch_bytes);
    for (size_t i = 0; i < split->count; i++) {
        box b = {{0}, {0}};
        if (split->parts[i].tensor >= 0)
            TM_TRY(bring(plan, split, i, scratch, first, size, &ctx, recorder, &b, err));
        else if (step->item)
            split->tensors[i] = i < split->input_count ? ctx.gin[i] : ctx.gout[i - split->input_count];
    }
    ctx.gin = split->tensors;
    ctx.gout = split->tensors + split->input_count;
    ctx.first = first;
    for (size_t a = 0; a < split->cut.axis_count; a++) ctx.flops *= (double)size[a] / (double)split->cut.axis[a].extent;
    if (step->item)
        TM_TRY(step->item->node.op->record(&ctx, recorder, err));
    else
        TM_TRY(tm_record_conversion(recorder, &split->tensors[0], &split->tensors[1], err));
    for (size_t i = split->input_count; i < split->count; i++) {
        if (!split->parts[i].staged) continue;
        tm_tensor whole = tm_plan_tensor_at(plan, split->parts[i].tensor);
        box b;
        find_box(split, i, &whole.shape, first, size, &b);
        TM_TRY(stage(&ctx, &whole, &split->tensors[i], &b, true, recorder, err));
    }
    return TAGMASK_OK;
}

tagmask_status tm_split_record(const tm_plan *plan, const tm_step *step, tm_recorder *recorder, tm_error *err) {
    tm_split *split = step->split;
    const tm_cut *cut = &split->cut;
    int64_t first[TM_MAX_RANK] = {0}, size[TM_MAX_RANK];
    for (size_t i = 0; i < split->count; i++) memset(&split->parts[i].last, -1, sizeof(box));
    for (;;) {
        for (size_t a = 0; a < cut->axis_count; a++) size[a] = TM_MIN(split->size[a], cut->axis[a].extent - first[a]);
        TM_TRY(record_piece(plan, step, first, size, recorder, err));
        size_t a = cut->axis_count;
        for (; a-- > 0; first[a] = 0)
            if ((first[a] += split->size[a]) < cut->axis[a].extent) break;
        if (a == SIZE_MAX) return TAGMASK_OK;
    }
}
