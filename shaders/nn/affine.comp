// y = act(x * a[c] + b[c]) for a channel c, linear (C4 false: one channel a plane of words) or C4.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/common.glsl"
#include "nn/act.glsl"
layout(constant_id = 1) const bool C4 = false;
layout(constant_id = 2) const uint ACT = 0u;
layout(constant_id = 3) const bool MASK = false;
layout(push_constant) uniform Push {
    uint count;  // words, or vec4s
    uint plane, blocks, tail;  // blocks: channels, or blocks of four of them
    float act_a, act_b;
};
layout(binding = 0) readonly buffer In {
    vec4 x[];
};
layout(binding = 1) readonly buffer InWords {
    float xw[];
};
layout(binding = 2) readonly buffer Coefficients {
    vec2 c[];
};
layout(binding = 3) writeonly buffer Out {
    vec4 y[];
};
layout(binding = 4) writeonly buffer OutWords {
    float yw[];
};

void main() {
    uint i = thread_index();
    if (i >= count) return;
    uint channel = (i / plane) % blocks;
    if (!C4) {
        vec2 t = c[channel];
        yw[i] = activate(ACT, vec4(xw[i] * t.x + t.y), act_a, act_b).x;
        return;
    }
    vec2 t0 = c[channel * 4u], t1 = c[channel * 4u + 1u], t2 = c[channel * 4u + 2u], t3 = c[channel * 4u + 3u];
    vec4 v = activate(ACT, x[i] * vec4(t0.x, t1.x, t2.x, t3.x) + vec4(t0.y, t1.y, t2.y, t3.y), act_a, act_b);
    y[i] = MASK ? uintBitsToFloat(c4_mask(floatBitsToUint(v), i, plane, blocks, tail)) : v;
}
