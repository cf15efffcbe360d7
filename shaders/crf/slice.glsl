// Reads the lattice at the points: messages = compat * norm * sum over the point's vertices.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"
layout(constant_id = 1) const uint GROUPS = 1;
layout(constant_id = 2) const uint CHANNELS = 4;
VEC4_INPUT(0, Lattice, lattice);
VEC4_INPUT(1, Links, links);  // three a point
layout(std430, binding = 2) readonly buffer Norms {
    vec2 norms[];
};
layout(std430, binding = 3) writeonly buffer Messages {
    vec4 messages[];
};
layout(std430, binding = 4) readonly buffer State {
    uint points, vertices, seeds, extra, listed;  // see crf/number
};
layout(push_constant) uniform Push {
    uint point_capacity, vertex_capacity;
    float compat;
};

void main() {
    FOR_EACH(point, min(points, point_capacity)) {
        vec4 a = FETCH(links, point * 3u), b = FETCH(links, point * 3u + 1u), c = FETCH(links, point * 3u + 2u);
        uint group = gl_WorkGroupID.z * GROUPS;
        float scale = compat * norms[point].x;
        for (uint g = 0u; g < GROUPS; g++) {
            uint base = (group + g) * vertex_capacity;
            vec4 sum = b.z * FETCH(lattice, base + uint(a.x));
            sum = fma(vec4(b.w), FETCH(lattice, base + uint(a.y)), sum);
            sum = fma(vec4(c.x), FETCH(lattice, base + uint(a.z)), sum);
            sum = fma(vec4(c.y), FETCH(lattice, base + uint(a.w)), sum);
            sum = fma(vec4(c.z), FETCH(lattice, base + uint(b.x)), sum);
            sum = fma(vec4(c.w), FETCH(lattice, base + uint(b.y)), sum);
            STORE(messages[(group + g) * point_capacity + point], scale * sum)
        }
    }
}
