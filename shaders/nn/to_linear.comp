#version 450
// C4: [N][ceil(C/4)][H*W] vec4 -> linear (N,C,H,W). One invocation reads one vec4.
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) readonly buffer From { uvec4 from_words[]; };
layout(set = 0, binding = 1) writeonly buffer To { uint to_words[]; };
layout(push_constant) uniform Push { uint channels, blocks, area, count; };

void main() {
    uint i = gl_GlobalInvocationID.y * gl_NumWorkGroups.x * 64 + gl_GlobalInvocationID.x;
    if (i >= count) return;
    uint pixel = i % area, block = i / area % blocks, image = i / area / blocks;
    uint channel = block * 4, at = (image * channels + channel) * area + pixel;
    uvec4 value = from_words[i];
    to_words[at] = value.x;
    if (channel + 1 < channels) to_words[at + area] = value.y;
    if (channel + 2 < channels) to_words[at + 2 * area] = value.z;
    if (channel + 3 < channels) to_words[at + 3 * area] = value.w;
}
