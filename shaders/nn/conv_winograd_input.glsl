// Input stage of the Winograd convolution: an invocation transforms one 6x6 patch of one block of four channels.
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
    vec4 target[];  // [36][block][chunk]
};

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

void main() {
    int slot = int(gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x), block = int(gl_WorkGroupID.y);
    if (slot >= chunk) return;
    ivec3 position = tile_position(min(first_tile + slot, total - 1));
    int base = (position.z * blocks + block) * width * height;
    int left = position.x - pad_x, top = position.y - pad_y;
    vec4 d[36];
    for (int x = 0; x < 6; x++) {
        bool column = uint(left + x) < uint(width);
        for (int y = 0; y < 6; y++) {
            bool inside = column && uint(top + y) < uint(height);
            vec4 v = SOURCE(base + (inside ? (top + y) * width + left + x : 0));
            d[y * 6 + x] = inside ? v : vec4(0.0);
        }
        transform(d[x], d[6 + x], d[12 + x], d[18 + x], d[24 + x], d[30 + x]);
    }
    int step = blocks * chunk, at = block * chunk + slot;
    for (int y = 0; y < 6; y++) {
        transform(d[y * 6], d[y * 6 + 1], d[y * 6 + 2], d[y * 6 + 3], d[y * 6 + 4], d[y * 6 + 5]);
        for (int x = 0; x < 6; x++) {
            target[at] = d[y * 6 + x];
            at += step;
        }
    }
}
