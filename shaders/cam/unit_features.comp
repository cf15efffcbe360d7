#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// Features, less the means of their channels if CENTRED, scaled to unit length at each position, as [ceil(C/4)][positions] vec4.
layout(constant_id = 0) const uint C4 = 0;  // layout of the source: 1 [C/4][H][W] vec4, 0 [C][H][W]
layout(constant_id = 1) const bool CENTRED = false;
layout(set = 0, binding = 0) readonly buffer Source { float source[]; };
layout(set = 0, binding = 1) writeonly buffer Target { vec4 target[]; };
layout(set = 0, binding = 2) readonly buffer Means { float means[]; };
layout(push_constant) uniform Push { uint positions, channels; } p;

float at(uint k, uint i) {
    if (k >= p.channels) return 0.0;
    float value = source[C4 != 0 ? ((k / 4u) * p.positions + i) * 4u + (k % 4u) : k * p.positions + i];
    return CENTRED ? value - means[k] : value;
}

void main() {
    uint i = element_index();
    if (i >= p.positions) return;
    float square = 0.0;
    for (uint k = 0; k < p.channels; k++) square += at(k, i) * at(k, i);
    float scale = 1.0 / max(sqrt(square), 1e-12);
    for (uint k = 0; k < p.channels; k += 4)
        target[(k / 4u) * p.positions + i] = vec4(at(k, i), at(k + 1, i), at(k + 2, i), at(k + 3, i)) * scale;
}
