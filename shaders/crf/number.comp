#version 450
// Numbers the points of all tiles consecutively: tile_first = points in the tiles before. One invocation.
layout(local_size_x = 1) in;
layout(std430, binding = 0) readonly buffer Counts {
    uint tile_points[];
};
layout(std430, binding = 1) writeonly buffer Firsts {
    uint tile_first[];  // [tiles + 1]
};
layout(std430, binding = 2) writeonly buffer State {
    uint points;    // of the image
    uint vertices;  // of the lattice, numbered from 1
    uint seeds;     // the vertices that points touch
    uint extra;     // vertices that only join others
    uint listed;    // pairs of corners that have a place in the lists
};
layout(push_constant) uniform Push {
    uint tiles;
};

void main() {
    uint sum = 0u;
    for (uint t = 0u; t < tiles; t++) {
        tile_first[t] = sum;
        sum += tile_points[t];
    }
    tile_first[tiles] = sum;
    points = sum;
    vertices = seeds = extra = listed = 0u;
}
