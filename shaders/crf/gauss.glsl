// One direction of the Gaussian filter on the grid of blocks, truncated at RADIUS: RUN neighbouring outputs an
// invocation share their loads. The second direction also applies the norms and the compatibility.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "crf/access.glsl"
layout(constant_id = 1) const uint RADIUS = 5;
layout(constant_id = 2) const bool VERTICAL = false;
layout(constant_id = 3) const uint CHANNELS = 4;
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
    uint first_row, band_rows;  // of the rows that are made
    uint from_start, from_stride, to_start, to_stride;  // row 0 of the first group; elements a group
    float falloff;  // -1 / (2 sigma^2), in blocks
    float compat;
};

// Adds the block `t - RADIUS` blocks from the first output. weights[o] is its weight for output o: those of the block
// before, moved on by one output.
#define ADD_BLOCK                                                                                   \
    {                                                                                               \
        [[unroll]] for (uint o = RUN - 1u; o > 0u; o--) weights[o] = weights[o - 1u];               \
        int far = int(t) - int(RADIUS);                                                             \
        weights[0] = t <= 2u * RADIUS ? exp(falloff * float(far * far)) : 0.0;                      \
        uint at = start + t - RADIUS; /* wraps below zero, which is beyond the end as well */       \
        vec4 value = FETCH(from, base + min(at, length - 1u) * step);                               \
        value = at < length ? value : vec4(0);                                                      \
        [[unroll]] for (uint o = 0u; o < RUN; o++) sum[o] = fma(vec4(weights[o]), value, sum[o]);   \
    }

void main() {
    uint length = VERTICAL ? rows : columns, lines = VERTICAL ? columns : band_rows;
    uint runs = ((VERTICAL ? band_rows : columns) + RUN - 1u) / RUN, index = linear_index();
    if (index >= runs * lines) return;
    // Neighbouring invocations work on neighbouring columns where that makes their loads adjacent.
    uint line = VERTICAL ? index % lines : first_row + index / runs;
    uint start = VERTICAL ? first_row + index / lines * RUN : index % runs * RUN;
    uint end = VERTICAL ? first_row + band_rows : columns, step = VERTICAL ? columns : 1u;
    uint base = from_start + gl_WorkGroupID.z * from_stride + (VERTICAL ? line : line * columns);
    uint to_base = to_start + gl_WorkGroupID.z * to_stride + (VERTICAL ? line : line * columns);
    float weights[RUN];
    vec4 sum[RUN];
    [[unroll]] for (uint o = 0u; o < RUN; o++) {
        weights[o] = 0.0;
        sum[o] = vec4(0);
    }
    if (RADIUS <= 6u) {
        [[unroll]] for (uint t = 0u; t < RUN + 2u * RADIUS; t++) ADD_BLOCK
    } else {
        [[dont_unroll]] for (uint t = 0u; t < RUN + 2u * RADIUS; t++) ADD_BLOCK
    }
    float scale = VERTICAL ? compat * norms[line] : 1.0;
    [[unroll]] for (uint o = 0u; o < RUN; o++) {
        if (start + o >= end) continue;
        if (VERTICAL) sum[o] *= scale * norms[columns + start + o];
        STORE(to[to_base + (start + o) * step], sum[o])
    }
}
