// The gradient of the input of instance, group and layer normalization (Ba, Kiros and Hinton, "Layer Normalization", 2016):
// with n = (x - mean) / deviation and g' = g * scale, each element is (g' - mean(g') - n * mean(g' n)) / deviation. PASS 0:
// one thread a row finds mean, inverse deviation and the two means. PASS 1: one thread an element. Indices as in norm.comp.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/common.glsl"
#include "nn/unroll.glsl"
layout(constant_id = 1) const uint PASS = 0u;
layout(constant_id = 2) const bool RMS = false;  // no mean is subtracted
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
layout(binding = 2) readonly buffer Gradient {
    float g[];
};
layout(binding = 3) buffer Statistics {
    vec4 statistics[];
};
layout(binding = 4) writeonly buffer Out {
    float y[];
};

float scaled(uint row, uint at) {
    return g[row * length + at] * scale[row % row_mod * row_mul + at / at_div];
}
// WHAT 0: x - mean, 1: its square, 2: g', 3: g' n.
float term(uint row, uint at, uint what, float mean, float inverse) {
    float v = x[row * length + at] - mean;
    if (what < 2u) return what == 0u ? v : v * v;
    return what == 2u ? scaled(row, at) : scaled(row, at) * v * inverse;
}
#define ADD(i) part += term(row, b + i, what, mean, inverse);
float average(uint row, uint what, float mean, float inverse) {
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
        float mean = RMS ? 0.0 : average(i, 0u, 0.0, 0.0);
        float inverse = 1.0 / sqrt(average(i, 1u, mean, 0.0) + epsilon);
        float shift = RMS ? 0.0 : average(i, 2u, mean, inverse);
        statistics[i] = vec4(mean, inverse, shift, average(i, 3u, mean, inverse));
        return;
    }
    if (i >= rows * length) return;
    uint row = i / length;
    vec4 s = statistics[row];
    y[i] = (scaled(row, i - row * length) - s.z - (x[i] - s.x) * s.y * s.w) * s.y;
}
