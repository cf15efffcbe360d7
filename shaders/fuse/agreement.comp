#version 450
#extension GL_GOOGLE_include_directive : require
#include "fuse/fusion.glsl"
// The gate's weights in an arithmetic mean: fused = (1 - b) cam + b saliency. A part of the object that only one of the two
// sees stays, where the gate's geometric mean takes it away.
void main() {
    uint i = element_index();
    if (i < p.count) target[i] = mix(cam[i], saliency[i], gate());
}
