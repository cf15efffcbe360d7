#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
#include "cam/two.glsl"
// target [C][places] = gradients features

void main() {
    uint at = element_index();
    if (at >= p.places * p.channels) return;
    uint k = at / p.places, i = at % p.places;
    target[at] = gradient(k, i) * feature(k, i);
}
