// Walks a long line eight elements a round, each by STEP(k) for k = 0 .. length - 1: CPU drivers pay for every round, and
// Mesa's ends a thread's loops after 65,536 of them. Spelled out, because no compiler on the way unrolls it.
#define UNROLL_STEP(k, length, STEP) \
    if ((k) < (length)) { \
        STEP(k) \
    }
#define EACH_OF(b, length, STEP) \
    for (uint b = 0u; b < (length); b += 8u) { \
        STEP(b) \
        UNROLL_STEP(b + 1u, length, STEP) \
        UNROLL_STEP(b + 2u, length, STEP) \
        UNROLL_STEP(b + 3u, length, STEP) \
        UNROLL_STEP(b + 4u, length, STEP) \
        UNROLL_STEP(b + 5u, length, STEP) \
        UNROLL_STEP(b + 6u, length, STEP) \
        UNROLL_STEP(b + 7u, length, STEP) \
    }
