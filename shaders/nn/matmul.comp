// Products of matrices of any size and stride; see matmul.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/matmul.glsl"
layout(binding = 0) readonly buffer A {
    float a[];
};
layout(binding = 1) readonly buffer B {
    float b[];
};

void main() {
    uint row, col, batch, ia, ib;
    if (!find_tile(row, col, batch, ia, ib)) return;
    // Rows and columns beyond the edge read the last one; they are not stored.
    uvec4 ra = ia + min(row + uvec4(0u, 1u, 2u, 3u), uvec4(m - 1u)) * a_row;
    uvec4 cb = ib + min(col + uvec4(0u, 1u, 2u, 3u), uvec4(n - 1u)) * b_col;
    vec4 c0 = vec4(0.0), c1 = vec4(0.0), c2 = vec4(0.0), c3 = vec4(0.0);
    for (uint i = 0u; i < k; i++) {
        vec4 vb = vec4(b[cb.x], b[cb.y], b[cb.z], b[cb.w]);
        c0 = fma(vec4(a[ra.x]), vb, c0);
        if (ROWS > 1u) {
            c1 = fma(vec4(a[ra.y]), vb, c1);
            c2 = fma(vec4(a[ra.z]), vb, c2);
            c3 = fma(vec4(a[ra.w]), vb, c3);
        }
        ra += a_col;
        cb += b_row;
    }
    store_tile(batch, row, col, c0, c1, c2, c3);
}
