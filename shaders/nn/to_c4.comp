#version 450
// Linear (N,C,H,W) -> C4: [N][ceil(C/4)][H*W] vec4. One invocation writes one vec4; channels beyond C are zero.
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) readonly buffer From { uint from_words[]; };
layout(set = 0, binding = 1) writeonly buffer To { uvec4 to_words[]; };
layout(push_constant) uniform Push { uint channels, blocks, area, count; };

void main() {
    uint i = gl_GlobalInvocationID.y * gl_NumWorkGroups.x * 64 + gl_GlobalInvocationID.x;
    if (i >= count) return;
    uint pixel = i % area, block = i / area % blocks, image = i / area / blocks;
    uint channel = block * 4, at = (image * channels + channel) * area + pixel;
    uvec4 value = uvec4(0);
    // Words, not floats: the bits of integers must survive.
    value.x = from_words[at];
    if (channel + 1 < channels) value.y = from_words[at + area];
    if (channel + 2 < channels) value.z = from_words[at + 2 * area];
    if (channel + 3 < channels) value.w = from_words[at + 3 * area];
    to_words[i] = value;
}
