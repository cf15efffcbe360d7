#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// One pass of a separable resampling of a packed RGB image. The host gives for each output coordinate along the axis the
// first source coordinate and `taps` weights (host/mask/resample.c).
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
    uint i = element_index();
    if (i >= p.width * p.height) return;
    uint x = i % p.width, y = i / p.width;
    uint along = AXIS == 0 ? x : y;
    int start = first[along];
    vec3 sum = vec3(0.0);
    for (uint k = 0; k < p.taps; k++) {
        // Taps beyond the border have weight 0; the clamp keeps their address inside.
        int at = clamp(start + int(k), 0, int(AXIS == 0 ? p.source_width : p.source_height) - 1);
        uint address = AXIS == 0 ? y * p.source_width + uint(at) : uint(at) * p.source_width + x;
        sum += weights[along * p.taps + k] * unpack_rgb(source[address]);
    }
    target[i] = pack_rgb(sum);
}
