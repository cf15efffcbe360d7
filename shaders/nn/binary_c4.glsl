// Output in C4; operands broadcast. An operand is C4 (strides in vec4s) or linear (strides in words); a stride of 0
// broadcasts. KIND: 0 C4, 1 C4 with one channel, 2 linear with channels, 3 linear with one channel.
#include "nn/common.glsl"
#define COMMON
#include "nn/binary_ops.glsl"
layout(constant_id = 5) const uint A_KIND = 0u;
layout(constant_id = 6) const uint B_KIND = 0u;
layout(push_constant) uniform Push {
    uint count;  // vec4s
    uint channels, height, width;
    uvec4 a_stride, b_stride;  // N, channel (C4: block), H, W
    float act_a, act_b;
};
#include "nn/binary_inputs.glsl"
layout(binding = 2) readonly buffer AWords {
    uint aw[];
};
layout(binding = 3) readonly buffer BWords {
    uint bw[];
};
layout(binding = 4) writeonly buffer Out {
    uvec4 y[];
};

uvec4 load_a(uvec4 at) {
    uvec4 s = at * a_stride;
    if (A_KIND < 2u) {
        uvec4 v = A(s.x + s.y + s.z + s.w);
        return A_KIND == 0u ? v : v.xxxx;
    }
    uint base = s.x + s.z + s.w;
    if (A_KIND == 3u) return uvec4(aw[base]);
    uvec4 c = min(at.y * 4u + uvec4(0u, 1u, 2u, 3u), uvec4(channels - 1u)) * a_stride.y + base;
    return uvec4(aw[c.x], aw[c.y], aw[c.z], aw[c.w]);
}
uvec4 load_b(uvec4 at) {
    uvec4 s = at * b_stride;
    if (B_KIND < 2u) {
        uvec4 v = B(s.x + s.y + s.z + s.w);
        return B_KIND == 0u ? v : v.xxxx;
    }
    uint base = s.x + s.z + s.w;
    if (B_KIND == 3u) return uvec4(bw[base]);
    uvec4 c = min(at.y * 4u + uvec4(0u, 1u, 2u, 3u), uvec4(channels - 1u)) * b_stride.y + base;
    return uvec4(bw[c.x], bw[c.y], bw[c.z], bw[c.w]);
}

void main() {
    uint blocks = (channels + 3u) / 4u, plane = height * width;
    for (uint k = 0u; k < ITEMS; k++) {
        uint i = item_index(k, ITEMS);
        if (i >= count) return;
        uint row = i / width, image = row / height;
        uvec4 at = uvec4(image / blocks, image % blocks, row % height, i % width);
        uvec4 r = binary(load_a(at), load_b(at), act_a, act_b);
        if ((channels & 3u) != 0u) r = c4_mask(r, i, plane, blocks, channels & 3u);
        y[i] = r;
    }
}
