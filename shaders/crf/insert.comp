#version 450
// Finds or makes the vertices of each point in a hash table. Vertices are numbered from 1 in whatever order they come:
// the numbers differ between runs, the sums do not.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"
#include "crf/lattice.glsl"

const uint EMPTY = 0xffffffffu;
layout(std430, binding = 0) readonly buffer Keys {
    uvec2 keys[];
};
layout(std430, binding = 1) buffer Table {
    uint table[];  // corner (point * 6 + r) that came first
};
layout(std430, binding = 2) writeonly buffer Numbers {
    uint numbers[];  // vertex of each slot of the table
};
layout(std430, binding = 3) writeonly buffer VertexKeys {
    uvec2 vertex_keys[];
};
layout(std430, binding = 4) writeonly buffer Places {
    uint places[];  // slot of each corner
};
layout(std430, binding = 5) buffer State {
    uint points, vertices, seeds, extra, listed;  // see crf/number
};
layout(push_constant) uniform Push {
    uint mask, point_capacity, vertex_capacity;
};

void main() {
    FOR_EACH(point, min(points, point_capacity)) {
        for (uint corner = point * 6u; corner < point * 6u + 6u; corner++) {
            uvec2 key = keys[corner];
            uint at = hash_vertex(key) & mask;
            for (uint probes = 0u; probes <= mask; probes++) {
                uint found = atomicCompSwap(table[at], EMPTY, corner);
                if (found == EMPTY) {
                    uint vertex = atomicAdd(seeds, 1u) + 1u;
                    numbers[at] = vertex < vertex_capacity ? vertex : 0u;
                    if (vertex < vertex_capacity) vertex_keys[vertex] = key;
                    break;
                }
                if (keys[found] == key) break;
                at = (at + 1u) & mask;
            }
            places[corner] = at;
        }
    }
}
