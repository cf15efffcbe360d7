// Which variant of a convolution's kernels serves a plan: pinned by TAGMASK_CONV, chosen by the tuner, or by rule.
#include <stdlib.h>

#include "gpu/tune.h"
#include "ops/conv.h"

int32_t tm_conv_winograd_tile(tm_conv_variant variant) {
    return variant == TM_CONV_F2 ? 2 : variant == TM_CONV_F4 || variant == TM_CONV_F4_SHARED ? 4 : 0;
}

uint64_t tm_conv_scratch(const tm_conv *conv, const tm_gpu_info *info, tm_conv_variant variant) {
    int32_t tile = tm_conv_winograd_tile(variant);
    return tile ? tm_conv_winograd_scratch(conv, info, tile) : 0;
}

// ---- Running a candidate on memory of its own.

typedef struct trial {
    tm_op_ctx ctx;
    tm_node node;
    tm_tensor in, out;
    const tm_conv *conv;
    tm_buffer *memory[3];  // input, output, scratch; made when the first candidate runs
    uint64_t bytes[3];
} trial;

static tagmask_status make_memory(trial *t, tm_recorder *recorder, tm_error *err) {
    for (int i = 0; i < 3; i++)
        if (t->bytes[i]) TM_TRY(tm_buffer_create(t->ctx.gpu, t->bytes[i], TM_MEMORY_DEVICE, &t->memory[i], err));
    t->in.slice = tm_slice_all(t->memory[0]);
    t->out.slice = tm_slice_all(t->memory[1]);
    if (t->memory[2]) t->ctx.scratch = tm_slice_all(t->memory[2]);
    return tm_fill(recorder, t->in.slice, 0, err);  // what was there could be slow numbers
}

static tagmask_status run_candidate(void *user, uint32_t candidate, tm_recorder *recorder, tm_error *err) {
    trial *t = user;
    if (!t->memory[0]) TM_TRY(make_memory(t, recorder, err));
    return tm_conv_record_variant(&t->ctx, t->conv, (tm_conv_variant)candidate, recorder, err);
}

static uint64_t c4_bytes(int32_t batch, int32_t channels, int32_t height, int32_t width) {
    return (uint64_t)batch * (uint64_t)tm_conv_blocks(channels) * 16 * (uint64_t)height * (uint64_t)width;
}

// Sizes of images that lie within a factor of two share a choice.
static int32_t size_class(int64_t pixels) {
    int32_t bits = 0;
    while (pixels >> bits > 1) bits++;
    return bits;
}

static tm_conv_variant tune(const tm_op_ctx *ctx, const tm_conv *conv, uint32_t candidates, tm_conv_variant rule) {
    const tm_gpu_info *info = tm_gpu_get_info(ctx->gpu);
    trial t = {.ctx = *ctx, .node = *ctx->node, .conv = conv};
    t.ctx.node = &t.node;
    t.node.fused.residual = -1;
    t.ctx.gin = &t.in;
    t.ctx.gout = &t.out;
    t.bytes[0] = c4_bytes(conv->batch, conv->in_channels, conv->in_height, conv->in_width);
    t.bytes[1] = c4_bytes(conv->batch, conv->out_channels, conv->out_height, conv->out_width);
    for (uint32_t i = 0; i <= TM_CONV_F2; i++)
        if (candidates >> i & 1u) t.bytes[2] = TM_MAX(t.bytes[2], tm_conv_scratch(conv, info, (tm_conv_variant)i));
    int32_t shape[] = {tm_conv_blocks(conv->in_channels), tm_conv_blocks(conv->out_channels), conv->kernel_height,
                       size_class((int64_t)conv->batch * conv->out_height * conv->out_width)};
    const char *kind = tm_op_wants_halves(ctx) ? "conv of halves" : "conv";
    tm_tune_case what = {kind, shape, TM_ARRAY_LEN(shape), candidates, rule, run_candidate, &t};
    tm_conv_variant chosen = (tm_conv_variant)tm_tune_choose(ctx->gpu, &what);
    for (int i = 0; i < 3; i++) tm_buffer_destroy(t.memory[i]);
    return chosen;
}

// ---- The choice.

// Winograd where tiles fill a few workgroups; CPU devices lose nothing by idle lanes of the last one. Shared memory
// only by choice: whether it beats a GPU's caches depends on the GPU.
static tm_conv_variant by_rule(const tm_op_ctx *ctx, const tm_conv *conv, bool f2, bool f4) {
    const tm_conv_prepared *prepared = ctx->node->prepared;
    bool gpu = tm_gpu_get_info(ctx->gpu)->gpu_class == TM_GPU_CLASS_GPU, shared = tm_conv_pinned("shared");
    if (tm_conv_pinned("winograd2") && f2) return TM_CONV_F2;
    bool pays = tm_conv_winograd_tiles(conv, 4) >= (gpu ? 64 : 16) || tm_conv_pinned("winograd");
    if (f4 && pays) return shared ? TM_CONV_F4_SHARED : TM_CONV_F4;
    return shared && prepared->kernel == TM_CONV_TILE && tm_conv_pointwise(conv) ? TM_CONV_SHARED : TM_CONV_PLAIN;
}

// A convolution that runs in pieces is not timed: no candidate could be run on the whole.
static bool can_be_timed(const tm_conv *conv, const tm_conv_prepared *prepared, const tm_gpu_info *info) {
    uint64_t in = c4_bytes(conv->batch, conv->in_channels, conv->in_height, conv->in_width);
    uint64_t out = c4_bytes(conv->batch, conv->out_channels, conv->out_height, conv->out_width);
    return in && out && TM_MAX(in, out) <= info->max_storage_range &&
           prepared->weights.slice.size <= info->max_storage_range;
}

tm_conv_variant tm_conv_variant_of(const tm_op_ctx *ctx, const tm_conv *conv) {
    const tm_conv_prepared *prepared = ctx->node->prepared;
    const tm_gpu_info *info = tm_gpu_get_info(ctx->gpu);
    bool gpu = info->gpu_class == TM_GPU_CLASS_GPU,
         f2 = tm_conv_winograd_binds(conv, info, 2, prepared->winograd[0].slice);
    bool f4 = tm_conv_winograd_binds(conv, info, 4, prepared->winograd[1].slice);
    tm_conv_variant rule = by_rule(ctx, conv, f2, f4);
    if (getenv("TAGMASK_CONV") || prepared->kernel != TM_CONV_TILE || !can_be_timed(conv, prepared, info)) return rule;
    uint32_t candidates = 1u << TM_CONV_PLAIN;
    if (f2) candidates |= 1u << TM_CONV_F2;
    if (f4) candidates |= 1u << TM_CONV_F4;
    if (gpu && f4) candidates |= 1u << TM_CONV_F4_SHARED;
    if (gpu && tm_conv_pointwise(conv)) candidates |= 1u << TM_CONV_SHARED;
    return tune(ctx, conv, candidates, rule);
}
