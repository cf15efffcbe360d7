// Activations and weights of the convolutions, and what is added to their sums. Set CONV_TEXEL to read the first two through
// texel buffers (one gather of 16 bytes a lane; on CPU devices a load through a storage buffer becomes a loop over the
// lanes).
#ifdef CONV_TEXEL
layout(binding = 0) uniform samplerBuffer source_texels;
layout(binding = 1) uniform samplerBuffer weight_texels;
#define SOURCE(i) texelFetch(source_texels, i)
#define WEIGHT(i) texelFetch(weight_texels, i)
#else
layout(binding = 0, std430) readonly buffer Source {
    vec4 source[];
};
layout(binding = 1, std430) readonly buffer Weights {
    vec4 weights[];
};
#define SOURCE(i) source[i]
#define WEIGHT(i) weights[i]
#endif
layout(binding = 2, std430) readonly buffer Bias {
    vec4 bias[];
};
layout(binding = 3, std430) readonly buffer Residual {
    vec4 residual_values[];
};
layout(binding = 4, std430) writeonly buffer Target {
    vec4 target[];
};
