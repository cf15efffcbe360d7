#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// Packed image mixed with its own blurred copy, which shows the scene without the object's detail (the idea of mixup,
// Zhang et al. 2018): (1 - amount) source + amount blurred. The copy is a small image, read bilinearly.
layout(set = 0, binding = 0) readonly buffer Source { uint source[]; };
layout(set = 0, binding = 1) readonly buffer Blurred { uint blurred[]; };
layout(set = 0, binding = 2) writeonly buffer Target { uint target[]; };
layout(push_constant) uniform Push {
    uint width, height, mask_width, mask_height;
    vec4 amount;
    uint seed, fill;
} p;

vec3 at(ivec2 where) {
    where = clamp(where, ivec2(0), ivec2(p.mask_width, p.mask_height) - 1);
    return unpack_rgb(blurred[uint(where.y) * p.mask_width + uint(where.x)]);
}

void main() {
    uint i = element_index();
    if (i >= p.width * p.height) return;
    vec2 centre = vec2(float(i % p.width), float(i / p.width)) + 0.5;
    vec2 position = centre * vec2(p.mask_width, p.mask_height) / vec2(p.width, p.height) - 0.5;
    vec2 base = floor(position), f = position - base;
    ivec2 corner = ivec2(base);
    vec3 upper = mix(at(corner), at(corner + ivec2(1, 0)), f.x);
    vec3 lower = mix(at(corner + ivec2(0, 1)), at(corner + ivec2(1, 1)), f.x);
    target[i] = pack_rgb(mix(unpack_rgb(source[i]), mix(upper, lower, f.y), p.amount.x));
}
