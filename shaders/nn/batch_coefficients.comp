// BatchNormalization as y = x * a + b: coefficients by channel, zero for the channels that pad C4.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/common.glsl"
layout(push_constant) uniform Push {
    uint channels, padded;
    float epsilon;
};
layout(binding = 0) readonly buffer Scale {
    float scale[];
};
layout(binding = 1) readonly buffer Bias {
    float bias[];
};
layout(binding = 2) readonly buffer Mean {
    float mean[];
};
layout(binding = 3) readonly buffer Variance {
    float variance[];
};
layout(binding = 4) writeonly buffer Out {
    vec2 y[];
};

void main() {
    uint c = thread_index();
    if (c >= padded) return;
    if (c >= channels) {
        y[c] = vec2(0.0);
        return;
    }
    float a = scale[c] / sqrt(variance[c] + epsilon);
    y[c] = vec2(a, bias[c] - mean[c] * a);
}
