// As class_map.comp, for features as [C/4][H][W] vec4 of whole blocks: vectors of four channels are loaded at once.
#include "image/index.glsl"
#define T vec4
#include "nn/input.glsl"
#ifdef TEXEL
layout(binding = 1) uniform samplerBuffer weight_texels;
#define WEIGHT(i) texelFetch(weight_texels, int(i))
#else
layout(set = 0, binding = 1) readonly buffer Weights { vec4 weights[]; };  // [classes][channels / 4]
#define WEIGHT(i) weights[i]
#endif
layout(set = 0, binding = 2) readonly buffer Rows { uint rows[]; };
layout(set = 0, binding = 3) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push {
    uint positions, channels, rivals;
    float rivalry;
    uint first_row;
} p;

float score(uint row, uint i) {
    uint blocks = p.channels / 4u, weight = rows[p.first_row + row] * blocks;
    vec4 sum = vec4(0.0);
    for (uint k = 0; k < blocks; k++) sum = fma(WEIGHT(weight + k), X(k * p.positions + i), sum);
    return (sum.x + sum.y) + (sum.z + sum.w);
}

void main() {
    uint i = element_index();
    if (i >= p.positions) return;
    float rival = 0.0;
    for (uint o = 1; o <= p.rivals; o++) rival = max(rival, score(o, i));
    float map = score(0u, i) - p.rivalry * rival;
    target[i] = map < 0.0 ? 0.0 : map;  // a NaN stays one, and is reported
}
