#version 450
// Values only travel through vertices that exist; the sparse lattice of the paper therefore loses part of the kernel.
// This adds each missing vertex that is next to at least two of the seeds: its second neighbour makes it. One axis.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"
#include "crf/lattice.glsl"

const uint EMPTY = 0xffffffffu, SLOT = 0x80000000u;
layout(std430, binding = 0) buffer Wanted {
    uint wanted[];  // a second table: vertex * 12 + direction of the neighbour that came first
};
layout(std430, binding = 1) buffer WantedNumbers {
    uint wanted_numbers[];  // vertex of each of its slots, 0 while it has one neighbour
};
layout(std430, binding = 2) buffer VertexKeys {
    uvec2 vertex_keys[];
};
layout(std430, binding = 3) buffer Neighbours {
    uint neighbours[];  // of a seed: a neighbour that is missing becomes its slot of the second table, marked with SLOT
};
layout(std430, binding = 4) buffer State {
    uint points, vertices, seeds, extra, listed;  // see crf/number
};
layout(push_constant) uniform Push {
    uint mask, vertex_capacity, most, axis;  // most seeds of a lattice that is widened
};

uint want(uvec2 key, uint name) {
    uint at = hash_vertex(key) & mask;
    for (uint probes = 0u; probes <= mask; probes++) {
        uint found = atomicCompSwap(wanted[at], EMPTY, name);
        if (found == EMPTY) break;
        if (move_vertex(vertex_keys[found / 12u], found % 12u) == key) {
            if (atomicCompSwap(wanted_numbers[at], 0u, EMPTY) != 0u) break;
            uint vertex = seeds + atomicAdd(extra, 1u) + 1u;
            wanted_numbers[at] = vertex < vertex_capacity ? vertex : 0u;
            if (vertex < vertex_capacity) vertex_keys[vertex] = key;
            break;
        }
        at = (at + 1u) & mask;
    }
    return at;
}

void main() {
    // A vertex has at most ten missing neighbours of its own (two of the twelve are in its simplex): the table never fills.
    if (seeds > min(most, mask / 11u)) return;
    FOR_EACH(vertex, seeds + 1u) {
        if (vertex == 0u) continue;
        uvec2 own = vertex_keys[vertex];
        for (uint side = 0u; side < 2u; side++) {
            if (neighbours[vertex * 2u + side] != 0u) continue;
            uint direction = axis + side * 6u;
            neighbours[vertex * 2u + side] = want(move_vertex(own, direction), vertex * 12u + direction) | SLOT;
        }
    }
}
