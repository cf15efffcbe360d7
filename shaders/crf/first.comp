#version 450
// Packs the energies in groups of four labels and makes the first estimate, softmax(-energy).
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"
#include "crf/blocks.glsl"

layout(std430, binding = 0) readonly buffer Unary {
    float unary[];  // [labels][pixels]
};
layout(std430, binding = 1) readonly buffer PixelPoints {
    uint pixel_point[];
};
layout(std430, binding = 2) readonly buffer PointNorms {
    vec2 point_norms[];
};
layout(std430, binding = 3) readonly buffer Table {
    float table[];  // norms of columns, of rows; what messages add up to by column, by row
};
layout(std430, binding = 4) writeonly buffer Energies {
    vec4 energies[];  // [GROUPS][pixels]
};
layout(std430, binding = 5) writeonly buffer Bases {
    vec4 bases[];  // per pixel: its point, sum of all labels' messages, energy of the last label
};
layout(std430, binding = 6) writeonly buffer Marginals {
    vec4 marginals[];
};
layout(std430, binding = 7) writeonly buffer Sums {
    vec4 sums[];  // [GROUPS][blocks]
};
layout(push_constant) uniform Push {
    uint width, height, columns, rows, labels;
    float gaussian, bilateral;  // compatibilities
};

#include "crf/totals.glsl"

void main() {
    uint index = linear_index();
    if (index >= columns * rows) return;
    Block block = block_at(index, columns, width, height);
    uint pixels = width * height;
    vec4 logits[LOGITS];
    float last[PIXELS];
    for (uint p = 0u; p < PIXELS; p++) {
        uint pixel = block.pixel[p];
        for (uint g = 0u; g < GROUPS; g++) {
            vec4 energy;
            for (uint c = 0u; c < 4u; c++) {
                uint label = g * 4u + c;
                energy[c] = label + 1u < labels ? min(unary[label * pixels + pixel], 1e30) : 1e30;
            }
            if (block.inside[p]) energies[g * pixels + pixel] = energy;
            logits[p * GROUPS + g] = -energy;
        }
        last[p] = -min(unary[(labels - 1u) * pixels + pixel], 1e30);
        uint point = BILATERAL ? pixel_point[pixel] : 0u;
        if (block.inside[p]) bases[pixel] = vec4(point, total_message(block, p, point), -last[p], 0);
    }
    softmax(logits, last);
    for (uint g = 0u; g < GROUPS; g++) {
        vec4 sum = vec4(0);
        for (uint p = 0u; p < PIXELS; p++) {
            if (BILATERAL && block.inside[p]) marginals[g * pixels + block.pixel[p]] = logits[p * GROUPS + g];
            sum += block.inside[p] ? logits[p * GROUPS + g] : vec4(0);
        }
        if (GAUSSIAN) sums[g * columns * rows + index] = table[block.x] * table[columns + block.y] * sum;
    }
}
