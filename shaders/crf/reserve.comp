#version 450
// Gives each vertex its part of the list of corners.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"

layout(std430, binding = 0) buffer Counts {
    uint counts[];
};
layout(std430, binding = 1) writeonly buffer Ranges {
    uvec2 ranges[];  // start and count
};
layout(std430, binding = 2) buffer State {
    uint points, vertices, listed;
};
layout(push_constant) uniform Push {
    uint vertex_capacity;
};

void main() {
    uint vertex = linear_index();
    if (vertex == 0u || vertex > vertices || vertex >= vertex_capacity) return;
    uint count = counts[vertex];
    ranges[vertex] = uvec2(atomicAdd(listed, count), count);
    counts[vertex] = 0u;
}
