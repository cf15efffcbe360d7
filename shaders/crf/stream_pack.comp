#version 450
// Many labels or pixels, part 1: packs the energies of four labels; with BASES instead what crf/first keeps a pixel.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"
#include "crf/blocks.glsl"

layout(constant_id = 6) const bool BASES = false;
layout(std430, binding = 0) readonly buffer Unary {
    float unary[];
};
layout(std430, binding = 1) readonly buffer PixelPoints {
    uint pixel_point[];
};
layout(std430, binding = 2) readonly buffer PointNorms {
    vec2 point_norms[];
};
layout(std430, binding = 3) readonly buffer Table {
    float table[];
};
layout(std430, binding = 4) writeonly buffer Packed {
    vec4 packed[];
};
layout(push_constant) uniform Push {
    uint width, height, columns, rows;
    uint start, labels;         // first element of the labels in unary, how many there are
    float gaussian, bilateral;  // compatibilities
};

#include "crf/totals.glsl"

void main() {
    uint index = linear_index();
    if (index >= columns * rows) return;
    Block block = block_at(index, 0u, columns, width, height);
    for (uint p = 0u; p < PIXELS; p++) {
        uint pixel = block.pixel[p];
        vec4 value;
        for (uint c = 0u; c < 4u; c++) {
            value[c] = c < labels ? min(unary[start + c * width * height + pixel], 1e30) : 1e30;
        }
        if (BASES) {
            uint point = BILATERAL ? pixel_point[pixel] : 0u;
            value = vec4(point, total_message(block, p, point), value.x, 0);
        }
        if (block.inside[p]) packed[pixel] = value;
    }
}
