// Groups the pixels of each tile by cell of place and colour: a group is a point of the lattice, with at most `cap`
// pixels so that later work is even. One invocation walks a tile in row order: groups and their members come out in the
// same order in every run, without atomics. Large groups get the first numbers: invocations side by side, which later
// walk the members of one group each, then have about as many.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"
#include "crf/tile.glsl"

const uint SLOTS = 2048u, EMPTY = 0xffffffffu;  // of the hash table of a tile, twice its pixels
VEC4_INPUT(0, Image, image);
layout(std430, binding = 1) buffer Table {
    uint table[];  // [tiles of the dispatch][SLOTS][3]: colour, place, current point; in the end the next member's place by point
};
layout(std430, binding = 2) buffer Slots {
    uint pixel_slot[];  // per pixel: its point, counted within the tile
};
layout(std430, binding = 3) buffer Ranges {
    uint range_end[];  // per point of a tile: end of its members
};
layout(std430, binding = 4) writeonly buffer Members {
    uint members[];  // pixels, grouped by point
};
layout(std430, binding = 5) writeonly buffer Counts {
    uint tile_points[];
};
layout(push_constant) uniform Push {
    uint width, height, first, tiles;  // tiles [first, tiles)
    uint cap, place;                   // most pixels of a point; side of a cell in pixels
    float cell;                             // side of a cell in levels
    float share;                            // most points of a tile for each of its pixels
};

uint place_in_table(uint base, uint color, uint place) {
    uint at = (color * 2654435761u ^ place * 2246822519u) >> 21;
    while (true) {
        uint slot = (base + at) * 3u, found = table[slot];
        if (found == EMPTY) {
            table[slot] = color;
            table[slot + 1u] = place;
            return slot;
        }
        if (found == color && table[slot + 1u] == place) return slot;
        at = (at + 1u) % SLOTS;
    }
}

// Assigns the pixels of a tile to points; false if `most` do not suffice.
bool group_pixels(Tile tile, uint own, float scale, uint side, uint most, out uint used) {
    used = 0u;
    for (uint y = tile.y0; y < tile.y1; y++) {
        for (uint x = tile.x0; x < tile.x1; x++) {
            uvec3 c = uvec3(0);  // of one colour in the end
            if (scale > 1e-3) c = uvec3(clamp(FETCH(image, y * width + x).rgb * scale, 0.0, 1022.0));
            uint slot = place_in_table(own, c.r | c.g << 10 | c.b << 20,
                                       (y - tile.y0) / side << 8 | (x - tile.x0) / side);
            uint point = table[slot + 2u];
            if (point == EMPTY || range_end[tile.first + point] >= cap) {
                if (used == most) return false;
                point = used++;
                table[slot + 2u] = point;
                range_end[tile.first + point] = 0u;
            }
            range_end[tile.first + point]++;
            pixel_slot[y * width + x] = point;
        }
    }
    return true;
}

void main() {
    uint own = linear_index() * SLOTS, index = first + linear_index();  // own: this tile's part of the table
    if (index >= tiles) return;
    Tile tile = tile_at(index, width, height);
    uint pixels = (tile.x1 - tile.x0) * (tile.y1 - tile.y0), used = 0u;
    uint most = max(uint(float(pixels) * share), 1u), side = place;
    float scale = 1.0 / cell;
    // Noise has a colour of its own at every pixel: larger cells until the points suffice.
    while (!group_pixels(tile, own, scale, side, most, used)) {
        scale *= 0.5;
        side = min(side * 2u, TILE);
        for (uint s = own; s < own + SLOTS; s++) table[s * 3u] = table[s * 3u + 2u] = EMPTY;
    }
    const uint DONE = 0x80000000u;
    uint start = tile.first, next = own * 3u, ranked = 0u;
    for (uint p = 0u; p < used; p++) table[next + p] = range_end[tile.first + p];
    for (uint least = cap; ranked < used; least = max(least * 3u / 4u, 1u)) {
        for (uint p = 0u; p < used; p++) {
            uint count = table[next + p];
            if (count >= DONE || count < least) continue;
            table[next + p] = start | DONE;
            start += count;
            range_end[tile.first + ranked++] = start;
        }
    }
    for (uint y = tile.y0; y < tile.y1; y++) {
        for (uint x = tile.x0; x < tile.x1; x++) {
            uint at = next + pixel_slot[y * width + x], place = table[at];
            table[at] = place + 1u;
            members[place & ~DONE] = y * width + x;
        }
    }
    tile_points[index] = used;
}
