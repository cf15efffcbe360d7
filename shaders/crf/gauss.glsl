// One direction of the Gaussian filter on the grid of blocks, truncated at RADIUS: RUN neighbouring outputs an
// invocation share their loads. The second direction also applies the norms and the compatibility.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"
layout(constant_id = 1) const uint RADIUS = 5;
layout(constant_id = 2) const bool VERTICAL = false;
const uint RUN = 8u;
VEC4_INPUT(0, From, from);
layout(std430, binding = 1) readonly buffer Table {
    float norms[];  // 1 / sqrt of the columns' sums, then of the rows'
};
layout(std430, binding = 2) writeonly buffer To {
    vec4 to[];
};
layout(push_constant) uniform Push {
    uint columns, rows;
    float falloff;  // -1 / (2 sigma^2), in blocks
    float compat;
};

void main() {
    uint length = VERTICAL ? rows : columns, lines = VERTICAL ? columns : rows;
    uint runs = (length + RUN - 1u) / RUN, index = linear_index();
    if (index >= runs * lines) return;
    // Neighbouring invocations work on neighbouring columns where that makes their loads adjacent.
    uint line = VERTICAL ? index % lines : index / runs, start = (VERTICAL ? index / lines : index % runs) * RUN;
    uint step = VERTICAL ? columns : 1u;
    uint base = gl_WorkGroupID.z * columns * rows + (VERTICAL ? line : line * columns);
    float weights[RADIUS + 1u];
    for (uint k = 0u; k <= RADIUS; k++) weights[k] = exp(falloff * float(k * k));
    vec4 sum[RUN];
    for (uint o = 0u; o < RUN; o++) sum[o] = vec4(0);
    for (uint t = 0u; t < RUN + 2u * RADIUS; t++) {
        uint at = start + t - RADIUS;  // wraps below zero, which is beyond the end as well
        vec4 value = FETCH(from, base + min(at, length - 1u) * step);
        value = at < length ? value : vec4(0);
        for (uint o = 0u; o < RUN; o++) {
            int far = abs(int(t) - int(RADIUS) - int(o));
            if (far <= int(RADIUS)) sum[o] += weights[far] * value;
        }
    }
    for (uint o = 0u; o < RUN && start + o < length; o++) {
        float scale = VERTICAL ? compat * norms[line] * norms[columns + start + o] : 1.0;
        to[base + (start + o) * step] = scale * sum[o];
    }
}
