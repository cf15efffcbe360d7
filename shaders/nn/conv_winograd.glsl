// Winograd F(4x4, 3x3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015): a tile of 4x4 output
// pixels costs 36 multiplications for each pair of channels instead of 144. The input transform turns 6x6 patches into
// 36 vectors, 36 independent matrix products combine channels (conv_gemm), and the output transform makes
// pixels of them. Tiles are worked through in chunks, so that the vectors between the stages stay in cache.
// F(2x2, 3x3), with WINOGRAD 2: 2x2 pixels of 4x4 patches, 16 multiplications instead of 36, and cheaper transforms.
#ifndef WINOGRAD
#define WINOGRAD 4
#endif
layout(local_size_x_id = 0) in;

layout(push_constant) uniform Parameters {
    int width, height, blocks;            // of the image this stage reads or writes
    int tiles_x, tiles_y;                 // of an image
    int first_tile, chunk;                // tiles of this dispatch; tiles are counted through the batch
    int total;                            // tiles of the batch
    int pad_x, pad_y;                     // input stage
    int out_channels;                     // output stage
    float act_a, act_b;
};

// Image and top left pixel (of the output) of a tile.
ivec3 tile_position(int tile) {
    int row = tile / tiles_x, image = row / tiles_y;
    return ivec3((tile - row * tiles_x) * WINOGRAD, (row - image * tiles_y) * WINOGRAD, image);
}
