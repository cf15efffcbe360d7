#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// Five maps: the barrier distance, and how unlike each side's colours a pixel is (Mahalanobis distance).
layout(set = 0, binding = 0) readonly buffer Image { uint image[]; };
layout(set = 0, binding = 1) readonly buffer Paths { uvec2 paths[]; };  // saliency/barrier
layout(set = 0, binding = 2) readonly buffer Sides { vec4 sides[]; };   // saliency/border
layout(set = 0, binding = 3) writeonly buffer Maps { float maps[]; };
layout(push_constant) uniform Push { uint count, stride; } p;

void main() {
    uint i = element_index();
    if (i >= p.count) return;
    vec3 range = unpack_rgb(paths[i].x) - unpack_rgb(paths[i].y);
    maps[i] = range.r + range.g + range.b;
    vec3 own = unpack_rgb(image[i]);
    for (uint s = 0u; s < 4u; s++) {
        vec3 d = own - sides[3u * s].xyz, l = sides[3u * s + 1u].xyz;
        vec3 z = vec3(d.x, d.y - l.x * d.x, 0.0);
        z.z = d.z - l.y * z.x - l.z * z.y;
        maps[(1u + s) * p.stride + i] = sqrt(dot(z * z, 1.0 / sides[3u * s + 2u].xyz));
    }
}
