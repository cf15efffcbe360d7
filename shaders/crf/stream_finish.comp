#version 450
// Many labels or pixels, part 3: marginals of four labels from their logits; planes where it is the LAST iteration, with
// TAIL the plane of the last label.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"
#include "crf/blocks.glsl"

layout(constant_id = 6) const bool LAST = false;
layout(constant_id = 7) const bool TAIL = false;
layout(std430, binding = 0) buffer Marginals {
    vec4 marginals[];  // logits, then marginals
};
layout(std430, binding = 1) readonly buffer Running {
    vec4 running[];
};
layout(std430, binding = 2) readonly buffer Table {
    float table[];
};
layout(std430, binding = 3) writeonly buffer Sums {
    vec4 sums[];
};
layout(std430, binding = 4) writeonly buffer Result {
    float result[];
};
layout(push_constant) uniform Push {
    uint width, height, columns, rows;
    uint start, labels;  // first element of the labels in result, how many there are
};

void main() {
    uint index = linear_index();
    if (index >= columns * rows) return;
    Block block = block_at(index, 0u, columns, width, height);
    vec4 sum = vec4(0);
    for (uint p = 0u; p < PIXELS; p++) {
        if (!block.inside[p]) continue;
        uint pixel = block.pixel[p];
        vec4 now = running[pixel];
        if (TAIL) {
            result[start + pixel] = exp(now.w - now.x) / now.y;
            continue;
        }
        vec4 value = exp(marginals[pixel] - now.x) / now.y;
        sum += value;
        if (!LAST) {
            marginals[pixel] = value;
            continue;
        }
        for (uint c = 0u; c < labels; c++) result[start + c * width * height + pixel] = value[c];
    }
    if (GAUSSIAN && !LAST) sums[index] = table[block.x] * table[columns + block.y] * sum;
}
