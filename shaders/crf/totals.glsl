// What the messages of all labels add up to, which the image alone decides. The including shader declares `table`,
// `point_norms` and the push constants.
float leaned(uint first, uint at, uint side, uint length) {
    float own = table[first + at];
    return BLOCK == 1u ? own : 0.75 * own + 0.25 * table[first + lean(at, side, length)];
}

float total_message(Block block, uint p, uint point) {
    float total = BILATERAL ? bilateral * point_norms[point].y : 0.0;
    if (!GAUSSIAN) return total;
    return total + gaussian * leaned(columns + rows, block.x, p % BLOCK, columns) *
                       leaned(columns + rows + columns, block.y, p / BLOCK, rows);
}
