#version 450
#extension GL_GOOGLE_include_directive : require
#include "fuse/unary.glsl"
// Energies for the dense CRF from confident seeds, as weakly supervised segmentation feeds it: a pixel's highest map above
// `high` makes it the tag's, none at or above `low` the background's, and between them it may be anything (pydensecrf's
// unary_from_labels: -log(gt_prob) for the label, -log((1 - gt_prob) / (labels - 1)) for others, all alike without one).
void main() {
    uint pixel = element_index();
    if (pixel >= p.count) return;
    float best = maps[pixel];
    uint label = 1;
    for (uint t = 1; t < p.tags; t++) {
        float value = maps[t * p.stride + pixel];
        if (value > best) {
            best = value;
            label = t + 1;
        }
    }
    bool known = best > p.high || best < p.low;
    if (best < p.low) label = 0;
    for (uint l = 0; l <= p.tags; l++)
        unary[l * p.count + pixel] = !known ? p.unknown : (l == label ? p.certain : p.doubt);
}
