#version 450
// A picture in a rectangle of the window.
layout(push_constant) uniform Quad {
    vec4 corners;  // left, top, right, bottom in clip coordinates
    vec4 source;   // the same of the picture, 0..1
    vec4 tint;
} quad;
layout(location = 0) out vec2 at;

void main() {
    vec2 corner = vec2(gl_VertexIndex & 1, gl_VertexIndex >> 1);
    at = mix(quad.source.xy, quad.source.zw, corner);
    gl_Position = vec4(mix(quad.corners.xy, quad.corners.zw, corner), 0, 1);
}
