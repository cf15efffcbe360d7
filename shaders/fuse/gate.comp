#version 450
#extension GL_GOOGLE_include_directive : require
#include "fuse/fusion.glsl"
// Agreement-gated fusion of a CAM and a saliency map:
//   g = mean of the saliency where the CAM is high, a = clamp((g - low) / span, 0, 1), b = strength * a
//   fused = cam^(1 - b) * saliency^b
// Where the saliency network looks at another object than the tag, g is small and the CAM stands alone.
void main() {
    uint i = element_index();
    if (i >= p.count) return;
    float b = gate();
    // pow(0, 0) is undefined in GLSL; both maps are 0..1.
    float c = b < 1.0 ? pow(max(cam[i], 1e-12), 1.0 - b) : 1.0;
    float s = b > 0.0 ? pow(max(saliency[i], 1e-12), b) : 1.0;
    target[i] = c * s;
}
