// The Gaussian kernel works on blocks of BLOCK x BLOCK pixels (1 or 2): sums of the marginals go in, messages come back
// bilinearly. One invocation handles one block, and its labels in groups of four; the last label has no message of its
// own, because the messages of all labels add up to what the image alone decides (`total` below).
#extension GL_EXT_control_flow_attributes : require
layout(constant_id = 1) const uint GROUPS = 1;
layout(constant_id = 2) const uint BLOCK = 2;
layout(constant_id = 3) const bool GAUSSIAN = true;
layout(constant_id = 4) const bool BILATERAL = true;
layout(constant_id = 5) const uint CHANNELS = 4;  // labels of a group: less than four only where it is the only one
const uint PIXELS = BLOCK * BLOCK, LOGITS = PIXELS * GROUPS;

struct Block {
    uint x, y, pixel[4];
    bool inside[4];
};

// The block `index` of a band of the image, which starts with the blocks' row `first`: pixels count from there.
Block block_at(uint index, uint first, uint columns, uint width, uint height) {
    Block block;
    block.x = index % columns;
    block.y = first + index / columns;
    [[unroll]] for (uint p = 0u; p < PIXELS; p++) {
        uint x = block.x * BLOCK + p % BLOCK, y = block.y * BLOCK + p / BLOCK;
        block.inside[p] = x < width && y < height;
        block.pixel[p] = (min(y, height - 1u) - first * BLOCK) * width + min(x, width - 1u);
    }
    return block;
}

// What belongs to pixel p. Loops that store are not unrolled, because every store is a loop of its own on lavapipe, which
// would take seconds to compile them all; an array that is indexed with p would end up in memory.
#ifdef TEXEL
vec4 of_pixel(vec4 values[LOGITS], uint p, uint g) {
    vec4 value = values[g];
    [[unroll]] for (uint q = 1u; q < PIXELS; q++) value = p == q ? values[q * GROUPS + g] : value;
    return value;
}

float of_pixel(float values[PIXELS], uint p) {
    float value = values[0];
    [[unroll]] for (uint q = 1u; q < PIXELS; q++) value = p == q ? values[q] : value;
    return value;
}

uint pixel_of(Block block, uint p) {
    uint pixel = block.pixel[0];
    [[unroll]] for (uint q = 1u; q < PIXELS; q++) pixel = p == q ? block.pixel[q] : pixel;
    return pixel;
}

bool is_inside(Block block, uint p) {
    bool inside = block.inside[0];
    [[unroll]] for (uint q = 1u; q < PIXELS; q++) inside = p == q ? block.inside[q] : inside;
    return inside;
}
#else
vec4 of_pixel(vec4 values[LOGITS], uint p, uint g) {
    return values[p * GROUPS + g];
}

float of_pixel(float values[PIXELS], uint p) {
    return values[p];
}

uint pixel_of(Block block, uint p) {
    return block.pixel[p];
}

bool is_inside(Block block, uint p) {
    return block.inside[p];
}
#endif

// Neighbour block towards which a pixel of the block leans, clamped to the grid.
uint lean(uint at, uint side, uint length) {
    return BLOCK == 1u ? at : side == 0u ? max(at, 1u) - 1u : min(at + 1u, length - 1u);
}

// The value where the group has such a label, else `other`.
vec4 labelled(vec4 value, float other) {
    return vec4(value.x, CHANNELS > 1u ? value.y : other, CHANNELS > 2u ? value.z : other,
                CHANNELS > 3u ? value.w : other);
}

vec4 powers(vec4 value) {
    return vec4(exp(value.x), CHANNELS > 1u ? exp(value.y) : 0.0, CHANNELS > 2u ? exp(value.z) : 0.0,
                CHANNELS > 3u ? exp(value.w) : 0.0);
}

// logits[p * GROUPS + g] become marginals; last[p], the last label's logit, its marginal.
void softmax(inout vec4 logits[LOGITS], inout float last[PIXELS]) {
    [[unroll]] for (uint p = 0u; p < PIXELS; p++) {
        vec4 highest = vec4(last[p]), sum = vec4(0);
        [[unroll]] for (uint g = 0u; g < GROUPS; g++) highest = max(highest, logits[p * GROUPS + g]);
        float top = max(max(highest.x, highest.y), max(highest.z, highest.w));
        [[unroll]] for (uint g = 0u; g < GROUPS; g++) {
            logits[p * GROUPS + g] = powers(logits[p * GROUPS + g] - top);
            sum += logits[p * GROUPS + g];
        }
        last[p] = exp(last[p] - top);
        float scale = 1.0 / (sum.x + sum.y + sum.z + sum.w + last[p]);
        [[unroll]] for (uint g = 0u; g < GROUPS; g++) logits[p * GROUPS + g] *= scale;
        last[p] *= scale;
    }
}
