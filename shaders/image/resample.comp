#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "image/index.glsl"
// One pass of a separable resampling of a packed RGB image. The host gives for each output coordinate along the axis the
// first source coordinate and `taps` weights (host/mask/resample.c). An invocation computes four neighbours across the
// axis, which share the weights.
layout(constant_id = 0) const uint AXIS = 0;  // 0: along x, 1: along y
layout(set = 0, binding = 0) readonly buffer Source { uint source[]; };
layout(set = 0, binding = 1) readonly buffer First { int first[]; };
layout(set = 0, binding = 2) readonly buffer Weights { float weights[]; };
layout(set = 0, binding = 3) writeonly buffer Target { uint target[]; };
layout(push_constant) uniform Push {
    uint width, height;  // of the target
    uint source_width, source_height;
    uint taps;
} p;

void main() {
    uint i = element_index(), columns = AXIS == 0 ? p.width : (p.width + 3u) / 4u;
    uint y = i / columns, x = i - y * columns, along = AXIS == 0 ? x : y, across = 4u * (AXIS == 0 ? y : x);
    uint lines = AXIS == 0 ? p.height : p.width;
    if (across >= lines || along >= (AXIS == 0 ? p.width : p.height)) return;
    int start = first[along], last = int(AXIS == 0 ? p.source_width : p.source_height) - 1;
    uint step = AXIS == 0 ? 1u : p.source_width, apart = AXIS == 0 ? p.source_width : 1u;
    vec3 sum[4];
    uint line[4];
    [[unroll]] for (uint n = 0; n < 4; n++) {
        sum[n] = vec3(0.0);
        line[n] = min(across + n, lines - 1u) * apart;
    }
    for (uint k = 0; k < p.taps; k++) {
        // Taps beyond the border have weight 0; the clamp keeps their address inside.
        uint at = uint(clamp(start + int(k), 0, last)) * step;
        float weight = weights[along * p.taps + k];
        [[unroll]] for (uint n = 0; n < 4; n++) sum[n] += weight * unpack_rgb(source[line[n] + at]);
    }
    [[unroll]] for (uint n = 0; n < 4; n++)
        if (across + n < lines)
            target[AXIS == 0 ? (across + n) * p.width + along : along * p.width + across + n] = pack_rgb(sum[n]);
}
