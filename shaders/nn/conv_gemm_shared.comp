#version 450
#extension GL_GOOGLE_include_directive : require
// The products of conv_gemm.glsl for GPUs with fast shared memory: a workgroup computes TILES tiles of eight output channels
// for 4 * SIZE / TILES pixels, and loads what its invocations share, STEP blocks of input channels at a time, only once.
// An invocation's register tile, 4 pixels of one tile, and the order of its sums are those of conv_gemm.
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint ACT = 0u;
layout(constant_id = 2) const bool RESIDUAL = false;
layout(constant_id = 3) const bool BIASED = true;
layout(constant_id = 4) const int TILES = 4;
layout(constant_id = 5) const int SIZE = 64;  // again the workgroup's size, for the arrays

layout(push_constant) uniform Parameters {
    int plane;                         // pixels
    int in_blocks, out_blocks, tiles;  // of a group
    int groups;                        // of an image
    int first_pixel, out_channels;
    float act_a, act_b;
};

#include "nn/conv_buffers.glsl"
#include "nn/conv_act.glsl"

vec4 load_weight(int i) {
    return WEIGHT(i);
}

const int STEP = 4;
const int COLUMNS = SIZE / TILES, PIXELS = 4 * COLUMNS;
shared vec4 shared_source[STEP * PIXELS];       // [block][pixel]
shared vec4 shared_weights[TILES * STEP * 8];  // [tile][block][output channel]

#undef WEIGHT
#define WEIGHT(i) shared_weights[i]
#define CONV_PIXELS 4
#define CONV_USED 8u
#include "nn/conv_each.glsl"

#define DECLARE(p, a, s, i) vec4 low##p = low_bias, high##p = high_bias;
#define LOAD(p, a, s, i) vec4 x##p = shared_source[k * PIXELS + column + p * COLUMNS];
#define STORE(p, a, s, i)                              \
    if (pixel + p * COLUMNS < plane && a) {            \
        int to = first_target + p * COLUMNS;           \
        vec4 v = s##p;                                 \
        if (RESIDUAL) v += residual_values[to];        \
        target[to] = mix(vec4(0.0), activate(v), used); \
    }

void main() {
    int local = int(gl_LocalInvocationID.x), column = local % COLUMNS, row = local / COLUMNS;
    int first_tile = int(gl_WorkGroupID.y) * TILES, tile = first_tile + row, group = int(gl_WorkGroupID.z);
    int first = first_pixel + int(gl_WorkGroupID.x) * PIXELS, pixel = first + column;
    int base = group * in_blocks * plane, matrix = group % groups;
    bool there = tile < tiles;
    vec4 low_bias = vec4(0.0), high_bias = vec4(0.0);
    if (BIASED && there) {
        low_bias = bias[(matrix * tiles + tile) * 2];
        high_bias = bias[(matrix * tiles + tile) * 2 + 1];
    }
    EACH(DECLARE, 0, 0, 0)
    for (int c = 0; c < in_blocks; c += STEP) {
        for (int i = local; i < STEP * PIXELS; i += SIZE) {
            int block = c + i / PIXELS, at = min(first + i % PIXELS, plane - 1);
            shared_source[i] = block < in_blocks ? source[base + block * plane + at] : vec4(0.0);
        }
        for (int i = local; i < TILES * STEP * 8; i += SIZE) {
            int of = min(first_tile + i / (STEP * 8), tiles - 1), at = c * 8 + i % (STEP * 8);
            int from = (matrix * tiles + of) * in_blocks * 8 + at;
            shared_weights[i] = at < in_blocks * 8 ? load_weight(from) : vec4(0.0);
        }
        barrier();
        for (int k = 0; k < STEP; k++) {
            int w = (row * STEP + k) * 8;
            EACH(LOAD, 0, 0, 0)
            CONV_CHANNELS
        }
        barrier();
    }
    if (!there) return;
    int first_target = (group * out_blocks + tile * 2) * plane + pixel;
    bvec4 used = lessThan(ivec4(0, 1, 2, 3), ivec4(out_channels - 8 * tile));
    EACH(STORE, true, low, 0)
    first_target += plane;
    used = lessThan(ivec4(4, 5, 6, 7), ivec4(out_channels - 8 * tile));
    bool second = tile * 2 + 1 < out_blocks;
    EACH(STORE, second, high, 0)
}
