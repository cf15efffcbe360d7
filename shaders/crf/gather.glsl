// Adds up the marginals of each point's pixels: values = norm * sum.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"
layout(constant_id = 1) const uint GROUPS = 1;  // groups of four labels an invocation
VEC4_INPUT(0, Marginals, marginals);            // [groups][pixels]
layout(std430, binding = 1) readonly buffer PointRanges {
    uvec2 point_range[];
};
layout(std430, binding = 2) readonly buffer Members {
    uint members[];
};
layout(std430, binding = 3) readonly buffer Norms {
    vec2 norms[];
};
layout(std430, binding = 4) writeonly buffer Values {
    vec4 values[];  // [groups][point_capacity]
};
layout(std430, binding = 5) readonly buffer State {
    uint points, vertices, seeds, extra, listed;  // see crf/number
};
layout(push_constant) uniform Push {
    uint pixels, point_capacity;
};

void main() {
    FOR_EACH(point, min(points, point_capacity)) {
        uvec2 range = point_range[point];
        uint group = gl_WorkGroupID.z * GROUPS;
        vec4 sum[GROUPS];
        for (uint g = 0u; g < GROUPS; g++) sum[g] = vec4(0);
        for (uint m = range.x; m < range.x + range.y; m++) {
            uint pixel = members[m];
            for (uint g = 0u; g < GROUPS; g++) sum[g] += FETCH(marginals, (group + g) * pixels + pixel);
        }
        float norm = norms[point].x;
        for (uint g = 0u; g < GROUPS; g++) values[(group + g) * point_capacity + point] = norm * sum[g];
    }
}
