#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// Tokens [skipped + places][channels] -> features [channels][places].
layout(set = 0, binding = 0) readonly buffer Source { float source[]; };
layout(set = 0, binding = 1) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push { uint places, channels, skipped; } p;

void main() {
    uint i = element_index();
    if (i >= p.places * p.channels) return;
    uint channel = i / p.places, place = i - channel * p.places;
    target[i] = source[(p.skipped + place) * p.channels + channel];
}
