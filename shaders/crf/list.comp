#version 450
// Lists the corners of each vertex as (point, weight), in any order: crf/splat adds them up in whole numbers. Lists are
// padded with zeros to whole pairs.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"

layout(std430, binding = 0) readonly buffer Links {
    float links[];
};
layout(std430, binding = 1) buffer Counts {
    uint counts[];
};
layout(std430, binding = 2) readonly buffer Ranges {
    uvec2 ranges[];
};
layout(std430, binding = 3) writeonly buffer Pairs {
    vec2 pairs[];
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
            uint vertex = uint(links[point * 12u + r]);
            if (vertex == 0u) continue;
            pairs[ranges[vertex].x * 2u + atomicAdd(counts[vertex], 1u)] = vec2(point, links[point * 12u + 6u + r]);
        }
    }
}
