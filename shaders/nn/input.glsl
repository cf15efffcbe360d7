// The input of a shader that reads elements of type T: X(i). With TEXEL defined, vectors are read through a texel
// buffer, which drivers on the CPU turn into a plain gather, where a storage buffer costs them a loop over the lanes.
#ifdef TEXEL
layout(binding = 0) uniform samplerBuffer x;
#define X(i) texelFetch(x, int(i))
#else
layout(binding = 0) readonly buffer In {
    T x[];
};
#define X(i) x[i]
#endif
