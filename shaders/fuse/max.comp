#version 450
#extension GL_GOOGLE_include_directive : require
#include "fuse/fusion.glsl"
// fused = max(cam, saliency): the union.
void main() {
    uint i = element_index();
    if (i < p.count) target[i] = max(cam[i], saliency[i]);
}
