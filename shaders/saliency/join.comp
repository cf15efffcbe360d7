#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// The barrier distance and the contrast with the sides, each by its maximum; the side that a pixel is least like is left
// out, since an object may touch it. Less the farther from the middle.
layout(set = 0, binding = 0) readonly buffer Maps { float maps[]; };       // saliency/contrast
layout(set = 0, binding = 1) readonly buffer Scalars { vec2 scalars[]; };  // [slot + map]: minimum and maximum
layout(set = 0, binding = 2) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push { uint width, height, stride, slot; } p;

void main() {
    uint i = element_index();
    if (i >= p.width * p.height) return;
    float sum = 0.0, most = 0.0;
    for (uint s = 1u; s <= 4u; s++) {
        float contrast = maps[s * p.stride + i] / max(scalars[p.slot + s].y, 1e-8);
        sum += contrast;
        most = max(most, contrast);
    }
    float barrier = maps[i] / max(scalars[p.slot].y, 1e-8);
    vec2 half_size = 0.5 * vec2(float(p.width), float(p.height));
    vec2 place = vec2(float(i % p.width), float(i / p.width)) + 0.5 - half_size;
    target[i] = (barrier + (sum - most) / 3.0) * (1.0 - length(place) / length(half_size));
}
