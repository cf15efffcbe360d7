#version 450
// Keeps the device busy: x[i] goes through `rounds` steps of a linear congruential generator.
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) buffer X { uint x[]; };
layout(push_constant) uniform Push {
    uint count, rounds;
} push;

void main() {
    uint i = gl_GlobalInvocationID.x;
    if (i >= push.count) return;
    uint value = x[i];
    for (uint k = 0u; k < push.rounds; k++) value = value * 1664525u + 1013904223u;
    x[i] = value;
}
