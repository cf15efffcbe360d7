// Resize along one axis by a table made on the host: y[o][j][i] = sum over t of weight[j][t] * x[o][index[j][t]][i].
// Every mode of ONNX Resize is separable, so passes over the axes give cubic, antialiased and cropped resizing in any
// number of dimensions. An index of -1 stands for the extrapolation value.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/common.glsl"
layout(push_constant) uniform Push {
    uint count, in_axis, out_axis, inner, taps;
    float outside;
};
layout(binding = 0) readonly buffer In {
    float x[];
};
layout(binding = 1) readonly buffer Table {
    uvec2 table[];  // index, weight's bits
};
layout(binding = 2) writeonly buffer Out {
    float y[];
};

void main() {
    uint i = thread_index();
    if (i >= count) return;
    uint row = i / inner, o = row / out_axis, j = row % out_axis;
    float sum = 0.0;
    for (uint t = 0u; t < taps; t++) {
        uvec2 e = table[j * taps + t];
        float w = uintBitsToFloat(e.y);
        if (w == 0.0) continue;
        sum += w * (int(e.x) < 0 ? outside : x[(o * in_axis + e.x) * inner + i % inner]);
    }
    y[i] = sum;
}
