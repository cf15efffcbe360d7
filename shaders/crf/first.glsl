// Packs the energies in groups of four labels and makes the first estimate, softmax(-energy). Arrays are those of a band
// of the image (see crf/blocks) where nothing else is said.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"
#include "crf/blocks.glsl"

layout(std430, binding = 0) readonly buffer Unary {
    float unary[];  // [labels][pixels]
};
layout(std430, binding = 1) readonly buffer PixelPoints {
    uint pixel_point[];  // of the image
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
    // Of the image, per pixel: its point, sum of all labels' messages, energy of the last label, energy of the first
    // one where it is the only other.
    vec4 bases[];
};
layout(std430, binding = 6) writeonly buffer Marginals {
    uvec4 marginals[];  // see crf/keep
};
layout(std430, binding = 7) writeonly buffer Sums {
    vec4 sums[];  // [GROUPS][blocks]
};
layout(push_constant) uniform Push {
    uint width, height, columns, rows, first_row, band_rows, pixels, labels;
    float gaussian, bilateral;  // compatibilities
};

#include "crf/totals.glsl"
#include "crf/keep.glsl"

void main() {
    uint index = linear_index();
    if (index >= columns * band_rows) return;
    Block block = block_at(index, first_row, columns, width, height);
    vec4 logits[LOGITS];
    float last[PIXELS];
    [[unroll]] for (uint p = 0u; p < PIXELS; p++) {
        [[unroll]] for (uint g = 0u; g < GROUPS; g++) {
            vec4 energy = vec4(1e30);
            [[unroll]] for (uint c = 0u; c < CHANNELS; c++) {
                uint label = g * 4u + c;
                if (label + 1u < labels) energy[c] = min(unary[label * pixels + block.pixel[p]], 1e30);
            }
            logits[p * GROUPS + g] = -energy;
        }
        last[p] = -min(unary[(labels - 1u) * pixels + block.pixel[p]], 1e30);
    }
    [[dont_unroll]] for (uint p = 0u; p < PIXELS; p++) {
        if (!is_inside(block, p)) continue;
        uint pixel = pixel_of(block, p);
        [[unroll]] for (uint g = 0u; g < GROUPS; g++) {
            vec4 energy = -of_pixel(logits, p, g);
            if (CHANNELS > 1u) STORE(energies[g * pixels + pixel], energy)
        }
        uint at = first_row * BLOCK * width + pixel, point = BILATERAL ? pixel_point[at] : 0u;
        bases[at] = vec4(point, total_message(block, p, point), -of_pixel(last, p), -of_pixel(logits, p, 0u).x);
    }
    softmax(logits, last);
    keep_marginals(block, index, logits);
}
