#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
#include "cam/bias.glsl"
// target[i] = sum over channels of |value|, each channel min-max normalized: an invocation a place.
layout(set = 0, binding = 2) readonly buffer Ranges { vec2 ranges[]; };
layout(set = 0, binding = 3) writeonly buffer Target { float target[]; };

void main() {
    uint i = element_index();
    if (i >= p.places) return;
    float sum = 0.0;
    for (uint k = 0; k < p.channels; k++) {
        vec2 range = ranges[k];
        sum += (value(k, i) - range.x) / (range.y - range.x + 1e-7);
    }
    target[i] = sum;
}
