// Instance, group and layer normalization of a linear tensor seen as rows: y = (x - mean) * inverse deviation * scale +
// bias. PASS 0: one thread a row computes mean and inverse deviation (two passes over the row: the one-pass formula
// cancels). PASS 1: one thread an element. The index of scale and bias is row / row_div % row_mod * row_mul +
// at / at_div.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/common.glsl"
#include "nn/unroll.glsl"
layout(constant_id = 1) const uint PASS = 0u;
layout(constant_id = 2) const bool BIAS = false;
layout(constant_id = 3) const bool RMS = false;  // no mean is subtracted
layout(push_constant) uniform Push {
    uint rows, length;
    uint row_mod, row_mul, at_div;
    float epsilon;
};
layout(binding = 0) readonly buffer In {
    float x[];
};
layout(binding = 1) readonly buffer Scale {
    float scale[];
};
layout(binding = 2) readonly buffer Bias {
    float bias[];
};
layout(binding = 3) buffer Statistics {
    vec2 statistics[];
};
layout(binding = 4) buffer Out {
    float y[];
};

#define ADD(i) part += term(x[base + b + i] - mean, square);
float term(float v, bool square) {
    return square ? v * v : v;
}
float sum(uint base, float mean, bool square) {
    float total = 0.0;
    for (uint b = 0u; b < length; b += 256u) {
        uint end = min(256u, length - b);
        float part = 0.0;
        EACH_OF(i, end, ADD)
        total += part;
    }
    return total / float(length);
}
void main() {
    uint i = thread_index();
    if (PASS == 0u) {
        if (i >= rows) return;
        float mean = RMS ? 0.0 : sum(i * length, 0.0, false);
        statistics[i] = vec2(mean, 1.0 / sqrt(sum(i * length, mean, true) + epsilon));
        return;
    }
    if (i >= rows * length) return;
    uint row = i / length, c = row % row_mod * row_mul + i % length / at_div;
    vec2 s = statistics[row];
    float v = (x[i] - s.x) * s.y * scale[c];
    y[i] = BIAS ? v + bias[c] : v;
}
