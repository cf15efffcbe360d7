#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// Class activation map (Zhou et al. 2016) with class competition:
//   map = relu(w_c . h - rivalry * max(0, max over rivals o of w_o . h))
// h: features before the pooling, one invocation a position. rows[0] is the tag's class, rows[1..rivals] the rivals.
layout(constant_id = 0) const uint C4 = 0;  // 1: features as [C/4][H][W] vec4, 0: as [C][H][W]
layout(set = 0, binding = 0) readonly buffer Features { float features[]; };
layout(set = 0, binding = 1) readonly buffer Weights { float weights[]; };  // [classes][channels]
layout(set = 0, binding = 2) readonly buffer Rows { uint rows[]; };
layout(set = 0, binding = 3) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push {
    uint positions, channels, rivals;
    float rivalry;
    uint first_row;
} p;

float score(uint row, uint i) {
    float sum = 0.0;
    uint weight = rows[p.first_row + row] * p.channels;
    for (uint k = 0; k < p.channels; k++) {
        uint address = C4 != 0 ? ((k / 4u) * p.positions + i) * 4u + (k % 4u) : k * p.positions + i;
        sum = fma(weights[weight + k], features[address], sum);
    }
    return sum;
}

void main() {
    uint i = element_index();
    if (i >= p.positions) return;
    float rival = 0.0;
    for (uint o = 1; o <= p.rivals; o++) rival = max(rival, score(o, i));
    float map = score(0u, i) - p.rivalry * rival;
    target[i] = map < 0.0 ? 0.0 : map;  // a NaN stays one, and is reported
}
