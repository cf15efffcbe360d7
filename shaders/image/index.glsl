// One invocation an element, for element counts beyond 65,535 workgroups: the host dispatches a 2-D grid of groups of
// 32 x 1 x 1 (tm_map_dispatch) and the element index is row-major in it.
layout(local_size_x = 32) in;

uint element_index() {
    return gl_GlobalInvocationID.y * (gl_NumWorkGroups.x * 32u) + gl_GlobalInvocationID.x;
}

// A pixel as one word: R | G << 8 | B << 16.
vec3 unpack_rgb(uint word) {
    return vec3(float(word & 255u), float((word >> 8) & 255u), float((word >> 16) & 255u));
}
uint pack_rgb(vec3 rgb) {
    // Round to nearest, as the 8-bit resampling of common image libraries does.
    uvec3 v = uvec3(clamp(floor(rgb + 0.5), vec3(0.0), vec3(255.0)));
    return v.x | (v.y << 8) | (v.z << 16);
}
