// One input, one output of the same shape and layout, as vectors of four 32-bit words. The shader that includes this
// defines uvec4 apply(uvec4); there are several, because drivers take time for every operation a shader could do.
#include "nn/common.glsl"
layout(constant_id = 1) const uint OP = 0u;  // numbers as in host/ops/unary.c
layout(constant_id = 2) const uint ITEMS = 1u;
layout(constant_id = 3) const bool MASK = false;  // C4 with padding channels that the operation would make non-zero
layout(push_constant) uniform Push {
    uint count;  // vec4s
    uint plane, blocks, tail;
    float a, b;
};
#ifdef TEXEL  // see input.glsl
layout(binding = 0) uniform usamplerBuffer x;
#define X(i) texelFetch(x, int(i))
#else
layout(binding = 0) readonly buffer In {
    uvec4 x[];
};
#define X(i) x[i]
#endif
layout(binding = 1) writeonly buffer Out {
    uvec4 y[];
};

uvec4 apply(uvec4 w);
#ifdef ALARM
bool is_lost(uvec4 w);  // of zeros it is not
#endif

void main() {
    for (uint k = 0u; k < ITEMS; k++) {
        uint i = item_index(k, ITEMS);
        if (i >= count) return;
        uvec4 w = X(i);
#ifdef ALARM  // plane: words; what lies behind them is no element
        ALARM_IF(is_lost(mix(w, uvec4(0u), greaterThanEqual(i * 4u + uvec4(0u, 1u, 2u, 3u), uvec4(plane)))))
#endif
        w = apply(w);
        y[i] = MASK ? c4_mask(w, i, plane, blocks, tail) : w;
    }
}
