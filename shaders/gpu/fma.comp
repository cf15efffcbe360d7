#version 450
// What a device computes at most: twelve independent chains of fused multiply-adds a thread, nothing else. More would not
// fit the sixteen vector registers of a CPU.
// y[i] = the sum over 3 chains and 4 lanes of v -> a * v + b, `rounds` (a multiple of 4) times, from v = chain + lane / 4.
layout(local_size_x_id = 0) in;
layout(set = 0, binding = 0) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push {
    uint count, rounds;
    float a, b;
} push;

#define STEP(v) v = fma(vec4(push.a), v, vec4(push.b));

void main() {
    uint i = gl_GlobalInvocationID.x;
    vec4 lane = vec4(0.0, 0.25, 0.5, 0.75), v0 = lane, v1 = lane + 1.0, v2 = lane + 2.0;
    for (uint k = 0u; k < push.rounds; k += 4u) {
        STEP(v0) STEP(v1) STEP(v2)
        STEP(v0) STEP(v1) STEP(v2)
        STEP(v0) STEP(v1) STEP(v2)
        STEP(v0) STEP(v1) STEP(v2)
    }
    vec4 sum = v0 + v1 + v2;
    if (i < push.count) y[i] = (sum.x + sum.y) + (sum.z + sum.w);
}
