// Softmax, LogSoftmax and Hardmax along one axis of a linear tensor [outer][axis][inner]: one thread a line.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/common.glsl"
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

void main() {
    uint i = thread_index();
    if (i >= count) return;
    uint base = (i / inner) * axis * inner + i % inner, end = base + axis * inner, first = base;
    float largest = x[base];
    for (uint k = base + inner; k < end; k += inner) {
        float v = x[k];
        if (v > largest) first = k;
        largest = max(largest, v);
    }
    if (MODE == 2u) {
        for (uint k = base; k < end; k += inner) y[k] = k == first ? 1.0 : 0.0;
        return;
    }
    float sum = 0.0;
    for (uint k = base; k < end; k += inner) sum += exp(x[k] - largest);
    if (MODE == 0u) {
        float scale = 1.0 / sum;
        for (uint k = base; k < end; k += inner) y[k] = exp(x[k] - largest) * scale;
    } else {
        float shift = largest + log(sum);
        for (uint k = base; k < end; k += inner) y[k] = x[k] - shift;
    }
}
