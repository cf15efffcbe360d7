// The image is cut into tiles of 32x32 pixels. Arrays of one element a pixel that are grouped by tile start a tile at
// the number of pixels in the tiles before it.
const uint TILE = 32u;

struct Tile {
    uint x0, y0, x1, y1;  // pixels [x0, x1) x [y0, y1)
    uint first;           // pixels in the tiles before
};

Tile tile_at(uint index, uint width, uint height) {
    uint columns = (width + TILE - 1u) / TILE;
    Tile tile;
    tile.x0 = index % columns * TILE;
    tile.y0 = index / columns * TILE;
    tile.x1 = min(tile.x0 + TILE, width);
    tile.y1 = min(tile.y0 + TILE, height);
    tile.first = tile.y0 * width + tile.x0 * (tile.y1 - tile.y0);
    return tile;
}
