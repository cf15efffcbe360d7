// The gradient of Softmax, y (g - sum(g y)), and of LogSoftmax, g - exp(y) sum(g), from their outputs: one thread a line.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/common.glsl"
#include "nn/unroll.glsl"
layout(constant_id = 1) const bool LOGARITHM = false;
layout(push_constant) uniform Push {
    uint count, axis, inner;
};
layout(binding = 0) readonly buffer Result {
    float y[];
};
layout(binding = 1) readonly buffer Gradient {
    float g[];
};
layout(binding = 2) writeonly buffer Out {
    float x[];
};

#define SUM(i) \
    { \
        uint at = base + (b + (i)) * inner; \
        part += LOGARITHM ? g[at] : g[at] * y[at]; \
    }
#define STORE(i) \
    { \
        uint at = base + (i) * inner; \
        x[at] = LOGARITHM ? g[at] - exp(y[at]) * total : y[at] * (g[at] - total); \
    }

void main() {
    uint line = thread_index();
    if (line >= count) return;
    uint base = line / inner * axis * inner + line % inner;
    float total = 0.0;
    for (uint b = 0u; b < axis; b += 256u) {
        uint end = min(256u, axis - b);
        float part = 0.0;
        EACH_OF(i, end, SUM)
        total += part;
    }
    EACH_OF(i, axis, STORE)
}
