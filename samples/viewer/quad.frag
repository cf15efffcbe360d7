#version 450
// Colours are multiplied by their alpha already, so that the edge of a mask does not darken.
layout(push_constant) uniform Quad {
    vec4 corners;
    vec4 source;
    vec4 tint;
} quad;
layout(set = 0, binding = 0) uniform sampler2D picture;
layout(location = 0) in vec2 at;
layout(location = 0) out vec4 colour;

void main() {
    vec4 texel = texture(picture, at);
    colour = vec4(texel.rgb * quad.tint.rgb, texel.a) * quad.tint.a;
}
