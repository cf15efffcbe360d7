#version 450
// Gathers vec4s through uniform texel buffers: y[i] = source[index[i].x] + offsets[i].
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) uniform samplerBuffer source;
layout(set = 0, binding = 1) uniform itextureBuffer index;
layout(set = 0, binding = 2) uniform textureBuffer offsets;
layout(set = 0, binding = 3) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push { uint count; } push;

void main() {
    int i = int(gl_GlobalInvocationID.x);
    if (i < push.count) y[i] = texelFetch(source, texelFetch(index, i).x) + texelFetch(offsets, i);
}
