#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// Packed image turned about its centre and moved: what is at c + R(angle) (q - c) + shift in the source comes to q.
// Bilinear; what lies outside repeats the edge.
layout(set = 0, binding = 0) readonly buffer Source { uint source[]; };
layout(set = 0, binding = 1) readonly buffer Mask { float mask[]; };  // not read
layout(set = 0, binding = 2) writeonly buffer Target { uint target[]; };
layout(push_constant) uniform Push {
    uint width, height, mask_width, mask_height;
    vec4 amount;  // cosine and sine of the angle, shift in pixels
    uint seed, fill;
} p;

vec3 at(ivec2 where) {
    where = clamp(where, ivec2(0), ivec2(p.width, p.height) - 1);
    return unpack_rgb(source[uint(where.y) * p.width + uint(where.x)]);
}

void main() {
    uint i = element_index();
    if (i >= p.width * p.height) return;
    vec2 centre = vec2(p.width, p.height) * 0.5, q = vec2(float(i % p.width), float(i / p.width)) + 0.5 - centre;
    vec2 turned = vec2(fma(p.amount.x, q.x, -p.amount.y * q.y), fma(p.amount.y, q.x, p.amount.x * q.y));
    vec2 position = turned + centre + p.amount.zw - 0.5, base = floor(position), f = position - base;
    ivec2 corner = ivec2(base);
    vec3 upper = mix(at(corner), at(corner + ivec2(1, 0)), f.x);
    vec3 lower = mix(at(corner + ivec2(0, 1)), at(corner + ivec2(1, 1)), f.x);
    target[i] = pack_rgb(mix(upper, lower, f.y));
}
