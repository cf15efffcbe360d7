#version 450
// Values only travel through vertices that exist; the sparse lattice of the paper therefore loses part of the kernel.
// This adds each missing vertex that is next to at least two of the seeds: its second neighbour makes it.
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
layout(std430, binding = 2) buffer Wanted {
    uint wanted[];  // a second table: vertex * 12 + direction of the neighbour that came first
};
layout(std430, binding = 3) buffer WantedNumbers {
    uint wanted_numbers[];  // vertex of each of its slots, 0 while it has one neighbour
};
layout(std430, binding = 4) buffer VertexKeys {
    uvec2 vertex_keys[];
};
layout(std430, binding = 5) buffer State {
    uint points, vertices, seeds, extra, listed;  // see crf/number
};
layout(push_constant) uniform Push {
    uint mask, vertex_capacity, most;  // most seeds of a lattice that is widened
};

bool exists(uvec2 key) {
    uint at = hash_vertex(key) & mask;
    for (uint probes = 0u; probes <= mask; probes++) {
        uint corner = table[at];
        if (corner == EMPTY) return false;
        if (keys[corner] == key) return true;
        at = (at + 1u) & mask;
    }
    return false;
}

void want(uvec2 key, uint name) {
    uint at = hash_vertex(key) & mask;
    for (uint probes = 0u; probes <= mask; probes++) {
        uint found = atomicCompSwap(wanted[at], EMPTY, name);
        if (found == EMPTY) return;
        if (move_vertex(vertex_keys[found / 12u], found % 12u) == key) {
            if (atomicCompSwap(wanted_numbers[at], 0u, EMPTY) != 0u) return;
            uint vertex = seeds + atomicAdd(extra, 1u) + 1u;
            wanted_numbers[at] = vertex < vertex_capacity ? vertex : 0u;
            if (vertex < vertex_capacity) vertex_keys[vertex] = key;
            return;
        }
        at = (at + 1u) & mask;
    }
}

void main() {
    // A vertex has at most ten missing neighbours of its own (two of the twelve are in its simplex): the table never fills.
    if (seeds > min(most, mask / 11u)) return;
    FOR_EACH(vertex, seeds + 1u) {
        if (vertex == 0u) continue;
        uvec2 own = vertex_keys[vertex];
        for (uint direction = 0u; direction < 12u; direction++) {
            uvec2 key = move_vertex(own, direction);
            if (!exists(key)) want(key, vertex * 12u + direction);
        }
    }
}
