// Activations and weights of the convolutions, and what is added to their sums.
#include "nn/conv_reads.glsl"
layout(binding = 2, std430) readonly buffer Bias {
    vec4 bias[];
};
layout(binding = 3, std430) readonly buffer Residual {
    vec4 residual_values[];
};
layout(binding = 4, std430) writeonly buffer Target {
    vec4 target[];
};
