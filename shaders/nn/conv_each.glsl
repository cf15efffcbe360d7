// The register tile of the convolution shaders: CONV_PIXELS pixels times two blocks of four channels, in macros, because
// arrays with a loop variable as index would live in memory.
#if CONV_PIXELS == 8
#define EACH(M, a, s, i)      \
    M(0, a, s, i)             \
    M(1, a, s, i)             \
    M(2, a, s, i)             \
    M(3, a, s, i)             \
    M(4, a, s, i)             \
    M(5, a, s, i)             \
    M(6, a, s, i)             \
    M(7, a, s, i)
#else
#define EACH(M, a, s, i)      \
    M(0, a, s, i)             \
    M(1, a, s, i)             \
    M(2, a, s, i)             \
    M(3, a, s, i)
#endif
// Adds input block x0.. times the eight weight vectors from w on. One output channel after the other: its sums stay in
// registers while the four input channels are added.
#define MULTIPLY(p, a, s, i) a##p.s = fma(k.i, x##p.i, a##p.s);
// Output channels of the tile that are used: products of the others are left out (a network's map of one channel).
// SwiftShader does not fold branches on specialization constants: its variants say so at build time (CONV_USED).
#ifdef CONV_USED
const uint USED = CONV_USED;
#else
layout(constant_id = CONV_USED_ID) const uint USED = 8u;
#endif
#ifdef CONV_SUBGROUP
// Four lanes load a weight vector each and hand it round: a quarter of the loads.
#define LOAD_WEIGHTS                                          \
    vec4 k0 = WEIGHT(w + int(gl_SubgroupInvocationID));       \
    vec4 k1 = vec4(0.0);                                      \
    if (USED > 4u) k1 = WEIGHT(w + 4 + int(gl_SubgroupInvocationID));
#define WEIGHT_OF(half, o) subgroupBroadcast(k##half, uint(o))
#else
#define LOAD_WEIGHTS
#define WEIGHT_OF(half, o) WEIGHT(w + half * 4 + o)
#endif
#define CHANNEL(a, s, half, o)       \
    {                                \
        vec4 k = WEIGHT_OF(half, o); \
        EACH(MULTIPLY, a, s, x)      \
        EACH(MULTIPLY, a, s, y)      \
        EACH(MULTIPLY, a, s, z)      \
        EACH(MULTIPLY, a, s, w)      \
    }
#define CONV_CHANNELS                      \
    LOAD_WEIGHTS                           \
    CHANNEL(low, x, 0, 0)                  \
    if (USED > 1u) CHANNEL(low, y, 0, 1)   \
    if (USED > 2u) CHANNEL(low, z, 0, 2)   \
    if (USED > 2u) CHANNEL(low, w, 0, 3)   \
    if (USED > 4u) CHANNEL(high, x, 1, 0)  \
    if (USED > 4u) CHANNEL(high, y, 1, 1)  \
    if (USED > 4u) CHANNEL(high, z, 1, 2)  \
    if (USED > 4u) CHANNEL(high, w, 1, 3)
