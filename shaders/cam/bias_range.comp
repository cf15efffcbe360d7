#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
#include "cam/bias.glsl"
// target[k] = least and largest |value| of channel k, an invocation a channel.
layout(set = 0, binding = 2) writeonly buffer Target { vec2 target[]; };

void main() {
    uint k = element_index();
    if (k >= p.channels) return;
    vec2 range = vec2(3.402823e38, 0.0);
    for (uint i = 0; i < p.places; i++) {
        float x = value(k, i);
        range = vec2(min(range.x, x), max(range.y, x));
    }
    target[k] = range;
}
