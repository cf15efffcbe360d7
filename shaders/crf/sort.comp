#version 450
// Puts the corners of each vertex in order (Shell's sort: most lists are short and nearly sorted, some are long), so that
// it always adds up in the same order, and writes them as pairs of (point, weight) for crf/splat.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"

layout(std430, binding = 0) readonly buffer Ranges {
    uvec2 ranges[];
};
layout(std430, binding = 1) readonly buffer Links {
    float links[];
};
layout(std430, binding = 2) buffer Corners {
    uint corners[];
};
layout(std430, binding = 3) writeonly buffer Pairs {
    vec2 pairs[];
};
layout(std430, binding = 4) readonly buffer State {
    uint points, vertices, seeds, extra, listed;  // see crf/number
};
layout(push_constant) uniform Push {
    uint vertex_capacity;
};

void sort(uint start, uint count) {
    uint gap = 1u;
    while (gap < count / 3u) gap = gap * 3u + 1u;
    for (; gap > 0u; gap /= 3u) {
        for (uint i = gap; i < count; i++) {
            uint value = corners[start + i], at = i;
            while (at >= gap) {
                uint before = corners[start + at - gap];
                if (before <= value) break;
                corners[start + at] = before;
                at -= gap;
            }
            if (at != i) corners[start + at] = value;
        }
    }
}

void main() {
    FOR_EACH(vertex, min(seeds + 1u, vertex_capacity)) {
        if (vertex == 0u) continue;
        uint start = ranges[vertex].x * 2u, count = ranges[vertex].y;
        sort(start, count);
        for (uint i = 0u; i < count; i++) {
            uint corner = corners[start + i], point = corner / 6u;
            pairs[start + i] = vec2(point, links[point * 6u + corner + 6u]);  // [point][6 + r]
        }
        if (count % 2u == 1u) pairs[start + count] = vec2(0);
    }
}
