// Input stage of the Winograd convolution: an invocation transforms one patch (6x6, or 4x4) of one block of four
// channels.
#include "nn/conv_winograd.glsl"

#ifdef CONV_TEXEL
layout(binding = 0) uniform samplerBuffer source_texels;
#define SOURCE(i) texelFetch(source_texels, i)
#else
layout(binding = 0, std430) readonly buffer Source {
    vec4 source[];
};
#define SOURCE(i) source[i]
#endif
layout(binding = 1, std430) writeonly buffer Target {
    vec4 target[];  // [36 or 16][block][chunk]
};

#if WINOGRAD == 4
void transform(inout vec4 d0, inout vec4 d1, inout vec4 d2, inout vec4 d3, inout vec4 d4, inout vec4 d5) {
    vec4 even = d4 - 4.0 * d2, odd = d3 - 4.0 * d1;
    vec4 even2 = d4 - d2, odd2 = 2.0 * (d3 - d1);
    d0 = 4.0 * d0 - 5.0 * d2 + d4;
    d5 = 4.0 * d1 - 5.0 * d3 + d5;
    d1 = even + odd;
    d2 = even - odd;
    d3 = even2 + odd2;
    d4 = even2 - odd2;
}
#else
void transform(inout vec4 d0, inout vec4 d1, inout vec4 d2, inout vec4 d3) {
    vec4 sum = d1 + d2, difference = d2 - d1;
    d0 -= d2;
    d3 = d1 - d3;
    d1 = sum;
    d2 = difference;
}
#endif

// Named vectors instead of arrays: arrays with a loop variable as index would live in memory, a loop over the lanes each
// access.
#define TAP(y, x)                                                                      \
    {                                                                                  \
        bool inside = uint(top + y) < uint(height) && uint(left + x) < uint(width);    \
        vec4 v = SOURCE(base + (inside ? (top + y) * width + left + x : 0));           \
        d##y##x = inside ? v : vec4(0.0);                                              \
    }
#if WINOGRAD == 4
#define COLUMN(x)                                                                      \
    vec4 d0##x, d1##x, d2##x, d3##x, d4##x, d5##x;                                     \
    TAP(0, x) TAP(1, x) TAP(2, x) TAP(3, x) TAP(4, x) TAP(5, x)                        \
    transform(d0##x, d1##x, d2##x, d3##x, d4##x, d5##x);
#define ROW(y)                                                                         \
    transform(d##y##0, d##y##1, d##y##2, d##y##3, d##y##4, d##y##5);                   \
    target[at] = d##y##0;                                                              \
    target[at + step] = d##y##1;                                                       \
    target[at + 2 * step] = d##y##2;                                                   \
    target[at + 3 * step] = d##y##3;                                                   \
    target[at + 4 * step] = d##y##4;                                                   \
    target[at + 5 * step] = d##y##5;                                                   \
    at += 6 * step;
#define PATCH COLUMN(0) COLUMN(1) COLUMN(2) COLUMN(3) COLUMN(4) COLUMN(5)
#define ROWS ROW(0) ROW(1) ROW(2) ROW(3) ROW(4) ROW(5)
#else
#define COLUMN(x)                                                                      \
    vec4 d0##x, d1##x, d2##x, d3##x;                                                   \
    TAP(0, x) TAP(1, x) TAP(2, x) TAP(3, x)                                            \
    transform(d0##x, d1##x, d2##x, d3##x);
#define ROW(y)                                                                         \
    transform(d##y##0, d##y##1, d##y##2, d##y##3);                                     \
    target[at] = d##y##0;                                                              \
    target[at + step] = d##y##1;                                                       \
    target[at + 2 * step] = d##y##2;                                                   \
    target[at + 3 * step] = d##y##3;                                                   \
    at += 4 * step;
#define PATCH COLUMN(0) COLUMN(1) COLUMN(2) COLUMN(3)
#define ROWS ROW(0) ROW(1) ROW(2) ROW(3)
#endif

void main() {
    int slot = int(gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x), block = int(gl_WorkGroupID.y);
    slot = min(slot, chunk - 1);  // a repeated slot writes the same values again
    ivec3 position = tile_position(min(first_tile + slot, total - 1));
    int base = (position.z * blocks + block) * width * height;
    int left = position.x - pad_x, top = position.y - pad_y;
    PATCH
    int step = blocks * chunk, at = block * chunk + slot;
    ROWS
}
