// Reading the blocks' messages `smoothed`, which the including shader declares.
// Messages of the blocks around, for the pixels of the block. A group starts at `base` with the blocks' row `first`.
void smooth_messages(Block block, uint base, uint first, out vec4 message[PIXELS]) {
    if (BLOCK == 1u) {
        message[0] = FETCH(smoothed, base + (block.y - first) * columns + block.x);
        return;
    }
    uint x[3] = {lean(block.x, 0u, columns), block.x, lean(block.x, 1u, columns)};
    uint y[3] = {lean(block.y, 0u, rows), block.y, lean(block.y, 1u, rows)};
    vec4 left[3], right[3];
    [[unroll]] for (uint k = 0u; k < 3u; k++) {
        uint row = base + (y[k] - first) * columns;
        vec4 middle = 0.75 * FETCH(smoothed, row + x[1]);
        left[k] = middle + 0.25 * FETCH(smoothed, row + x[0]);
        right[k] = middle + 0.25 * FETCH(smoothed, row + x[2]);
    }
    [[unroll]] for (uint p = 0u; p < PIXELS; p++) {
        uint k = p / BLOCK * 2u;
        message[p] = p % BLOCK == 0u ? 0.75 * left[1] + 0.25 * left[k] : 0.75 * right[1] + 0.25 * right[k];
    }
}

