#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// Undoes image/turn.comp for a map of the turned image: bilinear; 0 where the turned image did not reach.
layout(set = 0, binding = 0) readonly buffer Source { float source[]; };
layout(set = 0, binding = 1) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push {
    uint width, height;
    float view_width, view_height;         // of the image that was turned, which this map covers
    float cosine, sine, shift_x, shift_y;  // as there
} p;

float at(ivec2 where) {
    where = clamp(where, ivec2(0), ivec2(p.width, p.height) - 1);
    return source[uint(where.y) * p.width + uint(where.x)];
}

void main() {
    uint i = element_index();
    if (i >= p.width * p.height) return;
    vec2 view = vec2(p.view_width, p.view_height), scale = vec2(p.width, p.height) / view, centre = view * 0.5;
    vec2 q = (vec2(float(i % p.width), float(i / p.width)) + 0.5) / scale - centre - vec2(p.shift_x, p.shift_y);
    vec2 position = vec2(fma(p.cosine, q.x, p.sine * q.y), fma(-p.sine, q.x, p.cosine * q.y)) + centre;
    if (any(lessThan(position, vec2(0.0))) || any(greaterThanEqual(position, view))) {
        target[i] = 0.0;
        return;
    }
    position = position * scale - 0.5;
    vec2 base = floor(position), f = position - base;
    ivec2 corner = ivec2(base);
    target[i] = mix(mix(at(corner), at(corner + ivec2(1, 0)), f.x),
                    mix(at(corner + ivec2(0, 1)), at(corner + ivec2(1, 1)), f.x), f.y);
}
