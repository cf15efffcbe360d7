#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// Packed image with a plain colour in some cells of a grid (Hide-and-Seek). A cell is hidden when the hash of its place
// and the seed falls below the share: the same seed hides the same cells on every device.
layout(set = 0, binding = 0) readonly buffer Source { uint source[]; };
layout(set = 0, binding = 1) readonly buffer Mask { float mask[]; };  // not read
layout(set = 0, binding = 2) writeonly buffer Target { uint target[]; };
layout(push_constant) uniform Push {
    uint width, height, mask_width, mask_height;
    vec4 amount;  // the share in 1/65536, a cell's side in pixels
    uint seed, fill;
} p;

// PCG hash (Jarzynski and Olano, "Hash Functions for GPU Rendering", JCGT 2020).
uint hash(uint v) {
    uint state = v * 747796405u + 2891336453u;
    uint word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (word >> 22u) ^ word;
}

void main() {
    uint i = element_index();
    if (i >= p.width * p.height) return;
    uvec2 cell = uvec2(i % p.width, i / p.width) / uint(p.amount.y);
    uint drawn = hash(cell.x + hash(cell.y + hash(p.seed))) & 65535u;
    target[i] = drawn < uint(p.amount.x) ? p.fill : source[i];
}
