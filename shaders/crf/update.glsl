// The rest of an iteration: softmax(messages - energies), and what the next iteration reads; the last one writes planes.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"
#include "crf/blocks.glsl"

layout(constant_id = 5) const bool LAST = false;
VEC4_INPUT(0, Energies, energies);      // [GROUPS][pixels]
VEC4_INPUT(1, Bases, bases);            // see crf/first
VEC4_INPUT(2, Messages, messages);      // of points: [GROUPS][point_capacity]
VEC4_INPUT(3, Smooth, smoothed);        // of blocks: [GROUPS][blocks]
layout(std430, binding = 4) readonly buffer Table {
    float table[];
};
layout(std430, binding = 5) writeonly buffer Marginals {
    vec4 marginals[];
};
layout(std430, binding = 6) writeonly buffer Sums {
    vec4 sums[];
};
layout(std430, binding = 7) writeonly buffer Result {
    float result[];  // [labels][pixels]
};
layout(push_constant) uniform Push {
    uint width, height, columns, rows, labels, point_capacity;
};

#include "crf/smooth.glsl"

void main() {
    uint index = linear_index();
    if (index >= columns * rows) return;
    Block block = block_at(index, columns, width, height);
    uint pixels = width * height;
    vec4 logits[LOGITS], message[PIXELS], base[PIXELS];
    float last[PIXELS];
    for (uint p = 0u; p < PIXELS; p++) {
        base[p] = FETCH(bases, block.pixel[p]);
        last[p] = base[p].y - base[p].z;
    }
    for (uint g = 0u; g < GROUPS; g++) {
        for (uint p = 0u; p < PIXELS; p++) message[p] = vec4(0);
        if (GAUSSIAN) smooth_messages(block, g, message);
        for (uint p = 0u; p < PIXELS; p++) {
            if (BILATERAL) message[p] += FETCH(messages, g * point_capacity + uint(base[p].x));
            logits[p * GROUPS + g] = message[p] - FETCH(energies, g * pixels + block.pixel[p]);
            last[p] -= message[p].x + message[p].y + message[p].z + message[p].w;
        }
    }
    softmax(logits, last);
    if (LAST) {
        for (uint p = 0u; p < PIXELS; p++) {
            if (!block.inside[p]) continue;
            for (uint l = 0u; l + 1u < labels; l++) {
                result[l * pixels + block.pixel[p]] = logits[p * GROUPS + l / 4u][l % 4u];
            }
            result[(labels - 1u) * pixels + block.pixel[p]] = last[p];
        }
        return;
    }
    for (uint g = 0u; g < GROUPS; g++) {
        vec4 sum = vec4(0);
        for (uint p = 0u; p < PIXELS; p++) {
            if (BILATERAL && block.inside[p]) marginals[g * pixels + block.pixel[p]] = logits[p * GROUPS + g];
            sum += block.inside[p] ? logits[p * GROUPS + g] : vec4(0);
        }
        if (GAUSSIAN) sums[g * columns * rows + index] = table[block.x] * table[columns + block.y] * sum;
    }
}
