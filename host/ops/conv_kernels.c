// Kernels of the convolution family: which one serves, how its weights lie in memory, how it is dispatched.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/common.h"
#include "ops/conv.h"

#define TILE_CHANNELS 8

// As in shaders/nn/conv.glsl.
typedef struct conv_push {
    int32_t in_width, in_height, in_plane, in_blocks;
    int32_t out_width, out_plane, out_blocks;
    int32_t kernel_width, kernel_height, stride_x, stride_y, pad_x, pad_y, dilation_x, dilation_y;
    int32_t group_in_blocks, group_out_blocks, group_tiles;
    int32_t first_pixel, out_channels, residual, biased;
    float act_a, act_b, inverse_out_width;
} conv_push;

// As in shaders/nn/conv_linear.comp.
typedef struct linear_push {
    int32_t in_width, in_height, group_in, group_out, groups, out_width, out_height, out_total;
    int32_t kernel_width, kernel_height, stride_x, stride_y, pad_x, pad_y, dilation_x, dilation_y;
    int32_t has_bias, residual;
    float act_a, act_b;
} linear_push;

static bool is_depthwise(const tm_conv *conv) {
    return conv->groups > 1 && conv->groups == conv->in_channels && conv->groups == conv->out_channels;
}

bool tm_conv_pinned(const char *name) {
    const char *pinned = getenv("TAGMASK_CONV");
    return pinned && !strcmp(pinned, name);
}

tm_conv_kernel tm_conv_choose(const tm_conv *conv, const tm_gpu_info *info) {
    (void)info;
    if (tm_conv_pinned("linear")) return TM_CONV_LINEAR;
    if (is_depthwise(conv)) return TM_CONV_DEPTHWISE;
    bool whole_blocks = conv->groups == 1 ||
                        ((conv->in_channels / conv->groups) % 4 == 0 && (conv->out_channels / conv->groups) % 4 == 0);
    return whole_blocks ? TM_CONV_TILE : TM_CONV_LINEAR;
}

// ---- Packing.

static int32_t tiles_of_group(const tm_conv *conv) {
    return (tm_conv_blocks(conv->out_channels / conv->groups) * 4 + TILE_CHANNELS - 1) / TILE_CHANNELS;
}

static size_t packed_weights(const tm_conv *conv, tm_conv_kernel kernel) {
    size_t taps = (size_t)conv->kernel_height * (size_t)conv->kernel_width, count = 0;
    size_t group_in = (size_t)(conv->in_channels / conv->groups), parts[4] = {taps, 1, 1, 1};
    if (kernel == TM_CONV_LINEAR) {
        parts[1] = group_in;
        parts[2] = (size_t)conv->out_channels;
    } else if (kernel == TM_CONV_DEPTHWISE) {
        parts[1] = (size_t)tm_conv_blocks(conv->out_channels) * 4;
    } else {
        parts[1] = (size_t)tm_conv_blocks((int32_t)group_in) * 4;
        parts[2] = (size_t)tiles_of_group(conv) * TILE_CHANNELS;
        parts[3] = (size_t)conv->groups;
    }
    count = parts[0];
    for (int i = 1; i < 4; i++)
        if (!tm_mul_size(count, parts[i], &count)) return 0;
    return count > INT32_MAX ? 0 : count;  // shaders index in 32 bits with a sign
}

static void pack_depthwise(const tm_conv *conv, const float *weights, float *packed) {
    int32_t taps = conv->kernel_height * conv->kernel_width;
    for (int32_t c = 0; c < conv->out_channels; c++)
        for (int32_t t = 0; t < taps; t++)
            packed[((size_t)(c / 4) * (size_t)taps + (size_t)t) * 4 + (size_t)(c % 4)] =
                weights[(size_t)c * (size_t)taps + (size_t)t];
}

// [group][tile][ky][kx][input block][8 output channels][4 input channels]
static void pack_tile(const tm_conv *conv, const float *weights, float *packed) {
    size_t taps = (size_t)conv->kernel_height * (size_t)conv->kernel_width;
    size_t in = (size_t)(conv->in_channels / conv->groups), out = (size_t)(conv->out_channels / conv->groups);
    size_t in_blocks = (in + 3) / 4, tiles = (size_t)tiles_of_group(conv);
    for (size_t g = 0; g < (size_t)conv->groups; g++)
        for (size_t o = 0; o < out; o++)
            for (size_t i = 0; i < in; i++)
                for (size_t t = 0; t < taps; t++) {
                    size_t tile = g * tiles + o / TILE_CHANNELS, slot = (tile * taps + t) * in_blocks + i / 4;
                    packed[(slot * TILE_CHANNELS + o % TILE_CHANNELS) * 4 + i % 4] =
                        weights[((g * out + o) * in + i) * taps + t];
                }
}

// The bias in the order of the kernel's output channels, padded with zeros.
static size_t bias_floats(const tm_conv *conv, tm_conv_kernel kernel) {
    if (kernel == TM_CONV_LINEAR) return (size_t)conv->out_channels;
    if (kernel == TM_CONV_DEPTHWISE) return (size_t)tm_conv_blocks(conv->out_channels) * 4;
    return (size_t)conv->groups * (size_t)tiles_of_group(conv) * TILE_CHANNELS;
}

size_t tm_conv_packed_count(const tm_conv *conv, tm_conv_kernel kernel, bool bias) {
    return bias ? bias_floats(conv, kernel) : packed_weights(conv, kernel);
}

static void pack_bias(const tm_conv *conv, tm_conv_kernel kernel, const float *bias, float *packed) {
    size_t out = (size_t)(conv->out_channels / conv->groups);
    size_t step = kernel == TM_CONV_TILE ? (size_t)tiles_of_group(conv) * TILE_CHANNELS : out;
    for (size_t c = 0; c < (size_t)conv->out_channels; c++) packed[c / out * step + c % out] = bias[c];
}

static tagmask_status upload_raw(tm_op_ctx *ctx, const tm_conv *conv, const float *weights, tm_slice *slice,
                                 tm_recorder *recorder, tm_error *err) {
    size_t count = packed_weights(conv, TM_CONV_LINEAR);
    if (!count) return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "the weights have more than 2^31 elements");
    return tm_op_upload(ctx, weights, count * sizeof *weights, slice, recorder, err);
}

static tagmask_status pack_and_upload(tm_op_ctx *ctx, const tm_conv *conv, tm_conv_kernel kernel, const float *weights,
                                      tm_weights *to, tm_recorder *recorder, tm_error *err) {
    size_t count = packed_weights(conv, kernel);
    if (!count) return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "the weights have more than 2^31 elements");
    float *packed = tm_calloc(count, sizeof *packed);
    if (!packed) return tm_op_fail(ctx, err, TAGMASK_ERROR_MEMORY, "out of memory for %zu packed weights", count);
    if (kernel == TM_CONV_DEPTHWISE)
        pack_depthwise(conv, weights, packed);
    else
        pack_tile(conv, weights, packed);
    tagmask_status status = tm_op_upload_weights(ctx, packed, count, to, recorder, err);
    free(packed);
    return status;
}

tagmask_status tm_conv_pack_tile(tm_op_ctx *ctx, const tm_conv *conv, const float *weights, tm_weights *packed,
                                 tm_recorder *recorder, tm_error *err) {
    return pack_and_upload(ctx, conv, TM_CONV_TILE, weights, packed, recorder, err);
}

tagmask_status tm_conv_pack(tm_op_ctx *ctx, const tm_conv *conv, const float *weights, const float *bias,
                            tm_conv_prepared *prepared, tm_recorder *recorder, tm_error *err) {
    tm_conv_kernel kernel = prepared->kernel;
    size_t biases = bias_floats(conv, kernel);
    if (kernel == TM_CONV_LINEAR) {
        if (weights) TM_TRY(upload_raw(ctx, conv, weights, &prepared->weights.slice, recorder, err));
        return bias ? tm_op_upload(ctx, bias, biases * sizeof *bias, &prepared->bias, recorder, err) : TAGMASK_OK;
    }
    if (kernel == TM_CONV_DEPTHWISE)
        TM_TRY(pack_and_upload(ctx, conv, kernel, weights, &prepared->weights, recorder, err));
    else
        TM_TRY(tm_conv_pack_tile(ctx, conv, weights, &prepared->weights, recorder, err));
    for (int32_t i = 0; kernel == TM_CONV_TILE && i < 2; i++)
        if (tm_conv_winograd_wanted(conv, ctx->gpu, i ? 4 : 2))
            TM_TRY(tm_conv_winograd_pack(ctx, conv, i ? 4 : 2, weights, &prepared->winograd[i], recorder, err));
    float *packed_bias = tm_calloc(biases, sizeof *packed_bias);
    if (!packed_bias) return tm_op_fail(ctx, err, TAGMASK_ERROR_MEMORY, "out of memory for the bias");
    if (bias) pack_bias(conv, kernel, bias, packed_bias);
    tagmask_status status =
        tm_op_upload(ctx, packed_bias, biases * sizeof *packed_bias, &prepared->bias, recorder, err);
    free(packed_bias);
    return status;
}

// ---- Dispatch.

void tm_conv_act(const tm_fused *fused, uint32_t *act, float *a, float *b) {
    *act = (uint32_t)fused->act;
    *a = fused->a;
    *b = fused->b;
    if (fused->act == TM_ACT_RELU) {
        *act = TM_ACT_CLIP;
        *a = 0;
        *b = INFINITY;
    }
}

// CPU devices want workgroups of a few vectors (more only adds bookkeeping), GPUs a few subgroups.
uint32_t tm_conv_workgroup(const tm_gpu_info *info) {
    return info->gpu_class == TM_GPU_CLASS_GPU ? 64 : 8;
}

// How a kernel reads: the ending of its shader's name.
typedef enum access { ACCESS_STORAGE, ACCESS_TEXEL, ACCESS_SUBGROUP } access;

// Output channels that a tile computes: 1, 2, 4 or 8 (each a pipeline of its own).
static uint32_t used_channels(const tm_conv *conv, access how) {
    int32_t out = conv->out_channels / conv->groups;
    if (how == ACCESS_SUBGROUP) return TILE_CHANNELS;  // said at build time there
    return out > 4 ? TILE_CHANNELS : out > 2 ? 4 : (uint32_t)out;
}

static access choose_access(const tm_gpu_info *info, const tm_conv_pass *pass) {
    if (tm_gpu_by_texels(info, pass->in, false) && tm_gpu_by_texels(info, pass->weights.slice, pass->weights.half))
        return ACCESS_TEXEL;
    bool broadcasts = info->gpu_class == TM_GPU_CLASS_SWIFTSHADER && info->subgroup_size == 4;
    return broadcasts ? ACCESS_SUBGROUP : ACCESS_STORAGE;
}

tagmask_status tm_conv_dispatch_each(tm_gpu *gpu, tm_dispatch_info *dispatch, uint32_t total, tm_recorder *recorder,
                                     tm_error *err) {
    const tm_gpu_info *info = tm_gpu_get_info(gpu);
    uint32_t groups = tm_div_up(total, tm_conv_workgroup(info)), columns = TM_MIN(groups, info->max_groups[0]);
    dispatch->groups[0] = columns;
    dispatch->groups[1] = columns ? tm_div_up(groups, columns) : 0;
    dispatch->groups[2] = 1;
    return tm_dispatch(recorder, dispatch, err);
}

static tagmask_status record_linear(tm_op_ctx *ctx, const tm_conv *conv, tm_recorder *recorder, tm_error *err) {
    uint64_t channels = (uint64_t)conv->in_channels / (uint64_t)conv->groups;
    uint64_t taps = (uint64_t)conv->kernel_height * ((uint64_t)conv->kernel_width + 1);
    TM_TRY(tm_check_rounds(ctx, channels * (taps + 1), err));
    const tm_conv_prepared *prepared = ctx->node->prepared;
    const tm_gpu_info *info = tm_gpu_get_info(ctx->gpu);
    bool biased = ctx->input_count > 2 && ctx->in[2].dtype != TM_DTYPE_NONE;
    tm_slice weights = prepared && prepared->weights.slice.buffer ? prepared->weights.slice : ctx->gin[1].slice;
    tm_slice bias = weights, residual = weights;
    if (biased) bias = prepared && prepared->bias.buffer ? prepared->bias : ctx->gin[2].slice;
    int32_t added = ctx->node->fused.residual;
    if (added >= 0) residual = ctx->gin[added].slice;
    linear_push push = {conv->in_width,
                        conv->in_height,
                        conv->in_channels / conv->groups,
                        conv->out_channels / conv->groups,
                        conv->groups,
                        conv->out_width,
                        conv->out_height,
                        conv->batch * conv->out_channels * conv->out_height * conv->out_width,
                        conv->kernel_width,
                        conv->kernel_height,
                        conv->stride_x,
                        conv->stride_y,
                        conv->pad_left,
                        conv->pad_top,
                        conv->dilation_x,
                        conv->dilation_y,
                        biased,
                        added >= 0,
                        0,
                        0};
    uint32_t constants[2] = {tm_conv_workgroup(info), 0};
    tm_conv_act(&ctx->node->fused, &constants[1], &push.act_a, &push.act_b);
    tm_dispatch_info dispatch = {.bindings = {ctx->gin[0].slice, weights, bias, residual, ctx->gout[0].slice},
                                 .push = &push,
                                 .push_size = sizeof push,
                                 .divisible = true,
                                 .flops = ctx->flops,
                                 .label = "conv linear"};
    TM_TRY(tm_pipeline_get(ctx->gpu, "nn/conv_linear", constants, 2, &dispatch.pipeline, err));
    return tm_conv_dispatch_each(ctx->gpu, &dispatch, (uint32_t)push.out_total, recorder, err);
}

// Whether a tap may lie outside of the input.
static bool reaches_outside(const tm_conv *conv) {
    int32_t last_y = (conv->out_height - 1) * conv->stride_y + (conv->kernel_height - 1) * conv->dilation_y;
    int32_t last_x = (conv->out_width - 1) * conv->stride_x + (conv->kernel_width - 1) * conv->dilation_x;
    // A piece of a convolution may start inside of its input: a pad below zero.
    return conv->pad_top > 0 || conv->pad_left > 0 || last_y - conv->pad_top >= conv->in_height ||
           last_x - conv->pad_left >= conv->in_width;
}

static conv_push make_push(const tm_conv *conv, const tm_conv_pass *pass) {
    conv_push push = {.in_width = conv->in_width,
                      .in_height = conv->in_height,
                      .in_plane = conv->in_width * conv->in_height,
                      .in_blocks = tm_conv_blocks(conv->in_channels),
                      .out_width = conv->out_width,
                      .out_plane = conv->out_width * conv->out_height,
                      .out_blocks = tm_conv_blocks(conv->out_channels),
                      .kernel_width = conv->kernel_width,
                      .kernel_height = conv->kernel_height,
                      .stride_x = conv->stride_x,
                      .stride_y = conv->stride_y,
                      .pad_x = conv->pad_left,
                      .pad_y = conv->pad_top,
                      .dilation_x = conv->dilation_x,
                      .dilation_y = conv->dilation_y,
                      .group_in_blocks = tm_conv_blocks(conv->in_channels / conv->groups),
                      .group_out_blocks = tm_conv_blocks(conv->out_channels / conv->groups),
                      .group_tiles = tiles_of_group(conv),
                      .out_channels = conv->out_channels,
                      .residual = pass->residual.buffer != NULL,
                      .biased = pass->bias.buffer != NULL,
                      .inverse_out_width = conv->out_width ? 1.0f / (float)conv->out_width : 0};
    return push;
}

// As in shaders/nn/conv_gemm.glsl.
typedef struct gemm_push {
    int32_t plane, in_blocks, out_blocks, tiles, groups, first_pixel, out_channels;
    float act_a, act_b;
} gemm_push;

static gemm_push make_gemm_push(const tm_conv *conv) {
    int32_t in = conv->in_channels / conv->groups, out = conv->out_channels / conv->groups;
    return (gemm_push){.plane = conv->out_width * conv->out_height,
                       .in_blocks = tm_conv_blocks(in),
                       .out_blocks = tm_conv_blocks(out),
                       .tiles = tiles_of_group(conv),
                       .groups = conv->groups,
                       .out_channels = out};
}

// One dispatch a range of pixels: planes may need more workgroups than a dispatch may have. first_pixel points into the
// push constants.
static tagmask_status dispatch_pixels(tm_gpu *gpu, tm_dispatch_info *dispatch, int32_t plane, uint32_t pixels_a_group,
                                      int32_t *first_pixel, tm_recorder *recorder, tm_error *err) {
    uint32_t groups = tm_div_up((uint32_t)plane, pixels_a_group);
    uint32_t most = tm_gpu_get_info(gpu)->max_groups[0];
    double flops = dispatch->flops;
    for (uint32_t first = 0; first < groups; first += most) {
        *first_pixel = (int32_t)(first * pixels_a_group);
        dispatch->groups[0] = TM_MIN(groups - first, most);
        dispatch->flops = flops * dispatch->groups[0] / groups;
        TM_TRY(tm_dispatch(recorder, dispatch, err));
    }
    return TAGMASK_OK;
}

// The pipeline of a shader for these weights: shaders.cmake compiles each a second time for 16-bit ones.
static tagmask_status get_pipeline(tm_gpu *gpu, const char *shader, const tm_conv_pass *pass, const uint32_t *constants,
                                   size_t count, tm_pipeline **pipeline, tm_error *err) {
    char name[64];
    snprintf(name, sizeof name, "%s%s", shader, pass->weights.half ? "_half" : "");
    return tm_pipeline_get(gpu, name, constants, count, pipeline, err);
}

// Neighbours in a row share their loads: for the usual depthwise kernels where a load costs more than what it feeds.
static const char *depthwise_row(const tm_conv *conv, access how) {
    static const char *const names[2][2] = {{"nn/conv_depthwise_row_3_1", "nn/conv_depthwise_row_3_2"},
                                            {"nn/conv_depthwise_row_5_1", "nn/conv_depthwise_row_5_2"}};
    int32_t kernel = conv->kernel_width, stride = conv->stride_x;
    bool fits = conv->kernel_height == kernel && (kernel == 3 || kernel == 5) && conv->stride_y == stride &&
                stride <= 2 && conv->dilation_y == 1 && conv->dilation_x == 1;
    return how == ACCESS_TEXEL && fits ? names[kernel / 4][stride - 1] : NULL;
}

#define ROW_PIXELS 8  // as in shaders/nn/conv_depthwise_row_*.comp

static tagmask_status record_depthwise(tm_gpu *gpu, const tm_conv *conv, const tm_conv_pass *pass,
                                       tm_dispatch_info *dispatch, access how, tm_recorder *recorder, tm_error *err) {
    static const char *const names[] = {"nn/conv_depthwise", "nn/conv_depthwise_texel", "nn/conv_depthwise"};
    const char *row = depthwise_row(conv, how);
    uint32_t size = tm_conv_workgroup(tm_gpu_get_info(gpu)), constants[2] = {size, 0};
    conv_push push = make_push(conv, pass);
    tm_conv_act(&pass->fused, &constants[1], &push.act_a, &push.act_b);
    TM_TRY(get_pipeline(gpu, row ? row : names[how], pass, constants, 2, &dispatch->pipeline, err));
    dispatch->push = &push;
    dispatch->push_size = sizeof push;
    dispatch->groups[1] = (uint32_t)push.out_blocks;
    dispatch->groups[2] = (uint32_t)conv->batch;
    int32_t runs = (conv->out_width + ROW_PIXELS - 1) / ROW_PIXELS * conv->out_height;
    return row ? dispatch_pixels(gpu, dispatch, runs, size, &push.first_pixel, recorder, err)
               : dispatch_pixels(gpu, dispatch, push.out_plane, size * 4, &push.first_pixel, recorder, err);
}

static tagmask_status record_taps(tm_gpu *gpu, const tm_conv *conv, const tm_conv_pass *pass,
                                  tm_dispatch_info *dispatch, access how, tm_recorder *recorder, tm_error *err) {
    uint32_t size = tm_conv_workgroup(tm_gpu_get_info(gpu)),
             constants[4] = {size, 0, reaches_outside(conv), used_channels(conv, how)};
    conv_push push = make_push(conv, pass);
    tm_conv_act(&pass->fused, &constants[1], &push.act_a, &push.act_b);
    static const char *const names[] = {"nn/conv_tile", "nn/conv_tile_texel", "nn/conv_tile_subgroup"};
    const char *name = names[how];
    if (how == ACCESS_SUBGROUP && conv->out_channels == conv->groups) name = "nn/conv_tile_subgroup_one";
    TM_TRY(get_pipeline(gpu, name, pass, constants, 4, &dispatch->pipeline, err));
    dispatch->push = &push;
    dispatch->push_size = sizeof push;
    dispatch->groups[1] = (uint32_t)(conv->groups * push.group_tiles);
    dispatch->groups[2] = (uint32_t)conv->batch;
    return dispatch_pixels(gpu, dispatch, push.out_plane, size * (how == ACCESS_TEXEL ? 8 : 4), &push.first_pixel,
                           recorder, err);
}

static tagmask_status record_gemm(tm_gpu *gpu, const tm_conv *conv, const tm_conv_pass *pass,
                                  tm_dispatch_info *dispatch, access how, tm_recorder *recorder, tm_error *err) {
    uint32_t size = tm_conv_workgroup(tm_gpu_get_info(gpu)), pixels = size * (how == ACCESS_TEXEL ? 8 : 4);
    gemm_push push = make_gemm_push(conv);
    bool whole = (uint32_t)push.plane % pixels == 0 && push.out_channels % TILE_CHANNELS == 0;
    uint32_t constants[6] = {
        size, 0, pass->residual.buffer != NULL, pass->bias.buffer != NULL, whole, used_channels(conv, how)};
    tm_conv_act(&pass->fused, &constants[1], &push.act_a, &push.act_b);
    static const char *const names[] = {"nn/conv_gemm", "nn/conv_gemm_texel", "nn/conv_gemm_subgroup"};
    TM_TRY(get_pipeline(gpu, names[how], pass, constants, 6, &dispatch->pipeline, err));
    dispatch->push = &push;
    dispatch->push_size = sizeof push;
    dispatch->groups[1] = (uint32_t)push.tiles;
    dispatch->groups[2] = (uint32_t)(conv->batch * conv->groups);
    return dispatch_pixels(gpu, dispatch, push.plane, pixels, &push.first_pixel, recorder, err);
}

// A workgroup's part of the products through shared memory: 64 pixels and 32 output channels.
#define SHARED_TILES 4
#define SHARED_SIZE 64

static tagmask_status record_shared(tm_gpu *gpu, const tm_conv *conv, const tm_conv_pass *pass,
                                    tm_dispatch_info *dispatch, tm_recorder *recorder, tm_error *err) {
    gemm_push push = make_gemm_push(conv);
    uint32_t constants[6] = {SHARED_SIZE,  0,          pass->residual.buffer != NULL, pass->bias.buffer != NULL,
                             SHARED_TILES, SHARED_SIZE};
    tm_conv_act(&pass->fused, &constants[1], &push.act_a, &push.act_b);
    TM_TRY(get_pipeline(gpu, "nn/conv_gemm_shared", pass, constants, 6, &dispatch->pipeline, err));
    dispatch->push = &push;
    dispatch->push_size = sizeof push;
    dispatch->groups[1] = tm_div_up((uint32_t)push.tiles, SHARED_TILES);
    dispatch->groups[2] = (uint32_t)(conv->batch * conv->groups);
    return dispatch_pixels(gpu, dispatch, push.plane, 4 * SHARED_SIZE / SHARED_TILES, &push.first_pixel, recorder, err);
}

bool tm_conv_pointwise(const tm_conv *conv) {
    return conv->kernel_height == 1 && conv->kernel_width == 1 && conv->stride_y == 1 && conv->stride_x == 1 &&
           !conv->pad_top && !conv->pad_left && !conv->pad_bottom && !conv->pad_right;
}

tagmask_status tm_conv_record_pass(tm_gpu *gpu, const tm_conv *conv, tm_conv_kernel kernel, bool shared,
                                   const tm_conv_pass *pass, tm_recorder *recorder, tm_error *err) {
    const tm_gpu_info *info = tm_gpu_get_info(gpu);
    access how = choose_access(info, pass);
    tm_slice bias = pass->bias.buffer ? pass->bias : pass->weights.slice;  // a binding the shader does not read
    tm_slice residual = pass->residual.buffer ? pass->residual : bias;
    tm_dispatch_info dispatch = {.bindings = {pass->in, pass->weights.slice, bias, residual, pass->out},
                                 .half = pass->weights.half ? 2 : 0,
                                 .divisible = true,
                                 .flops = pass->flops,
                                 .label = pass->label};
    if (shared) return record_shared(gpu, conv, pass, &dispatch, recorder, err);
    if (kernel == TM_CONV_TILE && tm_conv_pointwise(conv))
        return record_gemm(gpu, conv, pass, &dispatch, how, recorder, err);
    if (kernel == TM_CONV_DEPTHWISE) return record_depthwise(gpu, conv, pass, &dispatch, how, recorder, err);
    return record_taps(gpu, conv, pass, &dispatch, how, recorder, err);
}

tagmask_status tm_conv_record_variant(tm_op_ctx *ctx, const tm_conv *conv, tm_conv_variant variant,
                                      tm_recorder *recorder, tm_error *err) {
    const tm_conv_prepared *prepared = ctx->node->prepared;
    uint64_t channels = (uint64_t)conv->in_channels / (uint64_t)conv->groups;
    uint64_t taps = (uint64_t)conv->kernel_height * ((uint64_t)conv->kernel_width + 1);
    TM_TRY(tm_check_rounds(ctx, taps * (channels / 4 + 2), err));
    if (variant == TM_CONV_F2) return tm_conv_winograd_record(ctx, conv, 2, false, recorder, err);
    if (variant == TM_CONV_F4 || variant == TM_CONV_F4_SHARED)
        return tm_conv_winograd_record(ctx, conv, 4, variant == TM_CONV_F4_SHARED, recorder, err);
    int32_t added = ctx->node->fused.residual;
    tm_conv_pass pass = {.in = ctx->gin[0].slice,
                         .weights = prepared->weights,
                         .bias = prepared->bias,
                         .residual = added >= 0 ? ctx->gin[added].slice : (tm_slice){0},
                         .out = ctx->gout[0].slice,
                         .fused = ctx->node->fused,
                         .flops = ctx->flops,
                         .label = prepared->kernel == TM_CONV_DEPTHWISE ? "conv depthwise"
                                  : tm_conv_pointwise(conv)             ? "conv pointwise"
                                                                        : "conv tile"};
    return tm_conv_record_pass(ctx->gpu, conv, prepared->kernel, variant == TM_CONV_SHARED, &pass, recorder, err);
}

tagmask_status tm_conv_record(tm_op_ctx *ctx, const tm_conv *conv, tm_recorder *recorder, tm_error *err) {
    tm_conv_kernel kernel = tm_conv_kernel_of(ctx);
    if (kernel == TM_CONV_LINEAR) return record_linear(ctx, conv, recorder, err);
    if (!ctx->node->prepared) return tm_conv_changing_record(ctx, conv, kernel, false, recorder, err);
    return tm_conv_record_variant(ctx, conv, (tm_conv_variant)ctx->choice, recorder, err);
}
