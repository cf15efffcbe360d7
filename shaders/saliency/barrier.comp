#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
// One sweep of the minimum barrier distance to the photo's border: the least range of values that a path from the border
// to the pixel passes through, a channel at a time (Zhang et al., "Minimum Barrier Salient Object Detection at 80 FPS", ICCV
// 2015, with sweeps over all pixels at once in place of raster scans). A pixel keeps its path's highest and lowest value.
layout(set = 0, binding = 0) readonly buffer Image { uint image[]; };   // packed pixels
layout(set = 0, binding = 1) readonly buffer From { uvec2 from[]; };    // packed (highest, lowest)
layout(set = 0, binding = 2) writeonly buffer To { uvec2 to[]; };
layout(push_constant) uniform Push { uint width, height, first; } p;  // first: nothing was swept yet

uvec3 levels(uint word) {
    return uvec3(word, word >> 8, word >> 16) & 255u;
}
uint word_of(uvec3 v) {
    return v.x | (v.y << 8) | (v.z << 16);
}

void main() {
    uint i = element_index();
    if (i >= p.width * p.height) return;
    uint y = i / p.width, x = i - y * p.width;
    uint own = image[i];
    if (p.first != 0u) {
        bool border = x == 0u || y == 0u || x == p.width - 1u || y == p.height - 1u;
        to[i] = border ? uvec2(own) : uvec2(0xffffffu, 0u);
        return;
    }
    uvec4 near = uvec4(x > 0u ? i - 1u : i, x + 1u < p.width ? i + 1u : i, y > 0u ? i - p.width : i,
                       y + 1u < p.height ? i + p.width : i);
    uvec3 value = levels(own), high = levels(from[i].x), low = levels(from[i].y);
    for (int n = 0; n < 4; n++) {
        uvec2 path = from[near[n]];
        uvec3 top = max(levels(path.x), value), bottom = min(levels(path.y), value);
        bvec3 better = lessThan(top - bottom, high - low);
        high = mix(high, top, better);
        low = mix(low, bottom, better);
    }
    to[i] = uvec2(word_of(high), word_of(low));
}
