#version 450
// softmax(messages - unary) over the labels of each pixel; without messages, the first estimate softmax(-unary).
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"
layout(constant_id = 1) const bool MESSAGES = true;
layout(std430, binding = 0) readonly buffer Unary {
    float unary[];  // [labels][count]
};
layout(std430, binding = 1) readonly buffer Messages {
    float messages[];
};
layout(std430, binding = 2) writeonly buffer Marginals {
    float marginals[];
};
layout(push_constant) uniform Push {
    uint count, labels;
};

float logit(uint at) {
    return (MESSAGES ? messages[at] : 0.0) - unary[at];
}

void main() {
    uint i = linear_index();
    if (i >= count) return;
    float highest = logit(i), sum = 0.0;
    for (uint l = 1u; l < labels; l++) highest = max(highest, logit(l * count + i));
    for (uint l = 0u; l < labels; l++) sum += exp(logit(l * count + i) - highest);
    for (uint l = 0u; l < labels; l++) marginals[l * count + i] = exp(logit(l * count + i) - highest) / sum;
}
