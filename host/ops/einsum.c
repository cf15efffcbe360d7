// Einsum of one or two operands, with implicit or explicit output, repeated labels and ellipses.
#include <string.h>

#include "ops/common.h"
#include "ops/gradients.h"

// Labels are letters, and for the dimensions of an ellipsis the numbers from 1 on, counted from the last one.
typedef struct einsum_plan {
    size_t operands;
    char label[2][TM_MAX_RANK], out[TM_MAX_RANK];
    int32_t rank[2], out_rank;
    // Labels in the order of the shader: those of the output, then the summed ones.
    char order[2 * TM_MAX_RANK];
    int64_t dim[2 * TM_MAX_RANK], stride[2][2 * TM_MAX_RANK];
    int32_t kept, count;
} einsum_plan;

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static tagmask_status bad_equation(tm_op_ctx *ctx, tm_error *err) {
    return tm_op_fail(
        ctx, err, TAGMASK_ERROR_UNSUPPORTED,
        "its equation '%.100s' does not fit its operands; expected one or two terms of letters, in which an "
        "ellipsis may stand for the rest",
        tm_attr_string(ctx->node, "equation", ""));
}

// Reads one term up to ',', '-' or the end. rank: of the operand; -1: the output, whose ellipsis has `rest` dimensions.
static tagmask_status read_term(tm_op_ctx *ctx, const char **at, int32_t rank, int32_t rest, char *label,
                                int32_t *count, tm_error *err) {
    const char *start = *at;
    int32_t letters = 0;
    for (; **at && **at != ',' && **at != '-'; ++*at) letters += is_letter(**at);
    *count = 0;
    for (const char *p = start; p < *at; p++) {
        if (*p == ' ') continue;
        bool dots = p + 2 < *at && p[0] == '.' && p[1] == '.' && p[2] == '.';
        int32_t many = dots ? (rank < 0 ? rest : rank - letters) : 1;
        if ((!dots && !is_letter(*p)) || many < 0 || *count + many > TM_MAX_RANK) return bad_equation(ctx, err);
        for (int32_t i = many; i > 0; i--) label[(*count)++] = dots ? (char)i : *p;
        if (dots) p += 2;
    }
    return rank >= 0 && *count != rank ? bad_equation(ctx, err) : TAGMASK_OK;
}

static int32_t find_label(const einsum_plan *p, char label) {
    for (int32_t i = 0; i < p->count; i++)
        if (p->order[i] == label) return i;
    return -1;
}

// Without "->" the output has the ellipsis, then the letters that occur once, sorted.
static void implicit_output(einsum_plan *p, int32_t rest) {
    p->out_rank = 0;
    for (int32_t i = rest; i > 0; i--) p->out[p->out_rank++] = (char)i;
    for (int c = 'A'; c <= 'z'; c++) {
        int seen = 0;
        for (size_t k = 0; k < p->operands; k++)
            for (int32_t d = 0; d < p->rank[k]; d++) seen += is_letter((char)c) && p->label[k][d] == c;
        if (seen == 1 && p->out_rank < TM_MAX_RANK) p->out[p->out_rank++] = (char)c;
    }
}

static tagmask_status parse_equation(tm_op_ctx *ctx, einsum_plan *p, tm_error *err) {
    const char *at = tm_attr_string(ctx->node, "equation", "");
    int32_t rest = 0;
    for (size_t k = 0; k < p->operands; k++) {
        TM_TRY(read_term(ctx, &at, ctx->in[k].shape.rank, 0, p->label[k], &p->rank[k], err));
        for (int32_t d = 0; d < p->rank[k]; d++)
            if (p->label[k][d] < 'A') rest = TM_MAX(rest, p->label[k][d]);
        bool last = k + 1 == p->operands;
        if (last ? *at == ',' : *at != ',') return bad_equation(ctx, err);
        if (!last) at++;
    }
    if (!*at) {
        implicit_output(p, rest);
        return TAGMASK_OK;
    }
    if (at[0] != '-' || at[1] != '>') return bad_equation(ctx, err);
    at += 2;
    TM_TRY(read_term(ctx, &at, -1, rest, p->out, &p->out_rank, err));
    return *at ? bad_equation(ctx, err) : TAGMASK_OK;
}

static tagmask_status add_label(tm_op_ctx *ctx, einsum_plan *p, char label, tm_error *err) {
    if (find_label(p, label) >= 0) return TAGMASK_OK;
    // The shader's push constants hold eight.
    if (p->count == TM_MAX_RANK) return bad_equation(ctx, err);
    p->order[p->count] = label;
    p->dim[p->count] = 1;
    p->count++;
    return TAGMASK_OK;
}

static tagmask_status make_einsum_plan(tm_op_ctx *ctx, const tm_shape *const *shapes, einsum_plan *p, tm_error *err) {
    memset(p, 0, sizeof *p);
    p->operands = ctx->input_count;
    TM_TRY(parse_equation(ctx, p, err));
    for (int32_t d = 0; d < p->out_rank; d++) TM_TRY(add_label(ctx, p, p->out[d], err));
    p->kept = p->count;
    if (p->kept != p->out_rank) return bad_equation(ctx, err);  // a label twice in the output
    for (size_t k = 0; k < p->operands; k++) {
        const tm_shape *s = shapes[k];
        int64_t own[TM_MAX_RANK];
        tm_row_major(s->rank, s->dim, own);
        for (int32_t d = 0; d < s->rank; d++) {
            TM_TRY(add_label(ctx, p, p->label[k][d], err));
            int32_t i = find_label(p, p->label[k][d]);
            if (s->dim[d] != 1 && p->dim[i] != 1 && s->dim[d] != p->dim[i]) return bad_equation(ctx, err);
            if (s->dim[d] != 1) p->dim[i] = s->dim[d];
            if (s->dim[d] != 1) p->stride[k][i] += own[d];
        }
    }
    // A label of the output has to come from somewhere.
    for (int32_t i = 0; i < p->kept; i++) {
        bool found = false;
        for (size_t k = 0; k < p->operands; k++) found = found || memchr(p->label[k], p->order[i], (size_t)p->rank[k]);
        if (!found) return bad_equation(ctx, err);
    }
    return TAGMASK_OK;
}

// The plan of the whole operator.
static tagmask_status make_whole_plan(tm_op_ctx *ctx, einsum_plan *p, tm_error *err) {
    const tm_shape *shapes[] = {&ctx->in[0].shape, &ctx->in[ctx->input_count - 1].shape};
    return make_einsum_plan(ctx, shapes, p, err);
}

static tagmask_status shape_einsum(tm_op_ctx *ctx, tm_error *err) {
    if (ctx->input_count > 2)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "has %zu operands; at most two are supported",
                          ctx->input_count);
    TM_TRY(tm_need_inputs(ctx, TM_MAX(ctx->input_count, (size_t)1), 2, err));
    for (size_t i = 0; i < ctx->input_count; i++) TM_TRY(tm_need_float(ctx, i, "an operand", err));
    einsum_plan p;
    TM_TRY(make_whole_plan(ctx, &p, err));
    tm_shape shape = {.rank = p.out_rank}, all = {.rank = p.count};
    memcpy(shape.dim, p.dim, sizeof *p.dim * (size_t)p.out_rank);
    memcpy(all.dim, p.dim, sizeof *p.dim * (size_t)p.count);
    size_t terms;
    if (!tm_shape_count(&all, &terms)) return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "sums too many products");
    tm_set_output(ctx, 0, TM_FLOAT32, &shape);
    ctx->flops = 2.0 * (double)terms;
    return TAGMASK_OK;
}

// Along the output's labels, unless an operand's diagonal is meant.
static void cut_einsum(tm_op_ctx *ctx, tm_cut *cut) {
    einsum_plan p;
    tm_error ignored;
    if (make_whole_plan(ctx, &p, &ignored) != TAGMASK_OK) return;
    for (int8_t i = 0; i < p.kept; i++) {
        int seen[2] = {0, 0};
        size_t axis = tm_cut_add(cut, p.dim[i], 1);
        cut->dim[p.operands][axis] = i;
        for (size_t k = 0; k < p.operands; k++)
            for (int8_t d = 0; d < p.rank[k]; d++) {
                if (p.label[k][d] != p.order[i] || ctx->in[k].shape.dim[d] != p.dim[i]) continue;
                cut->dim[k][axis] = d;
                seen[k]++;
            }
        if (seen[0] < 2 && seen[1] < 2) continue;
        for (size_t k = 0; k <= p.operands; k++) cut->dim[k][axis] = -1;
    }
}

static tagmask_status record_einsum(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    einsum_plan p;
    const tm_shape *shapes[] = {&ctx->gin[0].shape, &ctx->gin[ctx->input_count - 1].shape};
    TM_TRY(make_einsum_plan(ctx, shapes, &p, err));
    struct {
        uint32_t dim[8], a[8], b[8], kept, labels, outputs, length;
    } push = {.kept = (uint32_t)p.kept, .labels = (uint32_t)p.count, .outputs = 1, .length = 1};
    for (int32_t i = 0; i < p.count; i++) {
        push.dim[i] = (uint32_t)p.dim[i];
        push.a[i] = (uint32_t)p.stride[0][i];
        push.b[i] = (uint32_t)p.stride[1][i];
        if (i < p.kept)
            push.outputs *= push.dim[i];
        else
            push.length *= push.dim[i];
    }
    tm_launch launch = {.shader = "nn/einsum",
                        .constants = {p.operands == 2},
                        .constant_count = 1,
                        .bindings = {ctx->gin[0].slice, ctx->gin[p.operands - 1].slice, ctx->gout[0].slice},
                        .binding_count = 3,
                        .push = &push,
                        .push_size = sizeof push,
                        .threads = push.outputs,
                        .rounds = (uint64_t)push.length * (1 + push.labels - push.kept) + push.length / 256,
                        .flops = 2.0 * push.outputs * push.length};
    return tm_launch_threads(ctx, recorder, &launch, err);
}

const tm_op tm_ops_einsum[] = {
    {.type = "Einsum",
     .domain = "",
     .since = 12,
     .shape = shape_einsum,
     .cut = cut_einsum,
     .record = record_einsum,
     .gradient = tm_gradient_einsum},
    {.type = NULL},
};
