#version 450
// Decides how many vertices the lattice has: the joining ones are left out where there is no room for all of them. One
// invocation.
layout(local_size_x = 1) in;
layout(std430, binding = 0) buffer State {
    uint points, vertices, seeds, extra, listed;  // see crf/number
};
layout(push_constant) uniform Push {
    uint vertex_capacity;
};

void main() {
    seeds = min(seeds, vertex_capacity - 1u);
    vertices = seeds + extra < vertex_capacity ? seeds + extra : seeds;
}
