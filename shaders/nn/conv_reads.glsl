// Activations and weights of convolutions. Set CONV_TEXEL to read them through texel buffers (one gather of 16 bytes a lane;
// on CPU devices a load through a storage buffer becomes a loop over the lanes).
// With HALVES the weights are 16-bit floats, which become 32-bit ones when they are loaded.
#include "nn/halves.glsl"
#ifdef CONV_TEXEL
layout(binding = 0) uniform samplerBuffer source_texels;
#define SOURCE(i) texelFetch(source_texels, i)
#ifdef HALVES
layout(binding = 1) uniform usamplerBuffer weight_texels;
#define WEIGHT(i) from_halves(texelFetch(weight_texels, i).xy)
#else
layout(binding = 1) uniform samplerBuffer weight_texels;
#define WEIGHT(i) texelFetch(weight_texels, i)
#endif
#else
layout(binding = 0, std430) readonly buffer Source {
    vec4 source[];
};
#define SOURCE(i) source[i]
#ifdef HALVES
layout(binding = 1, std430) readonly buffer Weights {
    uvec2 weights[];
};
#define WEIGHT(i) from_halves(weights[i])
#else
layout(binding = 1, std430) readonly buffer Weights {
    vec4 weights[];
};
#define WEIGHT(i) weights[i]
#endif
#endif
