// Places each point of the tiles in the lattice: the mean place and colour of its pixels decides the vertices.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"
#include "crf/lattice.glsl"
#include "crf/tile.glsl"

VEC4_INPUT(0, Image, image);
layout(std430, binding = 1) readonly buffer Ranges {
    uint range_end[];
};
layout(std430, binding = 2) readonly buffer Members {
    uint members[];
};
layout(std430, binding = 3) readonly buffer Counts {
    uint tile_points[];
};
layout(std430, binding = 4) readonly buffer Firsts {
    uint tile_first[];
};
layout(std430, binding = 5) writeonly buffer PixelPoints {
    uint pixel_point[];
};
layout(std430, binding = 6) writeonly buffer PointRanges {
    uvec2 point_range[];  // start and count in members
};
layout(std430, binding = 7) writeonly buffer Keys {
    uvec2 keys[];  // [points][6]
};
layout(std430, binding = 8) writeonly buffer Links {
    float links[];  // [points][12]: six vertices, six weights
};
layout(push_constant) uniform Push {
    uint width, height, point_capacity;
    float place, color;  // lattice units a pixel and a level
};

// Without a division of integers, which CPU devices do lane by lane.
vec2 place_in_tile(uint pixel, Tile tile) {
    uint beyond = pixel - tile.y0 * width, row = uint((float(beyond) + 0.5) / float(width));
    if (row * width > beyond) row--;
    if ((row + 1u) * width <= beyond) row++;
    return vec2(beyond - row * width - tile.x0, row);
}

void place_point(Tile tile, uint local, uint point) {
    uint slot = tile.first + local, start = local == 0u ? tile.first : range_end[slot - 1u], end = range_end[slot];
    vec2 at = vec2(0);
    vec3 mean = vec3(0);
    for (uint m = start; m < end; m++) {
        uint pixel = members[m];
        at += place_in_tile(pixel, tile);
        mean += FETCH(image, pixel).rgb;
        pixel_point[pixel] = min(point, point_capacity - 1u);
    }
    if (point >= point_capacity) return;
    float share = 1.0 / float(end - start);
    at = (at * share + vec2(tile.x0, tile.y0)) * place;
    mean *= share * color;
    point_range[point] = uvec2(start, end - start);
    uvec2 vertices[6];
    float weights[6], feature[5] = {at.x, at.y, mean.r, mean.g, mean.b};
    embed(feature, vertices, weights);
    for (uint r = 0u; r < 6u; r++) {
        keys[point * 6u + r] = vertices[r];
        links[point * 12u + 6u + r] = weights[r];
    }
}

void main() {
    uint index = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;  // a workgroup a tile
    Tile tile = tile_at(index, width, height);
    if (tile.y0 >= height) return;
    uint first = tile_first[index], count = tile_points[index];
    for (uint local = gl_LocalInvocationID.x; local < count; local += gl_WorkGroupSize.x) {
        place_point(tile, local, first + local);
    }
}
