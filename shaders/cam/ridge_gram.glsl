// Products of all pairs of columns over all positions, for a ridge regression of the map on the features. Columns are the
// channels of unit features, then the map and a constant 1 (the last group: map, 1, 0, 0); an invocation makes a block of
// 4 x 4 and its mirror image: products[a][b] = sum over positions of column a times column b.
#extension GL_EXT_control_flow_attributes : require
#include "image/index.glsl"
#define T vec4
#include "nn/input.glsl"
layout(set = 0, binding = 1) readonly buffer Map { float map[]; };
layout(set = 0, binding = 2) writeonly buffer Products { float products[]; };  // [4 * groups][4 * groups]
layout(push_constant) uniform Push {
    uint positions, groups;  // groups of 4 columns, the last one included
} p;

vec4 columns(uint group, uint i) {
    return group + 1 < p.groups ? X(group * p.positions + i) : vec4(map[i], 1.0, 0.0, 0.0);
}

void main() {
    uint block = element_index();
    if (block >= p.groups * (p.groups + 1) / 2) return;
    // Blocks on and below the diagonal, row by row.
    uint row = uint((sqrt(8.0 * float(block) + 1.0) - 1.0) * 0.5);
    if (row * (row + 1) / 2 > block) row--;
    if ((row + 1) * (row + 2) / 2 <= block) row++;
    uint column = block - row * (row + 1) / 2, side = p.groups * 4;
    mat4 sum = mat4(0.0);
    if (row + 1 < p.groups) {
        for (uint i = 0; i < p.positions; i++) {
            vec4 a = X(row * p.positions + i), b = X(column * p.positions + i);
            [[unroll]] for (int k = 0; k < 4; k++) sum[k] = fma(vec4(a[k]), b, sum[k]);
        }
    } else {
        for (uint i = 0; i < p.positions; i++) {
            vec4 b = columns(column, i);
            sum[0] = fma(vec4(map[i]), b, sum[0]);
            sum[1] += b;
        }
    }
    [[unroll]] for (uint k = 0; k < 4; k++) {
        [[unroll]] for (uint l = 0; l < 4; l++) {
            products[(row * 4 + k) * side + column * 4 + l] = sum[k][l];
            if (row != column) products[(column * 4 + l) * side + row * 4 + k] = sum[k][l];
        }
    }
}
