// The gradient of a convolution's weights: ConvWeightGradient(g, x, like). Each weight is the sum, over all outputs, of
// the gradient times the input that the weight met; for a 1x1 kernel that is a product of matrices.
#include "ops/conv.h"
#include "ops/matmul.h"

// Rounds of an invocation's loops at most: see tm_check_rounds.
#define MOST_ROUNDS 32768
// Invocations that keep a device busy.
#define ENOUGH 8192

static tagmask_status read_forward(const tm_op_ctx *ctx, tm_conv *conv, tm_error *err) {
    tm_host_tensor in[2] = {ctx->in[1], ctx->in[2]};
    tm_op_ctx forward = *ctx;
    forward.in = in;
    forward.input_count = 2;
    return tm_conv_read(&forward, conv, err);
}

typedef struct parts {
    int32_t weights, rows, count, rows_a_part;
} parts;

static parts divide(const tm_conv *conv) {
    parts p = {
        .weights = conv->out_channels * (conv->in_channels / conv->groups) * conv->kernel_height * conv->kernel_width,
        .rows = conv->batch * conv->out_height};
    int32_t most = TM_MAX(MOST_ROUNDS / (conv->out_width / 8 + 2), 1), wanted = ENOUGH / TM_MAX(p.weights, 1) + 1;
    p.rows_a_part = TM_CLAMP(p.rows / wanted, 1, most);
    p.count = TM_MAX((p.rows + p.rows_a_part - 1) / p.rows_a_part, 1);
    return p;
}

// One product of matrices; images follow each other where what binds them can start.
static bool is_product(const tm_op_ctx *ctx, const tm_conv *conv) {
    uint64_t alignment = tm_gpu_get_info(ctx->gpu)->buffer_alignment;
    uint64_t plane = (uint64_t)conv->out_width * (uint64_t)conv->out_height * 4;
    bool starts =
        plane * (uint64_t)conv->in_channels % alignment == 0 && plane * (uint64_t)conv->out_channels % alignment == 0;
    return tm_conv_pointwise(conv) && conv->groups == 1 && plane > 0 && (conv->batch == 1 || starts);
}

static tagmask_status shape_weight_gradient(tm_op_ctx *ctx, tm_error *err) {
    tm_conv conv;
    TM_TRY(tm_need_inputs(ctx, 3, 3, err));
    for (size_t i = 0; i < 3; i++) TM_TRY(tm_need_float(ctx, i, "an input", err));
    TM_TRY(read_forward(ctx, &conv, err));
    tm_set_output(ctx, 0, TM_FLOAT32, &ctx->in[2].shape);
    parts p = divide(&conv);
    size_t bytes;
    if (!tm_mul_size((size_t)p.weights * 4, (size_t)p.count, &bytes) || bytes / 4 > INT32_MAX)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "has too many weights for one dispatch");
    ctx->scratch_bytes = TM_MAX(bytes, (size_t)16);
    ctx->flops = 2.0 * p.weights * (double)p.rows * conv.out_width;
    return TAGMASK_OK;
}

static tagmask_status record_product(tm_op_ctx *ctx, const tm_conv *conv, tm_recorder *recorder, tm_error *err) {
    uint32_t plane = (uint32_t)(conv->out_width * conv->out_height);
    tm_matmul push = {.m = (uint32_t)conv->out_channels,
                      .n = (uint32_t)conv->in_channels,
                      .k = plane,
                      .batches = 1,
                      .a_row = plane,
                      .a_col = 1,
                      .b_row = 1,
                      .b_col = plane,
                      .alpha = 1};
    for (int d = 0; d < 6; d++) push.batch_dim[d] = 1;
    for (int32_t image = 0; image < conv->batch; image++) {
        tm_slice g = ctx->gin[0].slice, x = ctx->gin[1].slice, before = {0};
        g.size = (uint64_t)plane * (uint64_t)conv->out_channels * 4;
        x.size = (uint64_t)plane * (uint64_t)conv->in_channels * 4;
        g.offset += (uint64_t)image * g.size;
        x.offset += (uint64_t)image * x.size;
        if (image) {
            before = ctx->gout[0].slice;
            push.d_row = push.n;
            push.d_col = 1;
            push.beta = 1;
        }
        TM_TRY(tm_matmul_record(ctx, recorder, &push, g, x, before, ctx->gout[0].slice, err));
    }
    return TAGMASK_OK;
}

static tagmask_status record_weight_gradient(tm_op_ctx *ctx, tm_recorder *recorder, tm_error *err) {
    tm_conv conv;
    TM_TRY(read_forward(ctx, &conv, err));
    if (is_product(ctx, &conv)) return record_product(ctx, &conv, recorder, err);
    parts p = divide(&conv);
    struct {
        int32_t weights, parts, rows, rows_a_part, in_width, in_height, out_width, out_height, group_in, group_out,
            groups;
        int32_t kernel_x, kernel_y, stride_x, stride_y, pad_x, pad_y, dilation_x, dilation_y;
    } push = {.weights = p.weights,
              .parts = p.count,
              .rows = p.rows,
              .rows_a_part = p.rows_a_part,
              .in_width = conv.in_width,
              .in_height = conv.in_height,
              .out_width = conv.out_width,
              .out_height = conv.out_height,
              .group_in = conv.in_channels / conv.groups,
              .group_out = conv.out_channels / conv.groups,
              .groups = conv.groups,
              .kernel_x = conv.kernel_width,
              .kernel_y = conv.kernel_height,
              .stride_x = conv.stride_x,
              .stride_y = conv.stride_y,
              .pad_x = conv.pad_left,
              .pad_y = conv.pad_top,
              .dilation_x = conv.dilation_x,
              .dilation_y = conv.dilation_y};
    for (uint32_t pass = 0; pass < 2; pass++) {
        tm_launch launch = {
            .shader = "nn/conv_weight_gradient",
            .constants = {pass},
            .constant_count = 1,
            .bindings = {ctx->gin[0].slice, ctx->gin[1].slice, ctx->scratch, ctx->gout[0].slice},
            .binding_count = 4,
            .push = &push,
            .push_size = sizeof push,
            .threads = (uint64_t)p.weights * (pass ? 1 : (uint64_t)p.count),
            .rounds = pass ? (uint64_t)p.count / 8 + 1 : (uint64_t)p.rows_a_part * ((uint64_t)conv.out_width / 8 + 2),
            .flops = pass ? (double)p.weights * p.count : ctx->flops};
        TM_TRY(tm_launch_threads(ctx, recorder, &launch, err));
    }
    return TAGMASK_OK;
}

const tm_op tm_ops_conv_weight_gradient[] = {
    {.type = "ConvWeightGradient",
     .domain = TM_GRADIENT_DOMAIN,
     .since = 1,
     .shape = shape_weight_gradient,
     .shape_inputs = 4,
     .record = record_weight_gradient},
    {.type = NULL},
};
