#version 450
// Finishes the neighbours along one axis after crf/widen: seeds look up what became of the slots that they noted, joining
// vertices look for each other.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"
#include "crf/lattice.glsl"

const uint EMPTY = 0xffffffffu, SLOT = 0x80000000u;
layout(std430, binding = 0) readonly buffer Wanted {
    uint wanted[];
};
layout(std430, binding = 1) readonly buffer WantedNumbers {
    uint wanted_numbers[];
};
layout(std430, binding = 2) readonly buffer VertexKeys {
    uvec2 vertex_keys[];
};
layout(std430, binding = 3) buffer Neighbours {
    uint neighbours[];
};
layout(std430, binding = 4) readonly buffer State {
    uint points, vertices, seeds, extra, listed;  // see crf/number
};
layout(push_constant) uniform Push {
    uint mask, vertex_capacity, most, axis;
};

uint find(uvec2 key) {
    uint at = hash_vertex(key) & mask;
    for (uint probes = 0u; probes <= mask; probes++) {
        if (wanted[at] == EMPTY) break;
        uint vertex = wanted_numbers[at];
        if (vertex != 0u && vertex_keys[vertex] == key) return vertex;
        at = (at + 1u) & mask;
    }
    return 0u;
}

void main() {
    FOR_EACH(vertex, vertices + 1u) {
        if (vertex == 0u) continue;
        if (vertex > seeds) {
            uint other = find(move_vertex(vertex_keys[vertex], axis));
            if (other == 0u) continue;
            neighbours[vertex * 2u] = other;
            neighbours[other * 2u + 1u] = vertex;
            continue;
        }
        for (uint side = 0u; side < 2u; side++) {
            uint slot = neighbours[vertex * 2u + side];
            if ((slot & SLOT) == 0u) continue;
            uint other = vertices > seeds ? wanted_numbers[slot & ~SLOT] : 0u;
            neighbours[vertex * 2u + side] = other;
            if (other != 0u) neighbours[other * 2u + 1u - side] = vertex;
        }
    }
}
