// Spreads the points' values to the vertices. The lists come in any order, so the terms are added as whole numbers of
// 2^-25 in 64 bits: the sum is the same in every order. Terms are below 2^5: a norm is at most 1, a point has at most as
// many pixels as crf/points lets it have, which the host scales away with `unit`.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"
layout(constant_id = 1) const uint GROUPS = 1;
layout(constant_id = 2) const uint CHANNELS = 4;
VEC4_INPUT(0, Values, values);
VEC4_INPUT(1, Pairs, pairs);  // point, weight, point, weight
layout(std430, binding = 2) readonly buffer Ranges {
    uvec2 ranges[];
};
layout(std430, binding = 3) writeonly buffer Lattice {
    vec4 lattice[];  // [groups][vertex_capacity]
};
layout(std430, binding = 4) readonly buffer State {
    uint points, vertices, seeds, extra, listed;  // see crf/number
};
layout(push_constant) uniform Push {
    uint point_capacity, vertex_capacity;
    float unit;  // whole numbers a unit
};

void add(inout uvec4 low, inout uvec4 high, vec4 term) {
    uvec4 whole = uvec4(ivec4(term)), carry;
    low = uaddCarry(low, whole, carry);
    high += carry;
}

void main() {
    FOR_EACH(vertex, vertices + 1u) {
        uvec2 range = vertex == 0u || vertex > seeds ? uvec2(0) : ranges[vertex];
        uint group = gl_WorkGroupID.z * GROUPS, end = range.x + (range.y + 1u) / 2u;
        uvec4 low[GROUPS], high[GROUPS];
        for (uint g = 0u; g < GROUPS; g++) low[g] = high[g] = uvec4(0);
        for (uint p = range.x; p < end; p++) {
            vec4 pair = FETCH(pairs, p);
            vec2 weight = pair.yw * unit;
            for (uint g = 0u; g < GROUPS; g++) {
                uint base = (group + g) * point_capacity;
                add(low[g], high[g], weight.x * FETCH(values, base + uint(pair.x)));
                add(low[g], high[g], weight.y * FETCH(values, base + uint(pair.z)));
            }
        }
        for (uint g = 0u; g < GROUPS; g++) {
            vec4 sum = (vec4(high[g]) * 4294967296.0 + vec4(low[g])) / unit;
            STORE(lattice[(group + g) * vertex_capacity + vertex], sum)
        }
    }
}
