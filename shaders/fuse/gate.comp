#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// Agreement-gated fusion of a CAM and a saliency map:
//   g = mean of the saliency where the CAM is high, a = clamp((g - low) / span, 0, 1), b = strength * a
//   fused = cam^(1 - b) * saliency^b
// Where the saliency network looks at another object than the tag, g is small and the CAM stands alone.
layout(set = 0, binding = 0) readonly buffer Cam { float cam[]; };
layout(set = 0, binding = 1) readonly buffer Saliency { float saliency[]; };
layout(set = 0, binding = 2) readonly buffer Scalars { vec2 scalars[]; };  // [slot]: (sum, count) of the saliency there
layout(set = 0, binding = 3) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push {
    uint count, slot;
    float low, span, strength;
} p;

void main() {
    uint i = element_index();
    if (i >= p.count) return;
    float agreement = scalars[p.slot].x / max(scalars[p.slot].y, 1.0);
    float b = p.strength * clamp((agreement - p.low) / p.span, 0.0, 1.0);
    // pow(0, 0) is undefined in GLSL; both maps are 0..1.
    float c = b < 1.0 ? pow(max(cam[i], 1e-12), 1.0 - b) : 1.0;
    float s = b > 0.0 ? pow(max(saliency[i], 1e-12), b) : 1.0;
    target[i] = c * s;
}
