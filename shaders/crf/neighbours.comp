#version 450
// Finds the neighbours of each vertex along one axis, the one before and the one after; 0 if the lattice lacks it.
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
layout(std430, binding = 3) readonly buffer Wanted {
    uint wanted[];
};
layout(std430, binding = 4) readonly buffer WantedNumbers {
    uint wanted_numbers[];
};
layout(std430, binding = 5) readonly buffer VertexKeys {
    uvec2 vertex_keys[];
};
layout(std430, binding = 6) writeonly buffer Neighbours {
    uint neighbours[];  // [vertex_capacity][2]
};
layout(std430, binding = 7) readonly buffer State {
    uint points, vertices, seeds, extra, listed;  // see crf/number
};
layout(push_constant) uniform Push {
    uint mask, axis;
};

uint find(uvec2 key) {
    uint start = hash_vertex(key) & mask;
    for (uint at = start, probes = 0u; probes <= mask; probes++) {
        uint corner = table[at];
        if (corner == EMPTY) break;
        if (keys[corner] == key) return numbers[at];
        at = (at + 1u) & mask;
    }
    if (vertices == seeds) return 0u;
    for (uint at = start, probes = 0u; probes <= mask; probes++) {
        uint name = wanted[at];
        if (name == EMPTY) return 0u;
        if (move_vertex(vertex_keys[name / 12u], name % 12u) == key) return wanted_numbers[at];
        at = (at + 1u) & mask;
    }
    return 0u;
}

void main() {
    FOR_EACH(vertex, vertices + 1u) {
        if (vertex == 0u) continue;
        uint other = find(move_vertex(vertex_keys[vertex], axis));
        if (other == 0u) continue;
        neighbours[vertex * 2u] = other;
        neighbours[other * 2u + 1u] = vertex;
    }
}
