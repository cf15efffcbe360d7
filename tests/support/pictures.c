#include "pictures.h"

#include <stdlib.h>
#include <string.h>

bytes make_png(uint32_t width, uint32_t height, png_options o, const void *pixels, size_t size) {
    struct spng_ihdr ihdr = {width, height, o.depth, o.color_type, 0, 0, o.interlace};
    int code = 0;
    bytes file = {0};
    spng_ctx *ctx = spng_ctx_new(SPNG_CTX_ENCODER);
    assert_int_equal(spng_set_option(ctx, SPNG_ENCODE_TO_BUFFER, 1), 0);
    assert_int_equal(spng_set_ihdr(ctx, &ihdr), 0);
    if (o.palette) assert_int_equal(spng_set_plte(ctx, (struct spng_plte *)o.palette), 0);
    if (o.trns) assert_int_equal(spng_set_trns(ctx, (struct spng_trns *)o.trns), 0);
    struct spng_exif exif = {o.exif_size, (char *)o.exif};
    if (o.exif) assert_int_equal(spng_set_exif(ctx, &exif), 0);
    assert_int_equal(spng_encode_image(ctx, pixels, size, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE), 0);
    file.data = spng_get_png_buffer(ctx, &file.size, &code);
    spng_ctx_free(ctx);
    assert_non_null(file.data);
    return file;
}

static uint32_t get_u32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_u32(uint8_t *p, uint32_t value) {
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(value >> (24 - 8 * i));
}

void png_repair(uint8_t *file, size_t size) {
    for (size_t at = 8; at + 12 <= size && get_u32(file + at) <= size - at - 12;) {
        size_t end = at + 8 + get_u32(file + at);
        uint32_t crc = 0xffffffffu;
        for (size_t i = at + 4; i < end; i++) {
            crc ^= file[i];
            for (int k = 0; k < 8; k++) crc = crc & 1 ? 0xedb88320u ^ crc >> 1 : crc >> 1;
        }
        put_u32(file + end, ~crc);
        at = end + 4;
    }
}

bytes png_insert(bytes file, const char *before, const char *type, const void *data, size_t size) {
    size_t at = 8;
    while (at + 12 <= file.size && memcmp(file.data + at + 4, before, 4)) at += 12 + get_u32(file.data + at);
    bytes made = {malloc(file.size + size + 12), file.size + size + 12};
    assert_non_null(made.data);
    memcpy(made.data, file.data, at);
    put_u32(made.data + at, (uint32_t)size);
    memcpy(made.data + at + 4, type, 4);
    if (size) memcpy(made.data + at + 8, data, size);
    memcpy(made.data + at + 12 + size, file.data + at, file.size - at);
    free(file.data);
    png_repair(made.data, made.size);
    return made;
}

bytes make_interlaced_png(void) {
    // The passes put together by hand from 64 filter-free bytes, in one stored block of deflate.
    static const uint8_t passes[7][4] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                                         {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
    uint8_t idat[160] = {0x78, 1, 1}, *stream = idat + 7;
    size_t used = 0;
    for (int p = 0; p < 7; p++) {
        for (uint8_t y = passes[p][1]; y < 8; y = (uint8_t)(y + passes[p][3])) {
            stream[used++] = 0;
            for (uint8_t x = passes[p][0]; x < 8; x = (uint8_t)(x + passes[p][2]))
                stream[used++] = (uint8_t)(8 * y + x);
        }
    }
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < used; i++) a = (a + stream[i]) % 65521, b = (b + a) % 65521;
    idat[3] = (uint8_t)used, idat[5] = (uint8_t)~used, idat[6] = 0xff;
    put_u32(stream + used, b << 16 | a);
    static const uint8_t ends[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0,
                                   0,    0,   'I', 'E', 'N',  'D',  0,    0,    0, 0},
                         ihdr[13] = {0, 0, 0, 8, 0, 0, 0, 8, 8, 0, 0, 0, 1};
    bytes file = {malloc(sizeof ends), sizeof ends};
    assert_non_null(file.data);
    memcpy(file.data, ends, sizeof ends);
    file = png_insert(file, "IEND", "IHDR", ihdr, sizeof ihdr);
    return png_insert(file, "IEND", "IDAT", idat, used + 11);
}

bytes make_jpeg(uint32_t width, uint32_t height, int channels, jpeg_options o, const uint8_t *pixels) {
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr errors;
    unsigned char *data = NULL;
    unsigned long size = 0;
    info.err = jpeg_std_error(&errors);
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &data, &size);
    info.image_width = width;
    info.image_height = height;
    info.input_components = channels;
    info.in_color_space = o.in;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, 95, TRUE);
    jpeg_set_colorspace(&info, o.stored);
    for (int i = 0; i < info.num_components; i++) info.comp_info[i].h_samp_factor = info.comp_info[i].v_samp_factor = 1;
    if (o.no_adobe) info.write_Adobe_marker = FALSE;
    if (o.progressive) jpeg_simple_progression(&info);
    jpeg_start_compress(&info, TRUE);
    if (o.exif) jpeg_write_marker(&info, JPEG_APP0 + 1, o.exif, (unsigned int)o.exif_size);
    while (info.next_scanline < height) {
        JSAMPROW row = (JSAMPROW)(pixels + (size_t)info.next_scanline * width * (size_t)channels);
        jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    return (bytes){data, size};
}

size_t make_exif(uint8_t *out, int orientation) {
    const uint8_t block[] = {
        'E', 'x', 'i', 'f', 0, 0, 'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, (uint8_t)orientation,
        0,   0,   0,   0,   0, 0, 0};
    memcpy(out, block, sizeof block);
    return sizeof block;
}

void quarters(uint8_t *pixels, uint32_t width, uint32_t height) {
    static const uint8_t colours[4][3] = {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 255, 255}};
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            memcpy(pixels + 3 * (y * width + x), colours[2 * (y >= height / 2) + (x >= width / 2)], 3);
        }
    }
}
