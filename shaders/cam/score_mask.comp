#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// One channel of the features as large as the network's input: bilinear with the corners aligned, as PyTorch's
// UpsamplingBilinear2d.
layout(constant_id = 0) const uint C4 = 0;  // 1: features as [C/4][places] vec4, 0: as [C][places]
layout(set = 0, binding = 0) readonly buffer Features { float features[]; };
layout(set = 0, binding = 1) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push { uint width, height, source_width, source_height, channel; } p;

float at(uint x, uint y) {
    uint i = y * p.source_width + x, places = p.source_width * p.source_height, k = p.channel;
    return features[C4 != 0 ? ((k / 4u) * places + i) * 4u + k % 4u : k * places + i];
}

void main() {
    uint i = element_index();
    if (i >= p.width * p.height) return;
    float to_x = p.width > 1u ? float(p.source_width - 1u) / float(p.width - 1u) : 0.0;
    float to_y = p.height > 1u ? float(p.source_height - 1u) / float(p.height - 1u) : 0.0;
    float x = float(i % p.width) * to_x, y = float(i / p.width) * to_y;
    uint left = min(uint(x), p.source_width - 1u), top = min(uint(y), p.source_height - 1u);
    uint right = min(left + 1u, p.source_width - 1u), bottom = min(top + 1u, p.source_height - 1u);
    float u = x - float(left), v = y - float(top);
    target[i] = mix(mix(at(left, top), at(right, top), u), mix(at(left, bottom), at(right, bottom), u), v);
}
