// Pixel-adaptive mask refinement (PAMR; Araslanov and Roth, "Single-Stage Semantic Segmentation from Image Labels", CVPR
// 2020): each step replaces a pixel's value by the mean of its neighbours', weighted by a softmax of their likeness of
// colour, -|difference| / (0.1 deviation) averaged over the channels. Neighbours are the eight around it at six distances,
// the border's pixels repeated; the deviation is that of the neighbours and the pixel itself.
#extension GL_EXT_control_flow_attributes : require
#include "refine/filter.glsl"
const uint DISTANCES[6] = uint[](1u, 2u, 4u, 8u, 12u, 24u);
const uint NEIGHBOURS = 48u;

uint neighbour(uint x, uint y, uint k) {
    uint cell = k % 8u;
    if (cell >= 4u) cell++;  // of 3 x 3, without the middle
    int d = int(DISTANCES[k / 8u]);
    int u = clamp(int(x) + (int(cell % 3u) - 1) * d, 0, int(p.width) - 1);
    int v = clamp(int(y) + (int(cell / 3u) - 1) * d, 0, int(p.height) - 1);
    return uint(v) * p.width + uint(u);
}

// rates: 1 / (3 * 0.1 deviation) a channel
float unlikeness(uint at, vec3 own, vec3 rates) {
    return dot(abs(unpack_rgb(guide[at]) - own), rates);
}
