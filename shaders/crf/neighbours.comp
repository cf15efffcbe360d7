#version 450
// Finds the neighbours of each vertex that points touch along one axis, the one before and the one after, among the
// others of their kind; 0 if there is none.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"
#include "crf/lattice.glsl"

const uint EMPTY = 0xffffffffu;
layout(std430, binding = 0) readonly buffer Keys {
    uvec2 keys[];
};
layout(std430, binding = 1) readonly buffer Table {
    uint table[];
};
layout(std430, binding = 2) readonly buffer Numbers {
    uint numbers[];
};
layout(std430, binding = 3) readonly buffer VertexKeys {
    uvec2 vertex_keys[];
};
layout(std430, binding = 4) writeonly buffer Neighbours {
    uint neighbours[];  // [vertex_capacity][2], zeros so far
};
layout(std430, binding = 5) readonly buffer State {
    uint points, vertices, seeds, extra, listed;  // see crf/number
};
layout(push_constant) uniform Push {
    uint mask, vertex_capacity, most, axis;
};

uint find(uvec2 key) {
    uint at = hash_vertex(key) & mask;
    for (uint probes = 0u; probes <= mask; probes++) {
        uint corner = table[at];
        if (corner == EMPTY) break;
        if (keys[corner] == key) return numbers[at];
        at = (at + 1u) & mask;
    }
    return 0u;
}

void main() {
    FOR_EACH(vertex, min(seeds + 1u, vertex_capacity)) {
        if (vertex == 0u) continue;
        uint other = find(move_vertex(vertex_keys[vertex], axis));
        if (other == 0u) continue;
        neighbours[vertex * 2u] = other;
        neighbours[other * 2u + 1u] = vertex;
    }
}
