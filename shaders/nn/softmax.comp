// Softmax, LogSoftmax and Hardmax along one axis of a linear tensor [outer][axis][inner]: one thread a line.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/common.glsl"
#include "nn/unroll.glsl"
layout(constant_id = 1) const uint MODE = 0u;  // 0 softmax, 1 its logarithm, 2 one-hot of the first maximum
layout(push_constant) uniform Push {
    uint count, axis, inner;
};
layout(binding = 0) readonly buffer In {
    float x[];
};
layout(binding = 1) writeonly buffer Out {
    float y[];
};

#define VALUE(k) x[base + (k) * inner]
#define LARGEST(k) \
    if (VALUE(k) > largest) first = k; \
    largest = max(largest, VALUE(k));
#define ONE_HOT(k) y[base + (k) * inner] = (k) == first ? 1.0 : 0.0;
#define SUM(k) part += exp(VALUE(block + k) - largest);
#define SHARE(k) y[base + (k) * inner] = exp(VALUE(k) - largest) * scale;
#define LOGARITHM(k) y[base + (k) * inner] = VALUE(k) - shift;

void main() {
    uint i = thread_index();
    if (i >= count) return;
    uint base = (i / inner) * axis * inner + i % inner, first = 0u;
    float largest = x[base];
    EACH_OF(k, axis, LARGEST)
    if (MODE == 2u) {
        EACH_OF(k, axis, ONE_HOT)
        return;
    }
    float sum = 0.0;
    for (uint block = 0u; block < axis; block += 256u) {  // blocks keep the rounding error small
        uint end = min(256u, axis - block);
        float part = 0.0;
        EACH_OF(k, end, SUM)
        sum += part;
    }
    if (MODE == 0u) {
        float scale = 1.0 / sum;
        EACH_OF(k, axis, SHARE)
    } else {
        float shift = largest + log(sum);
        EACH_OF(k, axis, LOGARITHM)
    }
}
