#version 450
// Sorts the corners of each vertex (heapsort: some lists are long), so that it always adds up in the same order, and
// finds the vertex's neighbours: of each axis the one before and the one after, 0 if the lattice lacks it.
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
layout(std430, binding = 3) readonly buffer Owners {
    uint owners[];
};
layout(std430, binding = 4) readonly buffer Ranges {
    uvec2 ranges[];
};
layout(std430, binding = 5) buffer Corners {
    uint corners[];
};
layout(std430, binding = 6) buffer Neighbours {
    uint neighbours[];  // [6][vertex_capacity][2]
};
layout(std430, binding = 7) readonly buffer State {
    uint points, vertices, listed;
};
layout(push_constant) uniform Push {
    uint mask, vertex_capacity;
};

void sink(uint start, uint at, uint count) {
    uint value = corners[start + at];
    while (at * 2u + 1u < count) {
        uint child = at * 2u + 1u, larger = corners[start + child];
        if (child + 1u < count) {
            uint other = corners[start + child + 1u];
            if (other > larger) {
                larger = other;
                child++;
            }
        }
        if (larger <= value) break;
        corners[start + at] = larger;
        at = child;
    }
    corners[start + at] = value;
}

void sort(uint start, uint count) {
    for (uint at = count / 2u; at > 0u; at--) sink(start, at - 1u, count);
    for (uint last = count; last > 1u; last--) {
        uint largest = corners[start];
        corners[start] = corners[start + last - 1u];
        corners[start + last - 1u] = largest;
        sink(start, 0u, last - 1u);
    }
}

uint find(uvec2 key) {
    uint at = hash_vertex(key) & mask;
    for (uint probes = 0u; probes <= mask; probes++) {
        uint corner = table[at];
        if (corner == EMPTY) return 0u;
        if (keys[corner] == key) return numbers[at];
        at = (at + 1u) & mask;
    }
    return 0u;
}

void main() {
    uint vertex = linear_index();
    if (vertex == 0u || vertex > vertices || vertex >= vertex_capacity) return;
    uvec2 range = ranges[vertex];
    sort(range.x, range.y);
    int k[5];
    unpack_vertex(keys[owners[vertex]], k);
    for (int axis = 0; axis < 6; axis++) {
        int moved[5];
        for (int i = 0; i < 5; i++) moved[i] = k[i] + (i == axis ? 5 : -1);
        uint other = find(pack_vertex(moved));
        if (other == 0u) continue;
        neighbours[(uint(axis) * vertex_capacity + vertex) * 2u] = other;
        neighbours[(uint(axis) * vertex_capacity + other) * 2u + 1u] = vertex;
    }
}
