// The gradient of Gather's data: an element sums what was taken of it, in the order of the indices.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/common.glsl"
#include "nn/unroll.glsl"
layout(push_constant) uniform Push {
    uint count, axis, indices, inner;
};
layout(binding = 0) readonly buffer Gradient {
    float g[];
};
layout(binding = 1) readonly buffer Indices {
    int chosen[];
};
layout(binding = 2) writeonly buffer Out {
    float y[];
};

#define ADD(k) \
    { \
        int c = chosen[k]; \
        if (uint(c < 0 ? c + int(axis) : c) == at) sum += g[(outer * indices + k) * inner + within]; \
    }

void main() {
    uint i = thread_index();
    if (i >= count) return;
    uint row = i / inner, outer = row / axis, at = row - outer * axis, within = i - row * inner;
    float sum = 0.0;
    EACH_OF(k, indices, ADD)
    y[i] = sum;
}
