// ConvTranspose as a convolution: outputs that lie at the same place within the stride, a phase, see the same taps of
// the kernel, so each phase is a convolution of its own with stride 1 (Shi et al., "Is the deconvolution layer the same
// as a convolutional layer?", 2016). All phases are channels of one convolution, which the tile kernel computes; a last
// shader puts their pixels in order.
#include <stdlib.h>

#include "ops/common.h"
#include "ops/conv.h"

// As in shaders/nn/conv_phases.glsl.
typedef struct phases_push {
    int32_t width, height, blocks, count, stride_x, stride_y, grid_width, grid_height, out_channels;
    float act_a, act_b;
} phases_push;

// Output phase + stride * j and tap k meet at input j + shift - m, where k = first + stride * m.
typedef struct phase {
    int64_t first, shift;
} phase;

static phase phase_of(const tm_transpose_axis *a, int64_t number) {
    int64_t shift = tm_floor_div(number + a->pad, a->stride);
    return (phase){number + a->pad - shift * a->stride, shift};
}

// The input offsets, from *low on, that any phase needs. A phase without a tap needs none.
static int64_t offsets(const tm_transpose_axis *a, int64_t *low) {
    int64_t least = INT64_MAX, most = INT64_MIN;
    for (int64_t p = 0; p < a->stride; p++) {
        phase f = phase_of(a, p);
        if (f.first >= a->kernel) continue;
        least = TM_MIN(least, f.shift - (a->kernel - 1 - f.first) / a->stride);
        most = TM_MAX(most, f.shift);
    }
    *low = least;
    return most - least + 1;
}

// The convolution of all phases. Sizes of images count only where they are known.
static tm_conv phase_conv(const tm_transpose *t) {
    int64_t low_y, low_x, kernel_y = offsets(&t->y, &low_y), kernel_x = offsets(&t->x, &low_x);
    tm_conv conv = {.batch = (int32_t)t->batch,
                    .in_channels = (int32_t)t->group_in,
                    .in_height = (int32_t)t->y.in,
                    .in_width = (int32_t)t->x.in,
                    .out_channels = (int32_t)(t->y.stride * t->x.stride) * tm_conv_blocks((int32_t)t->group_out) * 4,
                    .out_height = (int32_t)((t->y.out + t->y.stride - 1) / t->y.stride),
                    .out_width = (int32_t)((t->x.out + t->x.stride - 1) / t->x.stride),
                    .groups = 1,
                    .kernel_height = (int32_t)kernel_y,
                    .kernel_width = (int32_t)kernel_x,
                    .stride_y = 1,
                    .stride_x = 1,
                    .dilation_y = 1,
                    .dilation_x = 1,
                    .pad_top = (int32_t)-low_y,
                    .pad_left = (int32_t)-low_x};
    conv.pad_bottom = conv.out_height + conv.kernel_height - 1 - conv.pad_top - conv.in_height;
    conv.pad_right = conv.out_width + conv.kernel_width - 1 - conv.pad_left - conv.in_width;
    return conv;
}

bool tm_conv_phases_fit(const tm_transpose *t) {
    int64_t most = 64;  // of strides; beyond, hardly any output has a tap
    bool plain =
        t->groups == 1 && t->y.dilation == 1 && t->x.dilation == 1 && t->y.stride <= most && t->x.stride <= most;
    // Pads as large as the kernel leave outputs that begin inside of the input: no kernel here starts there.
    return plain && t->y.pad >= 0 && t->x.pad >= 0 && t->y.pad < t->y.kernel && t->x.pad < t->x.kernel &&
           phase_conv(t).pad_top >= 0 && phase_conv(t).pad_left >= 0;
}

// [phase][output channel, padded to whole blocks][input channel][tap]
static void spread_weights(const tm_transpose *t, const tm_conv *conv, const float *weights, float *spread) {
    int64_t padded = tm_conv_blocks((int32_t)t->group_out) * 4, taps = conv->kernel_height * conv->kernel_width;
    for (int64_t p = 0; p < t->y.stride * t->x.stride; p++) {
        phase fy = phase_of(&t->y, p / t->x.stride), fx = phase_of(&t->x, p % t->x.stride);
        for (int64_t tap = 0; tap < taps; tap++) {
            int64_t my = fy.shift - (tap / conv->kernel_width - conv->pad_top);
            int64_t mx = fx.shift - (tap % conv->kernel_width - conv->pad_left);
            int64_t ky = fy.first + t->y.stride * my, kx = fx.first + t->x.stride * mx;
            if (my < 0 || mx < 0 || ky >= t->y.kernel || kx >= t->x.kernel) continue;
            for (int64_t o = 0; o < t->group_out; o++)
                for (int64_t c = 0; c < t->group_in; c++)
                    spread[((p * padded + o) * t->group_in + c) * taps + tap] =
                        weights[((c * t->group_out + o) * t->y.kernel + ky) * t->x.kernel + kx];
        }
    }
}

static tagmask_status upload_bias(tm_op_ctx *ctx, const tm_transpose *t, const float *bias, tm_slice *slice,
                                  tm_recorder *recorder, tm_error *err) {
    size_t padded = (size_t)tm_conv_blocks((int32_t)t->group_out) * 4, phases = (size_t)(t->y.stride * t->x.stride);
    size_t count = (padded * phases + 7) / 8 * 8;  // whole tiles
    float *packed = tm_calloc(count, sizeof *packed);
    if (!packed) return tm_op_fail(ctx, err, TAGMASK_ERROR_MEMORY, "out of memory for the bias");
    for (size_t p = 0; p < phases; p++)
        for (size_t o = 0; bias && o < (size_t)t->group_out; o++) packed[p * padded + o] = bias[o];
    tagmask_status status = tm_op_upload(ctx, packed, count * sizeof *packed, slice, recorder, err);
    free(packed);
    return status;
}

tagmask_status tm_conv_phases_prepare(tm_op_ctx *ctx, const tm_transpose *t, const float *weights, const float *bias,
                                      tm_recorder *recorder, tm_error *err) {
    tm_conv conv = phase_conv(t);
    size_t count = (size_t)conv.out_channels;
    if (!tm_mul_size(count, (size_t)conv.in_channels, &count) ||
        !tm_mul_size(count, (size_t)conv.kernel_height * (size_t)conv.kernel_width, &count) || count > INT32_MAX ||
        tm_conv_packed_count(&conv, TM_CONV_TILE, false) * 4 > tm_gpu_get_info(ctx->gpu)->max_storage_range)
        return TAGMASK_OK;  // the plain kernel needs no copy of the weights, and can cut them
    float *spread = tm_calloc(count, sizeof *spread);
    tm_conv_prepared *prepared = tm_calloc(1, sizeof *prepared);
    tagmask_status status = TAGMASK_OK;
    if (spread && prepared) {
        spread_weights(t, &conv, weights, spread);
        prepared->kernel = TM_CONV_TILE;
        status = tm_conv_pack_tile(ctx, &conv, spread, &prepared->weights, recorder, err);
        if (status == TAGMASK_OK) status = upload_bias(ctx, t, bias, &prepared->bias, recorder, err);
    } else {
        status = tm_op_fail(ctx, err, TAGMASK_ERROR_MEMORY, "out of memory for %zu weights", count);
    }
    free(spread);
    if (status == TAGMASK_OK)
        ctx->node->prepared = prepared;
    else
        free(prepared);
    return status;
}

uint64_t tm_conv_phases_scratch(const tm_transpose *t) {
    tm_conv conv = phase_conv(t);
    return (uint64_t)conv.batch * (uint64_t)conv.out_channels * 4 * (uint64_t)conv.out_height *
           (uint64_t)conv.out_width;
}

tagmask_status tm_conv_phases_record(tm_op_ctx *ctx, const tm_transpose *t, tm_recorder *recorder, tm_error *err) {
    const tm_conv_prepared *prepared = ctx->node->prepared;
    tm_conv conv = phase_conv(t);
    int32_t added = ctx->node->fused.residual;
    uint64_t taps = (uint64_t)conv.kernel_height * ((uint64_t)conv.kernel_width + 1);
    TM_TRY(tm_check_rounds(ctx, taps * ((uint64_t)conv.in_channels / 4 + 2), err));
    tm_conv_pass pass = {.in = ctx->gin[0].slice,
                         .weights = prepared->weights,
                         .bias = prepared->bias,
                         .out = ctx->scratch,
                         .fused = {.residual = -1},
                         .flops = 2.0 * conv.batch * conv.out_channels * conv.out_height * conv.out_width *
                                  conv.in_channels * conv.kernel_height * conv.kernel_width,
                         .label = "conv transpose"};
    pass.out.size = tm_conv_phases_scratch(t);
    TM_TRY(tm_conv_record_pass(ctx->gpu, &conv, TM_CONV_TILE, false, &pass, recorder, err));
    phases_push push = {.width = (int32_t)t->x.out,
                        .height = (int32_t)t->y.out,
                        .blocks = tm_conv_blocks((int32_t)t->group_out),
                        .stride_x = (int32_t)t->x.stride,
                        .stride_y = (int32_t)t->y.stride,
                        .grid_width = conv.out_width,
                        .grid_height = conv.out_height,
                        .out_channels = (int32_t)t->group_out};
    push.count = conv.batch * push.blocks * push.width * push.height;
    tm_launch launch = {.shader = "nn/conv_phases",
                        .texel_shader = "nn/conv_phases_texel",
                        .texel_inputs = 1,
                        .constants = {0, added >= 0},
                        .constant_count = 2,
                        .bindings = {pass.out, added >= 0 ? ctx->gin[added].slice : prepared->bias, ctx->gout[0].slice},
                        .binding_count = 3,
                        .push = &push,
                        .push_size = sizeof push,
                        .threads = (uint64_t)push.count,
                        .flops = 8.0 * push.count};
    tm_conv_act(&ctx->node->fused, &launch.constants[0], &push.act_a, &push.act_b);
    return tm_launch_threads(ctx, recorder, &launch, err);
}
