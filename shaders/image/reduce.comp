#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// First stage of a deterministic reduction: invocation k reduces elements k, k + parts, k + 2 parts, ... to one pair.
// OP 0: (minimum, maximum) of a. OP 1: (sum of a, count) over the elements where b > threshold.
// OP 2: (0, largest of R, G, B) of packed pixels whose bits are in a. OP 3: (largest |a|, count) of the finite and of the
// other elements.
layout(constant_id = 0) const uint OP = 0;
layout(set = 0, binding = 0) readonly buffer A { uint a[]; };  // bits: packed pixels would be denormal floats
layout(set = 0, binding = 1) readonly buffer B { float b[]; };
layout(set = 0, binding = 2) writeonly buffer Partials { vec2 partials[]; };
layout(push_constant) uniform Push {
    uint count, parts;
    float threshold;
} p;

void main() {
    uint k = element_index();
    if (k >= p.parts) return;
    vec2 result = OP == 0 ? vec2(3.402823e38, -3.402823e38) : vec2(0.0);
    for (uint i = k; i < p.count; i += p.parts) {
        uint bits = a[i];
        float value = uintBitsToFloat(bits);
        if (OP == 0) {
            result = vec2(min(result.x, value), max(result.y, value));
        } else if (OP == 1) {
            if (b[i] > p.threshold) result += vec2(value, 1.0);
        } else if (OP == 3) {
            // By the bits: comparisons with a NaN need not be what they should.
            if ((bits & 0x7f800000u) == 0x7f800000u) {
                result.y += 1.0;
            } else {
                result.x = max(result.x, abs(value));
            }
        } else {
            vec3 rgb = unpack_rgb(bits);
            result.y = max(result.y, max(rgb.x, max(rgb.y, rgb.z)));
        }
    }
    partials[k] = result;
}
