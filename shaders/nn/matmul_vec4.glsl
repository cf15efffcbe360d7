// Products whose matrices can be read as vectors of four words: A along k, B along n or (TRANSPOSED) along k. A quarter of
// the loads of matmul.comp. See matmul.glsl.
#include "nn/matmul.glsl"
layout(constant_id = 4) const bool TRANSPOSED = false;
// With HALVES B holds 16-bit floats.
#include "nn/halves.glsl"
#ifdef TEXEL  // see input.glsl
layout(binding = 0) uniform samplerBuffer a;
#define A(word) texelFetch(a, int((word) / 4u))
#ifdef HALVES
layout(binding = 1) uniform usamplerBuffer b;
#define B(word) from_halves(texelFetch(b, int((word) / 4u)).xy)
#else
layout(binding = 1) uniform samplerBuffer b;
#define B(word) texelFetch(b, int((word) / 4u))
#endif
#else
layout(binding = 0) readonly buffer First {
    vec4 a[];
};
#ifdef HALVES
layout(binding = 1) readonly buffer Second {
    uvec2 b[];
};
#define B(word) from_halves(b[(word) / 4u])
#else
layout(binding = 1) readonly buffer Second {
    vec4 b[];
};
#define B(word) b[(word) / 4u]
#endif
#define A(word) a[(word) / 4u]
#endif

void main() {
    uint row, col, batch, ia, ib;
    if (!find_tile(row, col, batch, ia, ib)) return;
    uvec4 ra = ia + min(row + uvec4(0u, 1u, 2u, 3u), uvec4(m - 1u)) * a_row;
    uvec4 cb = TRANSPOSED ? ib + min(col + uvec4(0u, 1u, 2u, 3u), uvec4(n - 1u)) * b_col
                          : ib + col + uvec4(0u, 1u, 2u, 3u) * b_row;
    uint step = TRANSPOSED ? 4u : 4u * b_row;
    vec4 c0 = vec4(0.0), c1 = vec4(0.0), c2 = vec4(0.0), c3 = vec4(0.0);
    for (uint i = 0u; i < k; i += 4u) {
        mat4 t = mat4(B(cb.x), B(cb.y), B(cb.z), B(cb.w));
        if (TRANSPOSED) t = transpose(t);
        vec4 v = A(ra.x + i);
        c0 = fma(v.xxxx, t[0], fma(v.yyyy, t[1], fma(v.zzzz, t[2], fma(v.wwww, t[3], c0))));
        if (ROWS > 1u) {
            v = A(ra.y + i);
            c1 = fma(v.xxxx, t[0], fma(v.yyyy, t[1], fma(v.zzzz, t[2], fma(v.wwww, t[3], c1))));
            v = A(ra.z + i);
            c2 = fma(v.xxxx, t[0], fma(v.yyyy, t[1], fma(v.zzzz, t[2], fma(v.wwww, t[3], c2))));
            v = A(ra.w + i);
            c3 = fma(v.xxxx, t[0], fma(v.yyyy, t[1], fma(v.zzzz, t[2], fma(v.wwww, t[3], c3))));
        }
        cb += step;
    }
    store_tile(batch, row, col, c0, c1, c2, c3);
}
