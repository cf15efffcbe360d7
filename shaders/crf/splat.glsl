// Spreads the points' values to the vertices: each vertex adds up its corners in their fixed order.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"
layout(constant_id = 1) const uint GROUPS = 1;
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
};

void main() {
    FOR_EACH(vertex, vertices + 1u) {
        uvec2 range = vertex == 0u || vertex > seeds ? uvec2(0) : ranges[vertex];
        uint group = gl_WorkGroupID.z * GROUPS, end = range.x + (range.y + 1u) / 2u;
        vec4 sum[GROUPS];
        for (uint g = 0u; g < GROUPS; g++) sum[g] = vec4(0);
        for (uint p = range.x; p < end; p++) {
            vec4 pair = FETCH(pairs, p);
            for (uint g = 0u; g < GROUPS; g++) {
                uint base = (group + g) * point_capacity;
                sum[g] += pair.y * FETCH(values, base + uint(pair.x)) + pair.w * FETCH(values, base + uint(pair.z));
            }
        }
        for (uint g = 0u; g < GROUPS; g++) lattice[(group + g) * vertex_capacity + vertex] = sum[g];
    }
}
