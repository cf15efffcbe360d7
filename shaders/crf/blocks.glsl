// The Gaussian kernel works on blocks of BLOCK x BLOCK pixels (1 or 2): sums of the marginals go in, messages come back
// bilinearly. One invocation handles one block, and its labels in groups of four; the last label has no message of its
// own, because the messages of all labels add up to what the image alone decides (`total` below).
layout(constant_id = 1) const uint GROUPS = 1;
layout(constant_id = 2) const uint BLOCK = 2;
layout(constant_id = 3) const bool GAUSSIAN = true;
layout(constant_id = 4) const bool BILATERAL = true;
const uint PIXELS = BLOCK * BLOCK, LOGITS = PIXELS * GROUPS;

struct Block {
    uint x, y, pixel[4];
    bool inside[4];
};

Block block_at(uint index, uint columns, uint width, uint height) {
    Block block;
    block.x = index % columns;
    block.y = index / columns;
    for (uint p = 0u; p < PIXELS; p++) {
        uint x = block.x * BLOCK + p % BLOCK, y = block.y * BLOCK + p / BLOCK;
        block.inside[p] = x < width && y < height;
        block.pixel[p] = min(y, height - 1u) * width + min(x, width - 1u);
    }
    return block;
}

// Neighbour block towards which a pixel of the block leans, clamped to the grid.
uint lean(uint at, uint side, uint length) {
    return BLOCK == 1u ? at : side == 0u ? max(at, 1u) - 1u : min(at + 1u, length - 1u);
}

// logits[p * GROUPS + g] become marginals; last[p], the last label's logit, its marginal.
void softmax(inout vec4 logits[LOGITS], inout float last[PIXELS]) {
    for (uint p = 0u; p < PIXELS; p++) {
        vec4 highest = vec4(last[p]), sum = vec4(0);
        for (uint g = 0u; g < GROUPS; g++) highest = max(highest, logits[p * GROUPS + g]);
        float top = max(max(highest.x, highest.y), max(highest.z, highest.w));
        for (uint g = 0u; g < GROUPS; g++) {
            logits[p * GROUPS + g] = exp(logits[p * GROUPS + g] - top);
            sum += logits[p * GROUPS + g];
        }
        last[p] = exp(last[p] - top);
        float scale = 1.0 / (sum.x + sum.y + sum.z + sum.w + last[p]);
        for (uint g = 0u; g < GROUPS; g++) logits[p * GROUPS + g] *= scale;
        last[p] *= scale;
    }
}
