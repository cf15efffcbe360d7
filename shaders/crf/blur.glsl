// One axis of the lattice's blur with the kernel (1/2, 1, 1/2). Vertex 0 stands for all that do not exist.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"
layout(constant_id = 1) const uint GROUPS = 1;
VEC4_INPUT(0, From, from);
layout(std430, binding = 1) readonly buffer Neighbours {
    uvec2 neighbours[];  // of this axis
};
layout(std430, binding = 2) writeonly buffer To {
    vec4 to[];
};
layout(std430, binding = 3) readonly buffer State {
    uint points, vertices, seeds, extra, listed;  // see crf/number
};
layout(push_constant) uniform Push {
    uint vertex_capacity;
};

void main() {
    FOR_EACH(vertex, vertices + 1u) {
        uvec2 side = vertex == 0u ? uvec2(0) : neighbours[vertex];
        uint group = gl_WorkGroupID.z * GROUPS;
        for (uint g = 0u; g < GROUPS; g++) {
            uint base = (group + g) * vertex_capacity;
            to[base + vertex] =
                FETCH(from, base + vertex) + 0.5 * (FETCH(from, base + side.x) + FETCH(from, base + side.y));
        }
    }
}
