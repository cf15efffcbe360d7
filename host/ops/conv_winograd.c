// Winograd F(4x4, 3x3) and F(2x2, 3x3) for 3x3 convolutions with stride 1: see shaders/nn/conv_winograd.glsl for the
// method. The products of the 36 or 16 components are one convolution with as many groups and a 1x1 kernel.
#include <stdlib.h>
#include <string.h>

#include "gpu/tune.h"
#include "ops/conv.h"

#define COMPONENTS_MOST 36
// Bytes of the vectors between the stages that one chunk of tiles may take: about what the caches of a few cores hold,
// and not less, because lavapipe's cores idle between dispatches (docs/performance.md has the figures).
#define CHUNK_BYTES (4u << 20)
#define CHUNK_BYTES_GPU (64u << 20)
#define CHUNK_STEP 64  // pixels of a workgroup of the tile kernel

typedef struct winograd_push {
    int32_t width, height, blocks, tiles_x, tiles_y, first_tile, chunk, total, pad_x, pad_y, out_channels;
    float act_a, act_b;
} winograd_push;

static int32_t components_of(int32_t tile) {
    return (tile + 2) * (tile + 2);
}

bool tm_conv_winograd_fits(const tm_conv *conv) {
    return conv->kernel_height == 3 && conv->kernel_width == 3 && conv->stride_y == 1 && conv->stride_x == 1 &&
           conv->dilation_y == 1 && conv->dilation_x == 1 && conv->groups == 1;
}

bool tm_conv_winograd_wanted(const tm_conv *conv, tm_gpu *gpu, int32_t tile) {
    if (!tm_conv_winograd_fits(conv) || tm_conv_pinned("direct")) return false;
    if (tm_conv_pinned("winograd2")) return tile == 2;
    if (tm_conv_pinned("winograd")) return tile == 4;
    if (tile == 2 && !tm_tune_active(gpu)) return false;
    // For an image's three channels a GPU computes faster than it writes 36 vectors; CPU devices gain even there. One
    // or two output channels are too few to pay for transforming the input.
    bool enough = conv->in_channels > 4 || tm_gpu_get_info(gpu)->gpu_class != TM_GPU_CLASS_GPU;
    return enough && conv->out_channels > 2;
}

static int32_t tiles_across(int32_t pixels, int32_t tile) {
    return (pixels + tile - 1) / tile;
}

int64_t tm_conv_winograd_tiles(const tm_conv *conv, int32_t tile) {
    return (int64_t)conv->batch * tiles_across(conv->out_width, tile) * tiles_across(conv->out_height, tile);
}

static uint64_t bytes_a_tile(int32_t channels, int32_t tile) {
    return (uint64_t)tm_conv_blocks(channels) * 16 * (uint64_t)components_of(tile);
}

static int32_t chunk_tiles(const tm_conv *conv, const tm_gpu_info *info, int32_t tile) {
    uint64_t budget = info->gpu_class == TM_GPU_CLASS_GPU ? CHUNK_BYTES_GPU : CHUNK_BYTES;
    uint64_t tiles = budget / (bytes_a_tile(conv->in_channels, tile) + bytes_a_tile(conv->out_channels, tile));
    uint64_t most = tm_align_up((size_t)tm_conv_winograd_tiles(conv, tile), CHUNK_STEP);
    tiles = tiles / CHUNK_STEP * CHUNK_STEP;
    return (int32_t)TM_CLAMP(tiles, (uint64_t)CHUNK_STEP, most);
}

static uint64_t input_bytes(const tm_conv *conv, const tm_gpu_info *info, int32_t tile) {
    uint64_t bytes = bytes_a_tile(conv->in_channels, tile) * (uint64_t)chunk_tiles(conv, info, tile);
    return tm_align_up((size_t)bytes, (size_t)TM_MAX(info->buffer_alignment, 16));
}

uint64_t tm_conv_winograd_scratch(const tm_conv *conv, const tm_gpu_info *info, int32_t tile) {
    return input_bytes(conv, info, tile) +
           bytes_a_tile(conv->out_channels, tile) * (uint64_t)chunk_tiles(conv, info, tile);
}

bool tm_conv_winograd_binds(const tm_conv *conv, const tm_gpu_info *info, int32_t tile, tm_slice weights) {
    uint64_t tiles = (uint64_t)chunk_tiles(conv, info, tile);
    uint64_t widest = bytes_a_tile(TM_MAX(conv->in_channels, conv->out_channels), tile) * tiles;
    return weights.buffer && TM_MAX(widest, weights.size) <= info->max_storage_range;
}

// ---- Weights: U = G g G^T in double, rounded once.

static void transform_kernel(const double (*G)[3], int side, const float *g, double *u) {
    double half[6][3];
    for (int i = 0; i < side; i++)
        for (int x = 0; x < 3; x++) {
            half[i][x] = 0;
            for (int y = 0; y < 3; y++) half[i][x] += G[i][y] * (double)g[3 * y + x];
        }
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            u[side * i + j] = 0;
            for (int x = 0; x < 3; x++) u[side * i + j] += half[i][x] * G[j][x];
        }
}

static const double G4[6][3] = {{1.0 / 4, 0, 0},
                                {-1.0 / 6, -1.0 / 6, -1.0 / 6},
                                {-1.0 / 6, 1.0 / 6, -1.0 / 6},
                                {1.0 / 24, 1.0 / 12, 1.0 / 6},
                                {1.0 / 24, -1.0 / 12, 1.0 / 6},
                                {0, 0, 1}};
static const double G2[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};

// The products as a convolution: a group a component, of whole blocks, 1x1, the chunk's tiles as one row of pixels.
static tm_conv products(const tm_conv *conv, int32_t tile, int32_t tiles) {
    int32_t components = components_of(tile);
    return (tm_conv){.batch = 1,
                     .in_channels = tm_conv_blocks(conv->in_channels) * 4 * components,
                     .in_height = 1,
                     .in_width = tiles,
                     .out_channels = tm_conv_blocks(conv->out_channels) * 4 * components,
                     .out_height = 1,
                     .out_width = tiles,
                     .groups = components,
                     .kernel_height = 1,
                     .kernel_width = 1,
                     .stride_y = 1,
                     .stride_x = 1,
                     .dilation_y = 1,
                     .dilation_x = 1};
}

tagmask_status tm_conv_winograd_pack(tm_op_ctx *ctx, const tm_conv *conv, int32_t tile, const float *weights,
                                     tm_weights *packed, tm_recorder *recorder, tm_error *err) {
    size_t in = (size_t)tm_conv_blocks(conv->in_channels) * 4, out = (size_t)tm_conv_blocks(conv->out_channels) * 4;
    size_t pairs = in * out, components = (size_t)components_of(tile);
    if (pairs > INT32_MAX / components) return TAGMASK_OK;  // too many for 32-bit indices: the direct kernel serves
    float *transformed = tm_calloc(pairs, components * sizeof *transformed);
    if (!transformed) return tm_op_fail(ctx, err, TAGMASK_ERROR_MEMORY, "out of memory for Winograd weights");
    for (size_t o = 0; o < (size_t)conv->out_channels; o++)
        for (size_t c = 0; c < (size_t)conv->in_channels; c++) {
            double u[COMPONENTS_MOST];
            transform_kernel(tile == 4 ? G4 : G2, tile + 2, weights + 9 * (o * (size_t)conv->in_channels + c), u);
            for (size_t i = 0; i < components; i++) transformed[i * pairs + o * in + c] = (float)u[i];
        }
    tm_conv grouped = products(conv, tile, 0);
    tagmask_status status = tm_conv_pack_tile(ctx, &grouped, transformed, packed, recorder, err);
    free(transformed);
    return status;
}

// ---- Dispatch.

// Tiles of this chunk. The last chunk may be partly empty: nobody reads what the products make of old vectors there.
static uint32_t tiles_in(const winograd_push *push) {
    return (uint32_t)TM_MIN(push->chunk, push->total - push->first_tile);
}

// What a chunk reads and writes: its share of the tensor, and its vectors.
static double chunk_bytes(tm_slice tensor, tm_slice vectors, const winograd_push *push) {
    double share = (double)tiles_in(push) / push->total;
    return share * (double)tensor.size + (double)vectors.size;
}

static tagmask_status record_input(tm_op_ctx *ctx, const winograd_push *common, const tm_conv *conv, int32_t tile,
                                   tm_slice patches, tm_recorder *recorder, tm_error *err) {
    const tm_gpu_info *info = tm_gpu_get_info(ctx->gpu);
    winograd_push push = *common;
    push.width = conv->in_width;
    push.height = conv->in_height;
    push.blocks = tm_conv_blocks(conv->in_channels);
    uint32_t size = tm_conv_workgroup(info), tiles = tiles_in(&push);
    tm_dispatch_info dispatch = {.bindings = {ctx->gin[0].slice, patches},
                                 .push = &push,
                                 .push_size = sizeof push,
                                 .groups = {tm_div_up(tiles, size), (uint32_t)push.blocks, 1},
                                 .divisible = true,
                                 .flops = 55.0 * components_of(tile) * tiles * push.blocks,
                                 .bytes = chunk_bytes(ctx->gin[0].slice, patches, &push),
                                 .label = "conv winograd input"};
    static const char *const names[2][2] = {{"nn/conv_winograd2_input", "nn/conv_winograd2_input_texel"},
                                            {"nn/conv_winograd_input", "nn/conv_winograd_input_texel"}};
    const char *name = names[tile == 4][tm_gpu_by_texels(info, ctx->gin[0].slice, false)];
    TM_TRY(tm_pipeline_get(ctx->gpu, name, &size, 1, &dispatch.pipeline, err));
    return tm_dispatch(recorder, &dispatch, err);
}

static tagmask_status record_output(tm_op_ctx *ctx, const winograd_push *common, const tm_conv *conv, int32_t tile,
                                    tm_slice sums, tm_recorder *recorder, tm_error *err) {
    const tm_gpu_info *info = tm_gpu_get_info(ctx->gpu);
    const tm_conv_prepared *prepared = ctx->node->prepared;
    int32_t added = ctx->node->fused.residual;
    winograd_push push = *common;
    push.width = conv->out_width;
    push.height = conv->out_height;
    push.blocks = tm_conv_blocks(conv->out_channels);
    push.out_channels = conv->out_channels;
    uint32_t constants[3] = {tm_conv_workgroup(info), 0, added >= 0}, tiles = tiles_in(&push);
    tm_conv_act(&ctx->node->fused, &constants[1], &push.act_a, &push.act_b);
    tm_slice residual = added >= 0 ? ctx->gin[added].slice : prepared->bias;
    tm_dispatch_info dispatch = {.bindings = {sums, prepared->bias, residual, ctx->gout[0].slice},
                                 .push = &push,
                                 .push_size = sizeof push,
                                 .groups = {tm_div_up(tiles, constants[0]), (uint32_t)push.blocks, 1},
                                 .divisible = true,
                                 .flops = 55.0 * components_of(tile) * tiles * push.blocks,
                                 .bytes = chunk_bytes(ctx->gout[0].slice, sums, &push),
                                 .label = "conv winograd output"};
    static const char *const names[2][2] = {{"nn/conv_winograd2_output", "nn/conv_winograd2_output_texel"},
                                            {"nn/conv_winograd_output", "nn/conv_winograd_output_texel"}};
    const char *name = names[tile == 4][tm_gpu_by_texels(info, sums, false)];
    TM_TRY(tm_pipeline_get(ctx->gpu, name, constants, 3, &dispatch.pipeline, err));
    return tm_dispatch(recorder, &dispatch, err);
}

tagmask_status tm_conv_winograd_record(tm_op_ctx *ctx, const tm_conv *conv, int32_t tile, bool shared,
                                       tm_recorder *recorder, tm_error *err) {
    const tm_gpu_info *info = tm_gpu_get_info(ctx->gpu);
    const tm_conv_prepared *prepared = ctx->node->prepared;
    int32_t chunk = chunk_tiles(conv, info, tile), total = (int32_t)tm_conv_winograd_tiles(conv, tile);
    uint64_t split = input_bytes(conv, info, tile);
    tm_slice patches = ctx->scratch, sums = ctx->scratch;
    patches.size = bytes_a_tile(conv->in_channels, tile) * (uint64_t)chunk;
    sums.offset += split;
    sums.size = bytes_a_tile(conv->out_channels, tile) * (uint64_t)chunk;
    tm_conv grouped = products(conv, tile, chunk);
    tm_conv_pass pass = {.in = patches,
                         .weights = prepared->winograd[tile == 4],
                         .out = sums,
                         .fused = {.residual = -1},
                         .flops = 2.0 * components_of(tile) * chunk * conv->in_channels * conv->out_channels,
                         .label = "conv winograd products"};
    winograd_push push = {.tiles_x = tiles_across(conv->out_width, tile),
                          .tiles_y = tiles_across(conv->out_height, tile),
                          .chunk = chunk,
                          .total = total,
                          .pad_x = conv->pad_left,
                          .pad_y = conv->pad_top};
    for (; push.first_tile < total; push.first_tile += chunk) {
        TM_TRY(record_input(ctx, &push, conv, tile, patches, recorder, err));
        TM_TRY(tm_conv_record_pass(ctx->gpu, &grouped, TM_CONV_TILE, shared, &pass, recorder, err));
        TM_TRY(record_output(ctx, &push, conv, tile, sums, recorder, err));
    }
    return TAGMASK_OK;
}
