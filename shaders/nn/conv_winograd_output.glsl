// Output stage of the Winograd convolution: an invocation makes the 4x4 pixels of one tile and one block of four
// channels, with bias, residual and activation.
#include "nn/conv_winograd.glsl"
layout(constant_id = 1) const uint ACT = 0u;

#ifdef CONV_TEXEL
layout(binding = 0) uniform samplerBuffer source_texels;
#define SOURCE(i) texelFetch(source_texels, i)
#else
layout(binding = 0, std430) readonly buffer Source {
    vec4 source[];  // [36][block][chunk]
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

void main() {
    int slot = int(gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x), block = int(gl_WorkGroupID.y);
    if (slot >= chunk || first_tile + slot >= total) return;
    ivec3 position = tile_position(first_tile + slot);
    int step = blocks * chunk, from = block * chunk + slot;
    vec4 m[24];  // [4][6]: columns transformed
    for (int x = 0; x < 6; x++) {
        int i = from + x * step;
        vec4 v0 = SOURCE(i), v1 = SOURCE(i + 6 * step), v2 = SOURCE(i + 12 * step);
        vec4 v3 = SOURCE(i + 18 * step), v4 = SOURCE(i + 24 * step), v5 = SOURCE(i + 30 * step);
        vec4 a = v1 + v2, b = v1 - v2, c = v3 + v4, d = v3 - v4;
        m[x] = v0 + a + c;
        m[6 + x] = b + 2.0 * d;
        m[12 + x] = a + 4.0 * c;
        m[18 + x] = b + 8.0 * d + v5;
    }
    vec4 offset = bias[block];
    int left = out_channels - 4 * block;
    bvec4 used = lessThan(ivec4(0, 1, 2, 3), ivec4(left));
    for (int y = 0; y < 4; y++) {
        if (position.y + y >= height) break;
        vec4 a = m[6 * y + 1] + m[6 * y + 2], b = m[6 * y + 1] - m[6 * y + 2];
        vec4 c = m[6 * y + 3] + m[6 * y + 4], d = m[6 * y + 3] - m[6 * y + 4];
        vec4 row[4];
        row[0] = m[6 * y] + a + c;
        row[1] = b + 2.0 * d;
        row[2] = a + 4.0 * c;
        row[3] = b + 8.0 * d + m[6 * y + 5];
        int at = ((position.z * blocks + block) * height + position.y + y) * width + position.x;
        for (int x = 0; x < 4; x++) {
            if (position.x + x >= width) break;
            vec4 v = row[x] + offset;
            if (residual != 0) v += residual_values[at + x];
            v = activate(v);
            target[at + x] = mix(vec4(0.0), v, used);
        }
    }
}
