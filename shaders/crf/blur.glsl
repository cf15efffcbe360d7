// One axis of the lattice's blur with the kernel (1/2, 1, 1/2). Vertex 0 stands for all that do not exist. Two vertices
// an invocation share the load of their neighbours.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"
layout(constant_id = 1) const uint GROUPS = 1;
layout(constant_id = 2) const uint CHANNELS = 4;
VEC4_INPUT(0, From, from);
UVEC4_INPUT(1, Neighbours, neighbours);  // of this axis, of two vertices
layout(std430, binding = 2) writeonly buffer To {
    vec4 to[];
};
layout(std430, binding = 3) readonly buffer State {
    uint points, vertices, seeds, extra, listed;  // see crf/number
};
layout(push_constant) uniform Push {
    uint vertex_capacity;  // even
};

vec4 blurred(uint base, uint vertex, uvec2 side) {
    return fma(FETCH(from, base + side.x) + FETCH(from, base + side.y), vec4(0.5), FETCH(from, base + vertex));
}

void main() {
    FOR_EACH(pair, vertices / 2u + 1u) {
        uvec4 sides = FETCH(neighbours, pair);
        if (pair == 0u) sides.xy = uvec2(0);
        for (uint g = 0u; g < GROUPS; g++) {
            uint base = (gl_WorkGroupID.z * GROUPS + g) * vertex_capacity, vertex = pair * 2u;
            STORE(to[base + vertex], blurred(base, vertex, sides.xy))
            STORE(to[base + vertex + 1u], blurred(base, vertex + 1u, sides.zw))
        }
    }
}
