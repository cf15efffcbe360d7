#version 450
#extension GL_GOOGLE_include_directive : require
#include "fuse/fusion.glsl"
// The assignment of EPS (Lee et al., "Railroad Is Not a Train: Saliency as Pseudo-Pixel Supervision", CVPR 2021) without its
// training. A map belongs to the salient foreground when its overlap o with it (here the saliency's mean where the CAM is
// high) is above a bound; the saliency then takes away what lies outside the object and adds a share inside it. Otherwise
// the salient thing is another object, of which the map loses a share:
//   o > overlap:  fused = saliency * ((1 - share) * cam + share)
//   else:         fused = cam * (1 - share * saliency)
void main() {
    uint i = element_index();
    if (i >= p.count) return;
    target[i] = agreement() > p.overlap ? saliency[i] * mix(cam[i], 1.0, p.share) : cam[i] * (1.0 - p.share * saliency[i]);
}
