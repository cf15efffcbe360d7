#version 450
// Gives each vertex its part of the list of corners, a whole number of pairs.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"

layout(std430, binding = 0) buffer Counts {
    uint counts[];
};
layout(std430, binding = 1) writeonly buffer Ranges {
    uvec2 ranges[];  // first pair and count of corners
};
layout(std430, binding = 2) buffer State {
    uint points, vertices, seeds, extra, listed;  // see crf/number
};
layout(push_constant) uniform Push {
    uint vertex_capacity;
};

void main() {
    FOR_EACH(vertex, min(seeds + 1u, vertex_capacity)) {
        if (vertex == 0u) continue;
        uint count = counts[vertex];
        ranges[vertex] = uvec2(atomicAdd(listed, (count + 1u) / 2u), count);
        counts[vertex] = 0u;
    }
}
