// Products of matrices that lie along their rows (A by k, B by n), from any word on: texels hold four words, and what
// starts between them is put together from two. One thread computes 8 x 8 elements, since a fetch costs drivers on the
// CPU as much as many products. See matmul.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#define COLUMNS 8u
#include "nn/matmul.glsl"
layout(constant_id = 4) const bool A_WHOLE = false;  // rows of A start at multiples of four words
layout(constant_id = 5) const bool B_WHOLE = false;
layout(constant_id = 6) const bool REST = true;  // k is no multiple of four
layout(binding = 0) uniform samplerBuffer a;
layout(binding = 1) uniform samplerBuffer b;

// Four words from word `shift` of the first texel on.
vec4 join(vec4 first, vec4 second, uint shift) {
    bool two = (shift & 2u) != 0u, one = (shift & 1u) != 0u;
    vec4 v = mix(first, vec4(first.zw, second.xy), bvec4(two));
    return mix(v, vec4(v.yzw, two ? second.z : second.x), bvec4(one));
}

#define EACH_ROW(M) M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7)
#define DECLARE(r)                                         \
    vec4 low##r = vec4(0.0), high##r = vec4(0.0);          \
    uint at##r = ia + min(row + uint(r), m - 1u) * a_row;  \
    vec4 texel##r = A_WHOLE ? vec4(0.0) : texelFetch(a, int(at##r / 4u));
#define LOAD_B(r)                                                              \
    vec4 low_b##r, high_b##r;                                                  \
    {                                                                          \
        uint from = ib + min(i + uint(r), k - 1u) * b_row + col;               \
        int t = int(from / 4u);                                                \
        low_b##r = texelFetch(b, t);                                           \
        high_b##r = texelFetch(b, min(t + 1, last_b));                         \
        if (!B_WHOLE) {                                                        \
            vec4 third = texelFetch(b, min(t + 2, last_b));                    \
            low_b##r = join(low_b##r, high_b##r, from & 3u);                   \
            high_b##r = join(high_b##r, third, from & 3u);                     \
        }                                                                      \
        if (REST && i + uint(r) >= k) low_b##r = high_b##r = vec4(0.0);        \
    }
#define MULTIPLY(r)                                                                                                  \
    {                                                                                                                \
        vec4 x;                                                                                                      \
        if (A_WHOLE) {                                                                                               \
            x = texelFetch(a, int(at##r / 4u));                                                                      \
        } else {                                                                                                     \
            vec4 next = texelFetch(a, min(int(at##r / 4u) + 1, last_a));                                             \
            x = join(texel##r, next, at##r & 3u);                                                                    \
            texel##r = next;                                                                                         \
        }                                                                                                            \
        if (REST) x = mix(vec4(0.0), x, lessThan(i + uvec4(0u, 1u, 2u, 3u), uvec4(k)));                              \
        at##r += 4u;                                                                                                 \
        low##r = fma(x.wwww, low_b3, fma(x.zzzz, low_b2, fma(x.yyyy, low_b1, fma(x.xxxx, low_b0, low##r))));         \
        high##r = fma(x.wwww, high_b3, fma(x.zzzz, high_b2, fma(x.yyyy, high_b1, fma(x.xxxx, high_b0, high##r))));   \
    }
#define STORE(r)                                                    \
    store(batch * m * n, row + uint(r), col, low##r);               \
    if (col + 4u < n) store(batch * m * n, row + uint(r), col + 4u, high##r);

void main() {
    uint row, col, batch, ia, ib;
    if (!find_tile(row, col, batch, ia, ib)) return;
    int last_a = textureSize(a) - 1, last_b = textureSize(b) - 1;
    EACH_ROW(DECLARE)
    for (uint i = 0u; i < k; i += 4u) {
        LOAD_B(0)
        LOAD_B(1)
        LOAD_B(2)
        LOAD_B(3)
        EACH_ROW(MULTIPLY)
    }
    EACH_ROW(STORE)
}
