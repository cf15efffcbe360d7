// Winograd F(4x4, 3x3) for 3x3 convolutions with stride 1: see shaders/nn/conv_winograd.glsl for the method. The
// products of the 36 components are one convolution with 36 groups and a 1x1 kernel, so the tile kernel computes them.
#include <stdlib.h>
#include <string.h>

#include "ops/conv.h"

#define TILE 4
#define COMPONENTS 36
// Bytes of the vectors between the stages that one chunk of tiles may take: what last-level caches hold.
#define CHUNK_BYTES (12u << 20)
#define CHUNK_BYTES_GPU (64u << 20)
#define CHUNK_STEP 64  // pixels of a workgroup of the tile kernel

typedef struct winograd_push {
    int32_t width, height, blocks, tiles_x, tiles_y, first_tile, chunk, total, pad_x, pad_y, out_channels;
    float act_a, act_b;
} winograd_push;

static bool is_pinned(const char *name) {
    const char *pinned = getenv("TAGMASK_CONV");
    return pinned && !strcmp(pinned, name);
}

bool tm_conv_winograd_fits(const tm_conv *conv, const tm_gpu_info *info) {
    bool shape = conv->kernel_height == 3 && conv->kernel_width == 3 && conv->stride_y == 1 && conv->stride_x == 1 &&
                 conv->dilation_y == 1 && conv->dilation_x == 1 && conv->groups == 1;
    if (!shape || is_pinned("direct")) return false;
    if (is_pinned("winograd")) return true;
    // For an image's three channels a GPU computes faster than it writes 36 vectors; CPU devices gain even there. One
    // or two output channels are too few to pay for transforming the input.
    bool enough = conv->in_channels > 4 || info->gpu_class != TM_GPU_CLASS_GPU;
    return enough && conv->out_channels > 2;
}

static int32_t tiles_across(int32_t pixels) {
    return (pixels + TILE - 1) / TILE;
}

static int64_t total_tiles(const tm_conv *conv) {
    return (int64_t)conv->batch * tiles_across(conv->out_width) * tiles_across(conv->out_height);
}

// Where tiles fill a few workgroups; CPU devices lose nothing by idle lanes of the last one.
bool tm_conv_winograd_pays(const tm_conv *conv, const tm_gpu_info *info) {
    return total_tiles(conv) >= (info->gpu_class == TM_GPU_CLASS_GPU ? 64 : 16) || is_pinned("winograd");
}

static uint64_t bytes_a_tile(int32_t channels) {
    return (uint64_t)tm_conv_blocks(channels) * 16 * COMPONENTS;
}

static int32_t chunk_tiles(const tm_conv *conv, const tm_gpu_info *info) {
    uint64_t budget = info->gpu_class == TM_GPU_CLASS_GPU ? CHUNK_BYTES_GPU : CHUNK_BYTES;
    uint64_t tiles = budget / (bytes_a_tile(conv->in_channels) + bytes_a_tile(conv->out_channels));
    uint64_t most = tm_align_up((size_t)total_tiles(conv), CHUNK_STEP);
    tiles = tiles / CHUNK_STEP * CHUNK_STEP;
    return (int32_t)TM_CLAMP(tiles, (uint64_t)CHUNK_STEP, most);
}

static uint64_t input_bytes(const tm_conv *conv, const tm_gpu_info *info) {
    uint64_t bytes = bytes_a_tile(conv->in_channels) * (uint64_t)chunk_tiles(conv, info);
    return tm_align_up((size_t)bytes, (size_t)TM_MAX(info->buffer_alignment, 16));
}

uint64_t tm_conv_winograd_scratch(const tm_conv *conv, const tm_gpu_info *info) {
    return input_bytes(conv, info) + bytes_a_tile(conv->out_channels) * (uint64_t)chunk_tiles(conv, info);
}

bool tm_conv_runs_winograd(const tm_op_ctx *ctx, const tm_conv *conv) {
    const tm_conv_prepared *prepared = ctx->node->prepared;
    const tm_gpu_info *info = tm_gpu_get_info(ctx->gpu);
    if (!prepared || !prepared->winograd.buffer || !tm_conv_winograd_pays(conv, info)) return false;
    // What lies between the stages, and the weights, are bound as a whole.
    uint64_t widest = bytes_a_tile(TM_MAX(conv->in_channels, conv->out_channels)) * (uint64_t)chunk_tiles(conv, info);
    return TM_MAX(widest, prepared->winograd.size) <= info->max_storage_range;
}

// ---- Weights: U = G g G^T in double, rounded once.

static void transform_kernel(const float *g, double u[COMPONENTS]) {
    static const double G[6][3] = {{1.0 / 4, 0, 0},
                                   {-1.0 / 6, -1.0 / 6, -1.0 / 6},
                                   {-1.0 / 6, 1.0 / 6, -1.0 / 6},
                                   {1.0 / 24, 1.0 / 12, 1.0 / 6},
                                   {1.0 / 24, -1.0 / 12, 1.0 / 6},
                                   {0, 0, 1}};
    double half[6][3];
    for (int i = 0; i < 6; i++)
        for (int x = 0; x < 3; x++) {
            half[i][x] = 0;
            for (int y = 0; y < 3; y++) half[i][x] += G[i][y] * (double)g[3 * y + x];
        }
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++) {
            u[6 * i + j] = 0;
            for (int x = 0; x < 3; x++) u[6 * i + j] += half[i][x] * G[j][x];
        }
}

// The products as a convolution: 36 groups of whole blocks, 1x1, the chunk's tiles as one row of pixels.
static tm_conv products(const tm_conv *conv, int32_t tiles) {
    return (tm_conv){.batch = 1,
                     .in_channels = tm_conv_blocks(conv->in_channels) * 4 * COMPONENTS,
                     .in_height = 1,
                     .in_width = tiles,
                     .out_channels = tm_conv_blocks(conv->out_channels) * 4 * COMPONENTS,
                     .out_height = 1,
                     .out_width = tiles,
                     .groups = COMPONENTS,
                     .kernel_height = 1,
                     .kernel_width = 1,
                     .stride_y = 1,
                     .stride_x = 1,
                     .dilation_y = 1,
                     .dilation_x = 1};
}

tagmask_status tm_conv_winograd_pack(tm_op_ctx *ctx, const tm_conv *conv, const float *weights, tm_slice *slice,
                                     tm_recorder *recorder, tm_error *err) {
    size_t in = (size_t)tm_conv_blocks(conv->in_channels) * 4, out = (size_t)tm_conv_blocks(conv->out_channels) * 4;
    size_t pairs = in * out;
    if (pairs > INT32_MAX / COMPONENTS) return TAGMASK_OK;  // too many for 32-bit indices: the direct kernel serves
    float *transformed = tm_calloc(pairs, COMPONENTS * sizeof *transformed);
    if (!transformed) return tm_op_fail(ctx, err, TAGMASK_ERROR_MEMORY, "out of memory for Winograd weights");
    for (size_t o = 0; o < (size_t)conv->out_channels; o++)
        for (size_t c = 0; c < (size_t)conv->in_channels; c++) {
            double u[COMPONENTS];
            transform_kernel(weights + 9 * (o * (size_t)conv->in_channels + c), u);
            for (size_t i = 0; i < COMPONENTS; i++) transformed[i * pairs + o * in + c] = (float)u[i];
        }
    tm_conv grouped = products(conv, 0);
    tagmask_status status = tm_conv_pack_tile(ctx, &grouped, transformed, slice, recorder, err);
    free(transformed);
    return status;
}

// ---- Dispatch.

static tagmask_status record_input(tm_op_ctx *ctx, const winograd_push *common, const tm_conv *conv, tm_slice patches,
                                   tm_recorder *recorder, tm_error *err) {
    const tm_gpu_info *info = tm_gpu_get_info(ctx->gpu);
    winograd_push push = *common;
    push.width = conv->in_width;
    push.height = conv->in_height;
    push.blocks = tm_conv_blocks(conv->in_channels);
    uint32_t size = tm_conv_workgroup(info);
    tm_dispatch_info dispatch = {.bindings = {ctx->gin[0].slice, patches},
                                 .push = &push,
                                 .push_size = sizeof push,
                                 .groups = {tm_div_up((uint32_t)push.chunk, size), (uint32_t)push.blocks, 1},
                                 .flops = 2000.0 * push.chunk * push.blocks,
                                 .label = "conv winograd input"};
    const char *name =
        tm_conv_texel(info, ctx->gin[0].slice) ? "nn/conv_winograd_input_texel" : "nn/conv_winograd_input";
    TM_TRY(tm_pipeline_get(ctx->gpu, name, &size, 1, &dispatch.pipeline, err));
    return tm_dispatch(recorder, &dispatch, err);
}

static tagmask_status record_output(tm_op_ctx *ctx, const winograd_push *common, const tm_conv *conv, tm_slice sums,
                                    tm_recorder *recorder, tm_error *err) {
    const tm_gpu_info *info = tm_gpu_get_info(ctx->gpu);
    const tm_conv_prepared *prepared = ctx->node->prepared;
    int32_t added = ctx->node->fused.residual;
    winograd_push push = *common;
    push.width = conv->out_width;
    push.height = conv->out_height;
    push.blocks = tm_conv_blocks(conv->out_channels);
    push.out_channels = conv->out_channels;
    uint32_t constants[3] = {tm_conv_workgroup(info), 0, added >= 0};
    tm_conv_act(&ctx->node->fused, &constants[1], &push.act_a, &push.act_b);
    tm_slice residual = added >= 0 ? ctx->gin[added].slice : prepared->bias;
    tm_dispatch_info dispatch = {.bindings = {sums, prepared->bias, residual, ctx->gout[0].slice},
                                 .push = &push,
                                 .push_size = sizeof push,
                                 .groups = {tm_div_up((uint32_t)push.chunk, constants[0]), (uint32_t)push.blocks, 1},
                                 .flops = 2000.0 * push.chunk * push.blocks,
                                 .label = "conv winograd output"};
    const char *name = tm_conv_texel(info, sums) ? "nn/conv_winograd_output_texel" : "nn/conv_winograd_output";
    TM_TRY(tm_pipeline_get(ctx->gpu, name, constants, 3, &dispatch.pipeline, err));
    return tm_dispatch(recorder, &dispatch, err);
}

tagmask_status tm_conv_winograd_record(tm_op_ctx *ctx, const tm_conv *conv, tm_recorder *recorder, tm_error *err) {
    const tm_gpu_info *info = tm_gpu_get_info(ctx->gpu);
    const tm_conv_prepared *prepared = ctx->node->prepared;
    int32_t chunk = chunk_tiles(conv, info), total = (int32_t)total_tiles(conv);
    uint64_t split = input_bytes(conv, info);
    tm_slice patches = ctx->scratch, sums = ctx->scratch;
    patches.size = bytes_a_tile(conv->in_channels) * (uint64_t)chunk;
    sums.offset += split;
    sums.size = bytes_a_tile(conv->out_channels) * (uint64_t)chunk;
    tm_conv grouped = products(conv, chunk);
    tm_conv_pass pass = {.in = patches,
                         .weights = prepared->winograd,
                         .out = sums,
                         .fused = {.residual = -1},
                         .flops = 2.0 * COMPONENTS * chunk * conv->in_channels * conv->out_channels,
                         .label = "conv winograd products"};
    winograd_push push = {.tiles_x = tiles_across(conv->out_width),
                          .tiles_y = tiles_across(conv->out_height),
                          .chunk = chunk,
                          .total = total,
                          .pad_x = conv->pad_left,
                          .pad_y = conv->pad_top};
    for (; push.first_tile < total; push.first_tile += chunk) {
        TM_TRY(record_input(ctx, &push, conv, patches, recorder, err));
        TM_TRY(tm_conv_record_pass(ctx->gpu, &grouped, TM_CONV_TILE, &pass, recorder, err));
        TM_TRY(record_output(ctx, &push, conv, sums, recorder, err));
    }
    return TAGMASK_OK;
}
