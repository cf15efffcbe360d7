#version 450
// The bilateral kernel's norms, in three steps around the filter: STEP 0 gives each point the number of its pixels;
// STEP 1 takes 1 / sqrt of the filtered numbers and weights the numbers with it; STEP 2 keeps the sum of the normalized
// kernel, which is what the messages of all labels together add up to.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"
layout(constant_id = 1) const uint STEP = 0;
layout(std430, binding = 0) readonly buffer PointRanges {
    uvec2 point_range[];
};
layout(std430, binding = 1) buffer Norms {
    vec2 norms[];
};
layout(std430, binding = 2) buffer Values {
    vec4 values[];  // the filter works in place
};
layout(std430, binding = 3) readonly buffer State {
    uint points, vertices, seeds, extra, listed;  // see crf/number
};
layout(push_constant) uniform Push {
    uint point_capacity;
};

void main() {
    FOR_EACH(point, min(points, point_capacity)) {
        float count = float(point_range[point].y);
        if (STEP == 0u) {
            norms[point] = vec2(1, 0);  // so that crf/slice does not scale yet
            values[point].x = count;
        } else if (STEP == 1u) {
            float norm = inversesqrt(values[point].x + 1e-20);
            norms[point] = vec2(norm, 0);
            values[point].x = count * norm;
        } else {
            norms[point].y = values[point].x;
        }
    }
}
