// What every fusion mode reads: a CAM and a saliency map, both 0..1, and how far they agree.
#include "image/index.glsl"
layout(set = 0, binding = 0) readonly buffer Cam { float cam[]; };
layout(set = 0, binding = 1) readonly buffer Saliency { float saliency[]; };
layout(set = 0, binding = 2) readonly buffer Scalars { vec2 scalars[]; };  // [slot]: (sum, count) of the saliency there
layout(set = 0, binding = 3) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push {
    uint count, slot;
    float low, span, strength;  // of the gate
    float overlap, share;       // of eps
} p;

// Mean of the saliency where the CAM is high.
float agreement() {
    return scalars[p.slot].x / max(scalars[p.slot].y, 1.0);
}

// How much the saliency counts: 0 where it looks at another object than the tag, up to `strength`.
float gate() {
    return p.strength * clamp((agreement() - p.low) / p.span, 0.0, 1.0);
}
