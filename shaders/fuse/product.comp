#version 450
#extension GL_GOOGLE_include_directive : require
#include "fuse/fusion.glsl"
// fused = sqrt(cam * saliency): what both agree on, however little that is.
void main() {
    uint i = element_index();
    if (i < p.count) target[i] = sqrt(cam[i] * saliency[i]);
}
