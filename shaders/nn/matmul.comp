// C = act(alpha * A B + beta * D): matrices by strides, so that transposed operands, batches and broadcasting need no
// copies. One thread computes ROWS x 4 elements.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/common.glsl"
#include "nn/act.glsl"
layout(constant_id = 1) const uint ROWS = 1u;  // 1 or 4
layout(constant_id = 2) const uint ACT = 0u;
layout(constant_id = 3) const bool BIAS = false;
layout(push_constant) uniform Push {
    uint m, n, k, batches;
    uint a_row, a_col, b_row, b_col, d_row, d_col;
    float alpha, beta, act_a, act_b;
    uint batch_dim[6];
    uint a_batch[6], b_batch[6];
};
layout(binding = 0) readonly buffer A {
    float a[];
};
layout(binding = 1) readonly buffer B {
    float b[];
};
layout(binding = 2) readonly buffer D {
    float d[];
};
layout(binding = 3) writeonly buffer C {
    float c[];
};

void store(uint base, uint row, uint col, vec4 v) {
    if (row >= m) return;
    v *= alpha;
    if (BIAS) {
        uvec4 at = row * d_row + min(col + uvec4(0u, 1u, 2u, 3u), uvec4(n - 1u)) * d_col;
        v += beta * vec4(d[at.x], d[at.y], d[at.z], d[at.w]);
    }
    v = activate(ACT, v, act_a, act_b);
    uint to = base + row * n + col;
    c[to] = v.x;
    if (col + 1u < n) c[to + 1u] = v.y;
    if (col + 2u < n) c[to + 2u] = v.z;
    if (col + 3u < n) c[to + 3u] = v.w;
}
void main() {
    uint index = thread_index(), cols = (n + 3u) / 4u, rows = (m + ROWS - 1u) / ROWS;
    uint col = index % cols * 4u, row = index / cols % rows * ROWS, batch = index / cols / rows;
    if (batch >= batches) return;
    uint ia = 0u, ib = 0u, rest = batch;
    for (int i = 5; i >= 0; i--) {
        uint q = rest / batch_dim[i], at = rest - q * batch_dim[i];
        ia += at * a_batch[i];
        ib += at * b_batch[i];
        rest = q;
    }
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
    uint base = batch * m * n;
    for (uint r = 0u; r < ROWS; r++) store(base, row + r, col, r == 0u ? c0 : r == 1u ? c1 : r == 2u ? c2 : c3);
}
