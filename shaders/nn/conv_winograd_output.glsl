// Output stage of the Winograd convolution: an invocation makes the pixels of one tile (4x4, or 2x2) and one block of four
// channels, with bias, residual and activation.
#include "nn/conv_winograd.glsl"
layout(constant_id = 1) const uint ACT = 0u;
layout(constant_id = 2) const bool RESIDUAL = false;

#ifdef CONV_TEXEL
layout(binding = 0) uniform samplerBuffer source_texels;
#define SOURCE(i) texelFetch(source_texels, i)
#else
layout(binding = 0, std430) readonly buffer Source {
    vec4 source[];  // [36 or 16][block][chunk]
};
#define SOURCE(i) source[i]
#endif
layout(binding = 1, std430) readonly buffer Bias {
    vec4 bias[];
};
layout(binding = 2, std430) readonly buffer Residual {
    vec4 residual_values[];
};
layout(binding = 3, std430) writeonly buffer Target {
    vec4 target[];
};
#include "nn/conv_act.glsl"

// Y = A^T M A: columns first, then rows. Named vectors, as in the input stage.
#define PIXEL(px, value)                                       \
    if (row && position.x + px < width) {                      \
        vec4 v = (value) + offset;                            \
        if (RESIDUAL) v += residual_values[at + px];           \
        target[at + px] = mix(vec4(0.0), activate(v), used);   \
    }
#if WINOGRAD == 4
#define COLUMN(cx)                                                                                                \
    vec4 m0##cx, m1##cx, m2##cx, m3##cx;                                                                             \
    {                                                                                                            \
        int i = from + cx * step;                                                                                 \
        vec4 v0 = SOURCE(i), v1 = SOURCE(i + 6 * step), v2 = SOURCE(i + 12 * step), v3 = SOURCE(i + 18 * step);  \
        vec4 v4 = SOURCE(i + 24 * step), v5 = SOURCE(i + 30 * step);                                             \
        vec4 a = v1 + v2, b = v1 - v2, c = v3 + v4, d = v3 - v4;                                                 \
        m0##cx = v0 + a + c;                                                                                      \
        m1##cx = b + 2.0 * d;                                                                                     \
        m2##cx = a + 4.0 * c;                                                                                     \
        m3##cx = b + 8.0 * d + v5;                                                                                \
    }
#define ROW(ry)                                                                            \
    {                                                                                     \
        bool row = position.y + ry < height;                                               \
        vec4 a = m##ry##1 + m##ry##2, b = m##ry##1 - m##ry##2;                                \
        vec4 c = m##ry##3 + m##ry##4, d = m##ry##3 - m##ry##4;                                \
        PIXEL(0, m##ry##0 + a + c)                                                         \
        PIXEL(1, b + 2.0 * d)                                                             \
        PIXEL(2, a + 4.0 * c)                                                             \
        PIXEL(3, b + 8.0 * d + m##ry##5)                                                   \
        at += width;                                                                      \
    }
#define COLUMNS COLUMN(0) COLUMN(1) COLUMN(2) COLUMN(3) COLUMN(4) COLUMN(5)
#define ROWS ROW(0) ROW(1) ROW(2) ROW(3)
#else
#define COLUMN(cx)                                                                                                \
    vec4 m0##cx, m1##cx;                                                                                          \
    {                                                                                                             \
        int i = from + cx * step;                                                                                 \
        vec4 v1 = SOURCE(i + 4 * step), v2 = SOURCE(i + 8 * step);                                                \
        m0##cx = SOURCE(i) + v1 + v2;                                                                             \
        m1##cx = v1 - v2 - SOURCE(i + 12 * step);                                                                 \
    }
#define ROW(ry)                                                     \
    {                                                               \
        bool row = position.y + ry < height;                        \
        PIXEL(0, m##ry##0 + m##ry##1 + m##ry##2)                    \
        PIXEL(1, m##ry##1 - m##ry##2 - m##ry##3)                    \
        at += width;                                                \
    }
#define COLUMNS COLUMN(0) COLUMN(1) COLUMN(2) COLUMN(3)
#define ROWS ROW(0) ROW(1)
#endif

void main() {
    int slot = int(gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x), block = int(gl_WorkGroupID.y);
    slot = min(slot, min(chunk, total - first_tile) - 1);  // a repeated slot writes the same pixels again
    ivec3 position = tile_position(first_tile + slot);
    int step = blocks * chunk, from = block * chunk + slot;
    COLUMNS
    vec4 offset = bias[block];
    bvec4 used = lessThan(ivec4(0, 1, 2, 3), ivec4(out_channels - 4 * block));
    int at = ((position.z * blocks + block) * height + position.y) * width + position.x;
    ROWS
}
