// A filter of a map guided by a photo of its size. The host dispatches bands of pixels that start at `first`.
#include "image/index.glsl"
layout(set = 0, binding = 0) readonly buffer Guide { uint guide[]; };  // packed pixels
layout(push_constant) uniform Push {
    uint width, height, first, count;  // count: of the band
    uint radius;
    float eps;             // of guided
    float far, unlike;     // of joint: exponents of a squared distance of 1 px and of 1 level
} p;

// The guide in -0.5..0.5: sums of squares then lose the fewest digits.
vec3 centred(uint word) {
    return unpack_rgb(word) * (1.0 / 255.0) - 0.5;
}

// First and last pixel of a window along an axis, clipped to the photo.
uvec2 window(uint centre, uint size) {
    return uvec2(centre - min(centre, p.radius), min(centre + p.radius, size - 1));
}
