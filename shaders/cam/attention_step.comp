#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// How much each token counts, through one attention block (map_blocks.c): with the mean A of the heads' probabilities, or
// with GRADIENTS of relu(gradient times probability),
//   target[j] = keep source[j] + take sum over i of source[i] A[i][j]
// An invocation a token j.
layout(constant_id = 0) const uint GRADIENTS = 0;
layout(set = 0, binding = 0) readonly buffer Probabilities { float probabilities[]; };  // [heads][tokens][tokens]
layout(set = 0, binding = 1) readonly buffer Gradients { float gradients[]; };
layout(set = 0, binding = 2) readonly buffer Source { float source[]; };
layout(set = 0, binding = 3) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push {
    uint tokens, first_head, heads;
    float keep, take;
} p;

void main() {
    uint j = element_index();
    if (j >= p.tokens) return;
    float sum = 0.0;
    for (uint i = 0; i < p.tokens; i++) {
        float mean = 0.0;
        for (uint h = 0; h < p.heads; h++) {
            uint at = ((p.first_head + h) * p.tokens + i) * p.tokens + j;
            float a = probabilities[at];
            if (GRADIENTS != 0) {
                a *= gradients[at];
                a = a < 0.0 ? 0.0 : a;
            }
            mean += a;
        }
        sum = fma(source[i], mean, sum);
    }
    target[j] = p.keep * source[j] + p.take * sum / float(p.heads);
}
