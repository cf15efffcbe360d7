#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// Packed RGB -> planes of a network's input: out = (rgb * gain - mean) * scale, optionally mirrored left-right.
// gain is 1, or 255 / the largest value of the image where the pack asks for it (divide_by_max).
layout(set = 0, binding = 0) readonly buffer Source { uint source[]; };
layout(set = 0, binding = 1) readonly buffer Scalars { vec2 scalars[]; };  // [slot].y: the largest channel of the image
layout(set = 0, binding = 2) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push {
    vec4 mean, scale;
    uint width, height, mirror, divide_by_max, slot;
} p;

void main() {
    uint i = element_index(), count = p.width * p.height;
    if (i >= count) return;
    uint x = i % p.width, y = i / p.width;
    uint from = p.mirror != 0 ? y * p.width + (p.width - 1 - x) : i;
    float gain = p.divide_by_max != 0 ? 255.0 / max(scalars[p.slot].y, 1.0) : 1.0;
    vec3 v = (unpack_rgb(source[from]) * gain - p.mean.xyz) * p.scale.xyz;
    target[i] = v.x;
    target[count + i] = v.y;
    target[2 * count + i] = v.z;
}
