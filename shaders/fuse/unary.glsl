// What every unary reads: fused maps at the CRF's size; element_index is a position in the energies.
#include "image/index.glsl"
layout(set = 0, binding = 0) readonly buffer Maps { float maps[]; };        // [tags] planes, `stride` floats apart
layout(set = 0, binding = 1) writeonly buffer Unary { float unary[]; };     // [tags + 1][count], the background first
layout(push_constant) uniform Push {
    uint count, stride, tags;
    float gain, centre;             // of logit
    float high, low;                // of seeds
    float certain, doubt, unknown;  // energies of seeds: the seed's label, the others, without a seed
} p;
