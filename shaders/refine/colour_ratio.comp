#version 450
#extension GL_GOOGLE_include_directive : require
#include "refine/colour.glsl"
// Counts, smoothed by 1 2 1 along each axis, -> log((share of the tag + floor) / (share of the others + floor)). The floor
// keeps colours that hardly occur near 0. Without a whole pixel on either side nothing is known of colours.
const float FLOOR = 1e-3;
layout(set = 0, binding = 1) readonly buffer Counts { uint counts[]; };

void main() {
    uint i = element_index();
    if (i >= BINS) return;
    ivec3 bin = ivec3(i % SIDE, i / SIDE % SIDE, i / (SIDE * SIDE));
    vec2 sum = vec2(0.0), total = vec2(counts[2u * BINS], counts[2u * BINS + 1u]);
    for (int k = 0; k < 27; k++) {
        ivec3 d = ivec3(k % 3, k / 3 % 3, k / 9) - 1;
        uvec3 near = uvec3(clamp(bin + d, ivec3(0), ivec3(int(SIDE) - 1)));
        uint at = (near.b * SIDE + near.g) * SIDE + near.r;
        int apart = abs(d.x) + abs(d.y) + abs(d.z);
        sum += float(8 >> apart) * vec2(counts[at], counts[BINS + at]);
    }
    vec2 share = sum / 64.0 / max(total, vec2(1.0)) + FLOOR;
    ratios[i] = total.x < 256.0 || total.y < 256.0 ? 0.0 : log(share.x / share.y);
}
