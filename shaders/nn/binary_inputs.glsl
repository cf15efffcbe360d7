// The two operands of an element-wise operator as vectors of four words.
#ifdef TEXEL  // see input.glsl
layout(binding = 0) uniform usamplerBuffer a;
layout(binding = 1) uniform usamplerBuffer b;
#define A(i) texelFetch(a, int(i))
#define B(i) texelFetch(b, int(i))
#else
layout(binding = 0) readonly buffer First {
    uvec4 a[];
};
layout(binding = 1) readonly buffer Second {
    uvec4 b[];
};
#define A(i) a[i]
#define B(i) b[i]
#endif
