// ArgMax and ArgMin along one axis of a linear tensor [outer][axis][inner].
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/common.glsl"
#include "nn/unroll.glsl"
layout(constant_id = 1) const bool LEAST = false;
layout(constant_id = 2) const bool INTEGER = false;
layout(constant_id = 3) const bool LAST = false;  // of equal elements the last one
layout(push_constant) uniform Push {
    uint count, axis, inner;
};
layout(binding = 0) readonly buffer In {
    uint x[];
};
layout(binding = 1) writeonly buffer Out {
    uint y[];
};

bool better(uint v, uint best) {
    float f = uintBitsToFloat(v), g = uintBitsToFloat(best);
    bool above = INTEGER ? int(v) > int(best) : f > g;
    bool equal = INTEGER ? v == best : f == g;
    bool below = !above && !equal;
    return (LEAST ? below : above) || (LAST && equal);
}
#define COMPARE(k) \
    if ((k) > 0u && better(x[base + (k) * inner], best)) { \
        best = x[base + (k) * inner]; \
        at = k; \
    }

void main() {
    uint i = thread_index();
    if (i >= count) return;
    uint base = (i / inner) * axis * inner + i % inner, best = x[base], at = 0u;
    EACH_OF(k, axis, COMPARE)
    y[i] = at;
}
