// The rest of an iteration: softmax(messages - energies), and what the next iteration reads; the last one writes planes.
// Arrays are those of a band of the image (see crf/blocks) where nothing else is said.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"
#include "crf/blocks.glsl"

layout(constant_id = 6) const bool LAST = false;
VEC4_INPUT(0, Energies, energies);      // [GROUPS][pixels]
VEC4_INPUT(1, Bases, bases);            // of the image, see crf/first
VEC4_INPUT(2, Messages, messages);      // of the image's points: [GROUPS][point_capacity]
VEC4_INPUT(3, Smooth, smoothed);        // [GROUPS][blocks], with the rows before and behind
layout(std430, binding = 4) readonly buffer Table {
    float table[];
};
layout(std430, binding = 5) writeonly buffer Marginals {
    uvec4 marginals[];  // see crf/keep
};
layout(std430, binding = 6) writeonly buffer Sums {
    vec4 sums[];
};
layout(std430, binding = 7) writeonly buffer Result {
    float result[];  // [labels][pixels]
};
layout(push_constant) uniform Push {
    uint width, height, columns, rows, first_row, band_rows, pixels, labels, point_capacity;
    uint smooth_row, smooth_rows;  // the blocks' rows in smoothed
};

#include "crf/smooth.glsl"
#include "crf/keep.glsl"

void main() {
    uint index = linear_index();
    if (index >= columns * band_rows) return;
    Block block = block_at(index, first_row, columns, width, height);
    vec4 logits[LOGITS], message[PIXELS], base[PIXELS];
    float last[PIXELS];
    [[unroll]] for (uint p = 0u; p < PIXELS; p++) {
        base[p] = FETCH(bases, first_row * BLOCK * width + block.pixel[p]);
        last[p] = base[p].y - base[p].z;
    }
    [[unroll]] for (uint g = 0u; g < GROUPS; g++) {
        [[unroll]] for (uint p = 0u; p < PIXELS; p++) message[p] = vec4(0);
        if (GAUSSIAN) smooth_messages(block, g * columns * smooth_rows, smooth_row, message);
        [[unroll]] for (uint p = 0u; p < PIXELS; p++) {
            if (BILATERAL) message[p] += FETCH(messages, g * point_capacity + uint(base[p].x));
            message[p] = labelled(message[p], 0.0);
            vec4 energy = CHANNELS > 1u ? FETCH(energies, g * pixels + block.pixel[p]) : base[p].wwww;
            logits[p * GROUPS + g] = labelled(message[p] - energy, -1e30);
            last[p] -= message[p].x + message[p].y + message[p].z + message[p].w;
        }
    }
    softmax(logits, last);
    if (LAST) {
        [[dont_unroll]] for (uint p = 0u; p < PIXELS; p++) {
            if (!is_inside(block, p)) continue;
            uint pixel = pixel_of(block, p);
            [[unroll]] for (uint g = 0u; g < GROUPS; g++) {
                vec4 value = of_pixel(logits, p, g);
                [[unroll]] for (uint c = 0u; c < CHANNELS; c++) {
                    uint label = g * 4u + c;
                    if (label + 1u < labels) result[label * pixels + pixel] = value[c];
                }
            }
            result[(labels - 1u) * pixels + pixel] = of_pixel(last, p);
        }
    } else {
        keep_marginals(block, index, logits);
    }
}
