// Spreads the points' values to the vertices: each vertex adds up its corners in their fixed order.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"
layout(constant_id = 1) const uint GROUPS = 1;
VEC4_INPUT(0, Values, values);
layout(std430, binding = 1) readonly buffer Ranges {
    uvec2 ranges[];
};
layout(std430, binding = 2) readonly buffer Corners {
    uint corners[];
};
layout(std430, binding = 3) readonly buffer Links {
    float links[];
};
layout(std430, binding = 4) writeonly buffer Lattice {
    vec4 lattice[];  // [groups][vertex_capacity]
};
layout(std430, binding = 5) readonly buffer State {
    uint points, vertices, listed;
};
layout(push_constant) uniform Push {
    uint point_capacity, vertex_capacity;
};

void main() {
    uint vertex = linear_index();
    if (vertex > vertices || vertex >= vertex_capacity) return;
    uvec2 range = vertex == 0u ? uvec2(0) : ranges[vertex];
    uint group = gl_WorkGroupID.z * GROUPS;
    vec4 sum[GROUPS];
    for (uint g = 0u; g < GROUPS; g++) sum[g] = vec4(0);
    for (uint c = range.x; c < range.x + range.y; c++) {
        uint corner = corners[c], point = corner / 6u;
        float weight = links[point * 6u + corner + 6u];  // [point][6 + r]
        for (uint g = 0u; g < GROUPS; g++) sum[g] += weight * FETCH(values, (group + g) * point_capacity + point);
    }
    for (uint g = 0u; g < GROUPS; g++) lattice[(group + g) * vertex_capacity + vertex] = sum[g];
}
