#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// Mean and covariance of the colours along each side of the photo, the latter as L D L^T. An invocation does one side.
const float NOISE = 25.0;  // levels^2 that every colour varies by, so that even a flat side has an inverse
layout(set = 0, binding = 0) readonly buffer Image { uint image[]; };
layout(set = 0, binding = 1) writeonly buffer Sides { vec4 sides[]; };  // [4]: mean, (l21, l31, l32), (d1, d2, d3)
layout(push_constant) uniform Push { uint width, height, depth; } p;  // depth of a side

void main() {
    uint side = element_index();
    if (side >= 4u) return;
    uvec2 low = uvec2(side == 1u ? p.width - p.depth : 0u, side == 3u ? p.height - p.depth : 0u);
    uvec2 high = uvec2(side == 0u ? p.depth : p.width, side == 2u ? p.depth : p.height);
    uvec3 sum = uvec3(0u);
    for (uint y = low.y; y < high.y; y++)
        for (uint x = low.x; x < high.x; x++) sum += uvec3(unpack_rgb(image[y * p.width + x]));
    float scale = 1.0 / float((high.x - low.x) * (high.y - low.y));
    vec3 mean = vec3(sum) * scale, along = vec3(0.0), across = vec3(0.0);
    for (uint y = low.y; y < high.y; y++) {
        for (uint x = low.x; x < high.x; x++) {
            vec3 d = unpack_rgb(image[y * p.width + x]) - mean;
            along += d * d;
            across += d.rrg * d.gbb;
        }
    }
    along = along * scale + NOISE;
    across *= scale;
    float l21 = across.x / along.x, l31 = across.y / along.x, d2 = along.y - l21 * across.x;
    float rest = across.z - l31 * across.x, l32 = rest / d2;
    sides[3u * side] = vec4(mean, 0.0);
    sides[3u * side + 1u] = vec4(l21, l31, l32, 0.0);
    sides[3u * side + 2u] = vec4(along.x, d2, along.z - l31 * across.y - l32 * rest, 0.0);
}
