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
#define CHANNEL(a, s, o)         \
    {                            \
        vec4 k = WEIGHT(w + o);  \
        EACH(MULTIPLY, a, s, x)  \
        EACH(MULTIPLY, a, s, y)  \
        EACH(MULTIPLY, a, s, z)  \
        EACH(MULTIPLY, a, s, w)  \
    }
#define CONV_CHANNELS            \
    CHANNEL(low, x, 0)           \
    CHANNEL(low, y, 1)           \
    CHANNEL(low, z, 2)           \
    CHANNEL(low, w, 3)           \
    CHANNEL(high, x, 4)          \
    CHANNEL(high, y, 5)          \
    CHANNEL(high, z, 6)          \
    CHANNEL(high, w, 7)
