// What the shaders of products share: C = act(alpha * A B + beta * D). Matrices are read by strides, so that transposed
// operands, batches and broadcasting need no copies. One thread computes ROWS x COLUMNS elements.
#include "nn/common.glsl"
#include "nn/act.glsl"
layout(constant_id = 1) const uint ROWS = 1u;
#ifndef COLUMNS
#define COLUMNS 4u
#endif
layout(constant_id = 2) const uint ACT = 0u;
layout(constant_id = 3) const bool BIAS = false;
layout(push_constant) uniform Push {
    uint m, n, k, batches;
    uint a_row, a_col, b_row, b_col, d_row, d_col;
    float alpha, beta, act_a, act_b;
    uint batch_dim[6];
    uint a_batch[6], b_batch[6];
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
// The tile of a thread: its first row and column, and where its batch starts. false: no tile is left.
bool find_tile(out uint row, out uint col, out uint batch, out uint ia, out uint ib) {
    uint index = thread_index(), cols = (n + COLUMNS - 1u) / COLUMNS, rows = (m + ROWS - 1u) / ROWS;
    col = index % cols * COLUMNS;
    row = index / cols % rows * ROWS;
    batch = index / cols / rows;
    ia = ib = 0u;
    if (batch >= batches) return false;
    uint rest = batch;
    for (int i = 5; i >= 0; i--) {
        uint q = rest / batch_dim[i], at = rest - q * batch_dim[i];
        ia += at * a_batch[i];
        ib += at * b_batch[i];
        rest = q;
    }
    return true;
}
void store_tile(uint batch, uint row, uint col, vec4 c0, vec4 c1, vec4 c2, vec4 c3) {
    for (uint r = 0u; r < ROWS; r++)
        store(batch * m * n, row + r, col, r == 0u ? c0 : r == 1u ? c1 : r == 2u ? c2 : c3);
}
