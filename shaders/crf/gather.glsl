// Adds up the marginals of each point's pixels: values = norm * sum. For the tiles of a band of the image.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "crf/access.glsl"
layout(constant_id = 1) const uint GROUPS = 1;  // groups of four labels an invocation
layout(constant_id = 2) const uint CHANNELS = 4;
layout(constant_id = 3) const bool PACKED = false;  // see crf/keep; only with TEXEL
UVEC4_INPUT(0, Marginals, marginals);  // [groups][pixels] vec4; PACKED: [groups / 2][pixels]; of the band
layout(std430, binding = 1) readonly buffer PointRanges {
    uvec2 point_range[];
};
layout(std430, binding = 2) readonly buffer Members {
    uint members[];
};
layout(std430, binding = 3) readonly buffer Norms {
    vec2 norms[];
};
layout(std430, binding = 4) writeonly buffer Values {
    vec4 values[];  // [groups][point_capacity]
};
layout(std430, binding = 5) readonly buffer Firsts {
    uint tile_first[];
};
layout(push_constant) uniform Push {
    uint pixels, first_pixel;       // of the band
    uint first_tile, end_tile;      // of the band
    uint point_capacity;
};

void add_marginals(uvec2 range, inout vec4 sum[GROUPS], inout float norm) {
    uint group = gl_WorkGroupID.z * GROUPS;
#ifdef TEXEL
    if (PACKED) {
        uvec4 whole[GROUPS];  // at most 1,024 numbers of 16 bits
        [[unroll]] for (uint g = 0u; g < GROUPS; g++) whole[g] = uvec4(0);
        for (uint m = range.x; m < range.x + range.y; m++) {
            uint pixel = members[m] - first_pixel;
            [[unroll]] for (uint g = 0u; g < GROUPS; g += 2u) {
                uvec4 two = FETCH(marginals, g / 2u * pixels + pixel);
                whole[g] += uvec4(two.x & 65535u, two.x >> 16, two.y & 65535u, two.y >> 16);
                if (g + 1u < GROUPS) whole[g + 1u] += uvec4(two.z & 65535u, two.z >> 16, two.w & 65535u, two.w >> 16);
            }
        }
        [[unroll]] for (uint g = 0u; g < GROUPS; g++) sum[g] = vec4(whole[g]);
        norm /= 65535.0;
        return;
    }
#endif
    for (uint m = range.x; m < range.x + range.y; m++) {
        uint pixel = members[m] - first_pixel;
        for (uint g = 0u; g < GROUPS; g++) sum[g] += uintBitsToFloat(FETCH(marginals, (group + g) * pixels + pixel));
    }
}

void main() {
    uint first_point = min(tile_first[first_tile], point_capacity);
    uint count = min(tile_first[end_tile], point_capacity) - first_point;
    FOR_EACH(index, count) {
        uint point = first_point + index;
        uvec2 range = point_range[point];
        uint group = gl_WorkGroupID.z * GROUPS;
        vec4 sum[GROUPS];
        for (uint g = 0u; g < GROUPS; g++) sum[g] = vec4(0);
        float norm = norms[point].x;
        add_marginals(range, sum, norm);
        for (uint g = 0u; g < GROUPS; g++) STORE(values[(group + g) * point_capacity + point], norm * sum[g])
    }
}
