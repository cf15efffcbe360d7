#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// Bilinear resize of one float plane with half-pixel centres (ONNX Resize "half_pixel"), edges clamped. The source covers
// the rectangle (left, top) .. (left + box_width, top + box_height) of the target, in target pixels; outside it the value
// is 0. mirror undoes a left-right flip of the source.
layout(set = 0, binding = 0) readonly buffer Source { float source[]; };
layout(set = 0, binding = 1) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push {
    uint width, height, source_width, source_height;
    float left, top, box_width, box_height;
    uint mirror;
} p;

float at(int x, int y) {
    x = clamp(x, 0, int(p.source_width) - 1);
    y = clamp(y, 0, int(p.source_height) - 1);
    if (p.mirror != 0) x = int(p.source_width) - 1 - x;
    return source[uint(y) * p.source_width + uint(x)];
}

void main() {
    uint i = element_index();
    if (i >= p.width * p.height) return;
    vec2 centre = vec2(float(i % p.width), float(i / p.width)) + 0.5 - vec2(p.left, p.top);
    if (centre.x < 0.0 || centre.y < 0.0 || centre.x >= p.box_width || centre.y >= p.box_height) {
        target[i] = 0.0;
        return;
    }
    vec2 position = centre * vec2(float(p.source_width) / p.box_width, float(p.source_height) / p.box_height) - 0.5;
    vec2 base = floor(position), f = position - base;
    int x = int(base.x), y = int(base.y);
    target[i] = mix(mix(at(x, y), at(x + 1, y), f.x), mix(at(x, y + 1), at(x + 1, y + 1), f.x), f.y);
}
