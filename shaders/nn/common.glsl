// Shared by the shaders of nn/: how a thread finds its element. Constant 0 is always the workgroup's size.
layout(local_size_x_id = 0) in;

// Dispatches wider than a device's limit are folded into y, so x alone does not number the workgroups.
uint group_index() {
    return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
}
uint thread_index() {
    return group_index() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
}
// Element k of a thread that handles `items` elements: neighbours in a workgroup touch neighbours in memory.
uint item_index(uint k, uint items) {
    return (group_index() * items + k) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
}
// Zeroes the lanes of a C4 vector that pad the channels to a multiple of four. `tail` is C % 4; index counts vec4s.
uvec4 c4_mask(uvec4 v, uint index, uint plane, uint blocks, uint tail) {
    if ((index / plane) % blocks != blocks - 1u) return v;
    return mix(uvec4(0u), v, lessThan(uvec4(0u, 1u, 2u, 3u), uvec4(tail)));
}
