// A colour model of a tag: histograms of 16 x 16 x 16 colours of its pixels and of all others, as log-likelihood ratios.
#include "image/index.glsl"
const uint SIDE = 16u, BINS = SIDE * SIDE * SIDE;
layout(set = 0, binding = 0) buffer Ratios { float ratios[]; };  // [BINS]
layout(push_constant) uniform Push {
    uint count, tag;  // pixels; position in the energies, from 1
    float weight;
} p;

// Between the centres of the bins, so that nothing jumps where colours pass from one to the next.
float ratio_of(vec3 rgb) {
    vec3 at = clamp(rgb * (float(SIDE) / 256.0) - 0.5 + 0.5 / float(SIDE), vec3(0.0), vec3(float(SIDE - 1u)));
    vec3 low = min(floor(at), vec3(float(SIDE - 2u))), f = at - low;
    uint base = (uint(low.b) * SIDE + uint(low.g)) * SIDE + uint(low.r);
    vec4 front = vec4(ratios[base], ratios[base + 1u], ratios[base + SIDE], ratios[base + SIDE + 1u]);
    base += SIDE * SIDE;
    vec4 back = vec4(ratios[base], ratios[base + 1u], ratios[base + SIDE], ratios[base + SIDE + 1u]);
    vec4 plane = mix(front, back, f.b);
    vec2 line = mix(plane.xy, plane.zw, f.g);
    return mix(line.x, line.y, f.r);
}
