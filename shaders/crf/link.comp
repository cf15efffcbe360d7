#version 450
// Writes the vertices of each point and counts the points of each vertex.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"

layout(std430, binding = 0) readonly buffer Numbers {
    uint numbers[];
};
layout(std430, binding = 1) readonly buffer Places {
    uint places[];
};
layout(std430, binding = 2) writeonly buffer Links {
    float links[];
};
layout(std430, binding = 3) buffer Counts {
    uint counts[];
};
layout(std430, binding = 4) readonly buffer State {
    uint points, vertices, seeds, extra, listed;  // see crf/number
};
layout(push_constant) uniform Push {
    uint point_capacity;
};

void main() {
    FOR_EACH(point, min(points, point_capacity)) {
        for (uint r = 0u; r < 6u; r++) {
            uint vertex = numbers[places[point * 6u + r]];
            links[point * 12u + r] = float(vertex);
            atomicAdd(counts[vertex], 1u);
        }
    }
}
