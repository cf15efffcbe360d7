// Pictures in and out. The files are made here with libspng and libjpeg, then damaged.
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/image.h"
#include "pictures.h"

static tagmask_image decode(bytes file) {
    tagmask_image image = {0};
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_image_decode("test", file.data, file.size, &image, &err), &err);
    assert_int_equal(image.stride, 3 * image.width);
    return image;
}

static void assert_refused(bytes file, tagmask_status expected, const char *word) {
    tagmask_image image = {.width = 77};
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_status status = tm_image_decode("bad-file", file.data, file.size, &image, &err);
    if (status != expected || !strstr(err.message, word) || !strstr(err.message, "bad-file")) {
        fail_msg("status %d, message \"%s\"; expected status %d and \"%s\"", status, err.message, expected, word);
    }
    assert_int_equal(image.width, 77);
}

static void assert_pixel(const tagmask_image *image, uint32_t x, uint32_t y, int r, int g, int b, int tolerance) {
    const uint8_t *p = image->pixels + y * image->stride + 3 * x;
    if (abs(p[0] - r) > tolerance || abs(p[1] - g) > tolerance || abs(p[2] - b) > tolerance) {
        fail_msg("pixel (%u, %u) is %d %d %d, expected %d %d %d", x, y, p[0], p[1], p[2], r, g, b);
    }
}

// ---- PNG ------------------------------------------------------------------------------------------------------------

static void png_round_trip(void **state) {
    (void)state;
    const uint8_t rgb[] = {1, 2, 3, 250, 251, 252, 0, 0, 0, 9, 8, 7, 255, 255, 255, 3, 3, 3};
    tm_error err = TAGMASK_ERROR_INIT;
    bytes file = {0};
    assert_ok(tm_png_encode(&(tm_png){3, 2, 3, 0, rgb, NULL, 0}, &file.data, &file.size, &err), &err);
    tagmask_image image = decode(file);
    assert_int_equal(image.width, 3);
    assert_int_equal(image.height, 2);
    assert_memory_equal(image.pixels, rgb, sizeof rgb);
    tagmask_image_release(&image);
    free(file.data);
    // Rows with a stride; gray; a palette.
    const uint8_t gray[] = {10, 20, 99, 30, 40, 99}, palette[] = {0, 0, 0, 128, 0, 0};
    assert_ok(tm_png_encode(&(tm_png){2, 2, 1, 3, gray, NULL, 0}, &file.data, &file.size, &err), &err);
    image = decode(file);
    assert_pixel(&image, 1, 0, 20, 20, 20, 0);
    assert_pixel(&image, 0, 1, 30, 30, 30, 0);
    tagmask_image_release(&image);
    free(file.data);
    const uint8_t index[] = {0, 1, 1, 0};
    assert_ok(tm_png_encode(&(tm_png){2, 2, 1, 0, index, palette, 2}, &file.data, &file.size, &err), &err);
    assert_int_equal(file.data[25], SPNG_COLOR_TYPE_INDEXED);
    image = decode(file);
    assert_pixel(&image, 1, 0, 128, 0, 0, 0);
    assert_pixel(&image, 1, 1, 0, 0, 0, 0);
    tagmask_image_release(&image);
    free(file.data);
    assert_int_equal(tm_png_encode(&(tm_png){0, 2, 1, 0, index, NULL, 0}, &file.data, &file.size, &err),
                     TAGMASK_ERROR_ARGUMENT);
}

static void png_kinds_are_converted(void **state) {
    (void)state;
    const uint16_t gray16[] = {0x1234, 0xffff};
    bytes file = make_png(2, 1, (png_options){SPNG_COLOR_TYPE_GRAYSCALE, 16, 0}, gray16, 4);
    tagmask_image image = decode(file);
    assert_pixel(&image, 0, 0, 0x12, 0x12, 0x12, 0);
    assert_pixel(&image, 1, 0, 255, 255, 255, 0);
    tagmask_image_release(&image);
    free(file.data);
    const uint8_t bit[] = {0xa0};
    file = make_png(3, 1, (png_options){SPNG_COLOR_TYPE_GRAYSCALE, 1, 0}, bit, 1);
    image = decode(file);
    assert_pixel(&image, 0, 0, 255, 255, 255, 0);
    assert_pixel(&image, 1, 0, 0, 0, 0, 0);
    tagmask_image_release(&image);
    free(file.data);
    const uint8_t rgba[] = {200, 100, 0, 255, 200, 100, 0, 0, 200, 100, 0, 51};
    file = make_png(3, 1, (png_options){SPNG_COLOR_TYPE_TRUECOLOR_ALPHA, 8, 0}, rgba, sizeof rgba);
    image = decode(file);
    assert_pixel(&image, 0, 0, 200, 100, 0, 0);
    assert_pixel(&image, 1, 0, 255, 255, 255, 0);
    assert_pixel(&image, 2, 0, 244, 224, 204, 0);  // one part colour, four parts white
    tagmask_image_release(&image);
    free(file.data);
    const uint8_t gray_alpha[] = {0, 0, 0, 255};
    file = make_png(2, 1, (png_options){SPNG_COLOR_TYPE_GRAYSCALE_ALPHA, 8, 0}, gray_alpha, 4);
    image = decode(file);
    assert_pixel(&image, 0, 0, 255, 255, 255, 0);
    assert_pixel(&image, 1, 0, 0, 0, 0, 0);
    tagmask_image_release(&image);
    free(file.data);
    const struct spng_plte palette = {2, {{9, 8, 7, 0}, {60, 50, 40, 0}}};
    const struct spng_trns trns = {.n_type3_entries = 1, .type3_alpha = {0}};
    const uint8_t nibbles[] = {0x01};
    file = make_png(2, 1, (png_options){SPNG_COLOR_TYPE_INDEXED, 4, 0, &palette, &trns}, nibbles, 1);
    image = decode(file);
    assert_pixel(&image, 0, 0, 255, 255, 255, 0);
    assert_pixel(&image, 1, 0, 60, 50, 40, 0);
    tagmask_image_release(&image);
    free(file.data);
}

static void assert_row(bytes file, const uint8_t *expected, uint32_t count) {
    tagmask_image image = decode(file);
    for (uint32_t i = 0; i < count; i++) {
        assert_pixel(&image, i, 0, expected[3 * i], expected[3 * i + 1], expected[3 * i + 2], 0);
    }
    tagmask_image_release(&image);
    free(file.data);
}

// Every depth of a palette, with the first entry half transparent; the row is entries 0, 1, 0, 1.
static void palettes_of_every_depth(void **state) {
    (void)state;
    const struct spng_plte palette = {2, {{10, 20, 30, 0}, {200, 100, 0, 0}}};
    const struct spng_trns trns = {.n_type3_entries = 1, .type3_alpha = {51}};
    const uint8_t rows[][4] = {{0x50}, {0x11}, {0x01, 0x01}, {0, 1, 0, 1}};
    const uint8_t opaque[] = {10, 20, 30, 200, 100, 0, 10, 20, 30, 200, 100, 0};
    const uint8_t blended[] = {206, 208, 210, 200, 100, 0, 206, 208, 210, 200, 100, 0};
    for (uint32_t i = 0; i < 4; i++) {
        png_options options = {SPNG_COLOR_TYPE_INDEXED, (uint8_t)(1 << i), 0, &palette, NULL};
        size_t size = (size_t)(4 << i) / 8 + !i;
        assert_row(make_png(4, 1, options, rows[i], size), opaque, 4);
        options.trns = &trns;
        assert_row(make_png(4, 1, options, rows[i], size), blended, 4);
    }
}

static void deep_and_transparent_pngs(void **state) {
    (void)state;
    const uint16_t rgb16[] = {0x1280, 0x34ff, 0x5600, 0xffff, 0, 0x0100};
    assert_row(make_png(2, 1, (png_options){SPNG_COLOR_TYPE_TRUECOLOR, 16, 0}, rgb16, 12),
               (const uint8_t[]){0x12, 0x34, 0x56, 255, 0, 1}, 2);
    const uint16_t rgba16[] = {0x1200, 0x3400, 0x5600, 0xffff, 1, 2, 3, 0};
    assert_row(make_png(2, 1, (png_options){SPNG_COLOR_TYPE_TRUECOLOR_ALPHA, 16, 0}, rgba16, 16),
               (const uint8_t[]){0x12, 0x34, 0x56, 255, 255, 255}, 2);
    const uint16_t gray_alpha16[] = {0x6400, 0xffff, 0x6400, 0};
    assert_row(make_png(2, 1, (png_options){SPNG_COLOR_TYPE_GRAYSCALE_ALPHA, 16, 0}, gray_alpha16, 8),
               (const uint8_t[]){100, 100, 100, 255, 255, 255}, 2);
    // One colour that is transparent.
    const struct spng_trns gray = {.gray = 2}, colour = {.red = 7, .green = 8, .blue = 9};
    const uint8_t quarter_bytes[] = {0x6c};  // 1, 2, 3, 0 of 0..3
    assert_row(make_png(4, 1, (png_options){SPNG_COLOR_TYPE_GRAYSCALE, 2, 0, NULL, &gray}, quarter_bytes, 1),
               (const uint8_t[]){85, 85, 85, 255, 255, 255, 255, 255, 255, 0, 0, 0}, 4);
    const uint8_t rgb[] = {7, 8, 9, 7, 8, 10};
    assert_row(make_png(2, 1, (png_options){SPNG_COLOR_TYPE_TRUECOLOR, 8, 0, NULL, &colour}, rgb, 6),
               (const uint8_t[]){255, 255, 255, 7, 8, 10}, 2);
}

// An animated PNG is read as its first picture; so is one whose second picture is damaged.
static void animated_png(void **state) {
    (void)state;
    const uint8_t rgb[] = {1, 2, 3, 4, 5, 6}, animation[8] = {0, 0, 0, 2}, data[] = {0, 0, 0, 2, 0xde, 0xad};
    uint8_t control[26] = {0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1};
    bytes file = make_png(2, 1, (png_options){SPNG_COLOR_TYPE_TRUECOLOR, 8, 0}, rgb, sizeof rgb);
    file = png_insert(file, "IDAT", "acTL", animation, sizeof animation);
    file = png_insert(file, "IDAT", "fcTL", control, sizeof control);
    control[3] = 1;
    file = png_insert(file, "IEND", "fcTL", control, sizeof control);
    file = png_insert(file, "IEND", "fdAT", data, sizeof data);
    assert_row(file, rgb, 2);
}

static void extreme_sides(void **state) {
    (void)state;
    static const uint32_t sides[][2] = {{1, 1}, {65535, 1}, {1, 65535}, {60000, 50}, {50, 60000}};
    for (size_t i = 0; i < TM_ARRAY_LEN(sides); i++) {
        uint32_t w = sides[i][0], h = sides[i][1];
        uint8_t exif[64], *pixels = malloc((size_t)w * h * 3);
        quarters(pixels, w, h);
        bytes png = make_png(w, h, (png_options){SPNG_COLOR_TYPE_TRUECOLOR, 8, 0}, pixels, (size_t)w * h * 3);
        tagmask_image image = decode(png);
        assert_true(image.width == w && image.height == h);
        assert_memory_equal(image.pixels, pixels, (size_t)w * h * 3);
        tagmask_image_release(&image);
        free(png.data);
        if (w <= JPEG_MAX_DIMENSION && h <= JPEG_MAX_DIMENSION) {
            jpeg_options turned = {JCS_RGB, JCS_YCbCr, false, false, exif, make_exif(exif, 6)};
            bytes jpeg = make_jpeg(w, h, 3, turned, pixels);
            image = decode(jpeg);
            assert_true(image.width == h && image.height == w);
            tagmask_image_release(&image);
            free(jpeg.data);
        }
        free(pixels);
    }
}

static bytes colour_png(uint32_t width, uint32_t height, png_options o) {
    uint8_t *pixels = malloc((size_t)width * height * 3);
    quarters(pixels, width, height);
    bytes file = make_png(width, height, o, pixels, (size_t)width * height * 3);
    free(pixels);
    return file;
}

// Where the stored quarters (red, green / blue, white = 0..3) appear in the upright picture, by orientation.
static const char upright[9][5] = {"", "0123", "1032", "3210", "2301", "0213", "2031", "3120", "1302"};
static const int quarter_colour[4][3] = {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 255, 255}};

static void assert_upright(bytes file, int orientation, int tolerance) {
    tagmask_image image = decode(file);
    assert_int_equal(image.width, orientation >= 5 ? 16 : 32);
    assert_int_equal(image.height, orientation >= 5 ? 32 : 16);
    for (uint32_t i = 0; i < 4; i++) {
        const int *c = quarter_colour[upright[orientation][i] - '0'];
        assert_pixel(&image, i & 1 ? image.width - 2 : 1, i & 2 ? image.height - 2 : 1, c[0], c[1], c[2], tolerance);
    }
    tagmask_image_release(&image);
}

static void exif_orientation_is_applied(void **state) {
    (void)state;
    uint8_t exif[64], pixels[32 * 16 * 3];
    quarters(pixels, 32, 16);
    for (int orientation = 1; orientation <= 8; orientation++) {
        size_t size = make_exif(exif, orientation);
        jpeg_options jpeg = {JCS_RGB, JCS_YCbCr, false, false, exif, size};
        bytes file = make_jpeg(32, 16, 3, jpeg, pixels);
        assert_upright(file, orientation, 12);
        free(file.data);
        png_options png = {SPNG_COLOR_TYPE_TRUECOLOR, 8, 0, NULL, NULL, exif + 6, size - 6};
        file = colour_png(32, 16, png);
        assert_upright(file, orientation, 0);
        free(file.data);
    }
    for (int odd = 0; odd < 256; odd = odd ? 2 * odd + 9 : 9) {  // values without a meaning count as 1
        size_t size = make_exif(exif, odd);
        bytes file = make_jpeg(32, 16, 3, (jpeg_options){JCS_RGB, JCS_YCbCr, false, false, exif, size}, pixels);
        assert_upright(file, 1, 12);
        free(file.data);
    }
    for (size_t cut = 6; cut < 32; cut++) {  // a damaged block is no reason to lose the photo
        make_exif(exif, 6);
        bytes file = make_jpeg(32, 16, 3, (jpeg_options){JCS_RGB, JCS_YCbCr, false, false, exif, cut}, pixels);
        tagmask_image image = decode(file);
        assert_int_equal(image.width * image.height, 512);
        tagmask_image_release(&image);
        free(file.data);
    }
}

static void interlaced_png(void **state) {
    (void)state;
    bytes file = make_interlaced_png();
    tagmask_image image = decode(file);
    for (uint32_t i = 0; i < 64; i++) assert_pixel(&image, i % 8, i / 8, (int)i, (int)i, (int)i, 0);
    tagmask_image_release(&image);
    free(file.data);
}

// ---- JPEG -----------------------------------------------------------------------------------------------------------

static void jpeg_kinds_are_converted(void **state) {
    (void)state;
    uint8_t pixels[16 * 16 * 4];
    memset(pixels, 100, sizeof pixels);
    bytes file = make_jpeg(16, 16, 1, (jpeg_options){JCS_GRAYSCALE, JCS_GRAYSCALE}, pixels);
    tagmask_image image = decode(file);
    assert_pixel(&image, 5, 5, 100, 100, 100, 1);
    tagmask_image_release(&image);
    free(file.data);
    for (size_t i = 0; i < 256; i++) memcpy(pixels + 3 * i, (const uint8_t[]){200, 50, 100}, 3);
    const jpeg_options colour[] = {{JCS_RGB, JCS_YCbCr}, {JCS_RGB, JCS_YCbCr, true}, {JCS_RGB, JCS_RGB}};
    for (size_t i = 0; i < TM_ARRAY_LEN(colour); i++) {
        file = make_jpeg(16, 16, 3, colour[i], pixels);
        image = decode(file);
        assert_pixel(&image, 15, 15, 200, 50, 100, 3);
        tagmask_image_release(&image);
        free(file.data);
    }
    // As Adobe's programs store it: 255 is no ink. (255 - 55) / 255 of 200 / 255 and so on.
    for (size_t i = 0; i < 256; i++) memcpy(pixels + 4 * i, (const uint8_t[]){255, 51, 102, 200}, 4);
    const jpeg_options inks[] = {{JCS_CMYK, JCS_CMYK}, {JCS_CMYK, JCS_YCCK}, {JCS_CMYK, JCS_CMYK, false, true}};
    for (size_t i = 0; i < TM_ARRAY_LEN(inks); i++) {
        file = make_jpeg(16, 16, 4, inks[i], pixels);
        image = decode(file);
        if (inks[i].no_adobe) {
            assert_pixel(&image, 3, 3, 0, 44, 33, 3);
        } else {
            assert_pixel(&image, 3, 3, 200, 40, 80, 3);
        }
        tagmask_image_release(&image);
        free(file.data);
    }
}

// The last scan of a progressive file again and again: nothing new for the picture, but work.
static void endless_scans_are_refused(void **state) {
    (void)state;
    uint8_t pixels[16 * 16 * 3] = {0};
    bytes file = make_jpeg(16, 16, 3, (jpeg_options){JCS_RGB, JCS_YCbCr, true}, pixels);
    size_t scan = file.size - 2;
    while (file.data[scan] != 0xff || file.data[scan + 1] != 0xda) scan--;
    size_t length = file.size - 2 - scan;
    bytes bomb = {malloc(scan + 600 * length + 2), scan};
    memcpy(bomb.data, file.data, scan);
    for (int i = 0; i < 600; i++, bomb.size += length) memcpy(bomb.data + bomb.size, file.data + scan, length);
    memcpy(bomb.data + bomb.size, "\xff\xd9", 2);
    bomb.size += 2;
    assert_refused(bomb, TAGMASK_ERROR_FORMAT, "too many scans");
    free(bomb.data);
    free(file.data);
}

// ---- What is refused ------------------------------------------------------------------------------------------------

// Every prefix in its own allocation, so that a sanitizer sees a read beyond it.
static void every_truncation_is_an_error(void **state) {
    (void)state;
    float *noise = test_noise(3, 24 * 24 * 3, 0, 256);
    uint8_t pixels[24 * 24 * 3];
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)noise[i];
    free(noise);
    const bytes files[] = {
        make_png(24, 24, (png_options){SPNG_COLOR_TYPE_TRUECOLOR, 8, 0}, pixels, sizeof pixels),
        make_png(24, 24, (png_options){SPNG_COLOR_TYPE_GRAYSCALE, 8, 0}, pixels, 24 * 24),
        make_jpeg(24, 24, 3, (jpeg_options){JCS_RGB, JCS_YCbCr}, pixels),
        make_jpeg(24, 24, 3, (jpeg_options){JCS_RGB, JCS_YCbCr, true}, pixels),
    };
    for (size_t f = 0; f < TM_ARRAY_LEN(files); f++) {
        tagmask_image image = decode(files[f]);
        tagmask_image_release(&image);
        for (size_t cut = 0; cut < files[f].size; cut++) {
            tm_error err = TAGMASK_ERROR_INIT;
            uint8_t *part = malloc(cut ? cut : 1);
            memcpy(part, files[f].data, cut);
            if (tm_image_decode("cut", part, cut, &image, &err) == TAGMASK_OK) fail_msg("file %zu cut at %zu", f, cut);
            assert_non_null(strstr(err.message, "cut"));
            free(part);
        }
        free(files[f].data);
    }
}

// The header's width and height replaced.
static bytes resized_png(uint32_t width, uint32_t height) {
    bytes file = colour_png(4, 4, (png_options){SPNG_COLOR_TYPE_TRUECOLOR, 8, 0});
    for (int i = 0; i < 4; i++) {
        file.data[16 + i] = (uint8_t)(width >> (24 - 8 * i));
        file.data[20 + i] = (uint8_t)(height >> (24 - 8 * i));
    }
    png_repair(file.data, file.size);
    return file;
}

static void odd_sizes_are_refused(void **state) {
    (void)state;
    static const struct {
        uint32_t width, height;
        tagmask_status status;
        const char *word;
    } cases[] = {
        {0, 4, TAGMASK_ERROR_FORMAT, "expected at least one"},
        {4, 0, TAGMASK_ERROR_FORMAT, "expected at least one"},
        {65536, 1, TAGMASK_ERROR_UNSUPPORTED, "65536 x 1"},
        {20001, 20000, TAGMASK_ERROR_UNSUPPORTED, "400 megapixels"},
        {2147483647, 2147483647, TAGMASK_ERROR_UNSUPPORTED, "2147483647"},
        {4000, 4000, TAGMASK_ERROR_FORMAT, "too short"},
        {5, 4, TAGMASK_ERROR_FORMAT, "damaged"},
    };
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        bytes file = resized_png(cases[i].width, cases[i].height);
        assert_refused(file, cases[i].status, cases[i].word);
        free(file.data);
    }
    uint8_t pixels[16 * 16 * 3] = {0};
    bytes file = make_jpeg(16, 16, 3, (jpeg_options){JCS_RGB, JCS_YCbCr}, pixels);
    for (size_t i = 2; i + 9 < file.size; i++) {
        if (file.data[i] != 0xff || file.data[i + 1] != 0xc0) continue;
        memset(file.data + i + 5, 0x60, 4);  // 24,672 x 24,672
        break;
    }
    assert_refused(file, TAGMASK_ERROR_UNSUPPORTED, "24672 x 24672");
    free(file.data);
}

static void other_content_is_named(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        tagmask_status status;
        const char *word;
    } cases[] = {
        {"", 0, TAGMASK_ERROR_FORMAT, "is empty"},
        {"GIF89a..........", 16, TAGMASK_ERROR_UNSUPPORTED, "a GIF picture"},
        {"RIFF....WEBPVP8 ", 16, TAGMASK_ERROR_UNSUPPORTED, "a WebP picture"},
        {"BM..............", 16, TAGMASK_ERROR_UNSUPPORTED, "a BMP picture"},
        {"II*\0............", 16, TAGMASK_ERROR_UNSUPPORTED, "a TIFF picture"},
        {"MM\0*............", 16, TAGMASK_ERROR_UNSUPPORTED, "a TIFF picture"},
        {"\0\0\0\x18"
         "ftypheic....",
         16, TAGMASK_ERROR_UNSUPPORTED, "a HEIC picture"},
        {"\0\0\0\x18"
         "ftypmif1....",
         16, TAGMASK_ERROR_UNSUPPORTED, "a HEIF picture"},
        {"\0\0\0\x18"
         "ftypavif....",
         16, TAGMASK_ERROR_UNSUPPORTED, "AVIF picture"},
        {"\0\0\0\x18"
         "ftypisom....",
         16, TAGMASK_ERROR_UNSUPPORTED, "a film"},
        {"<!DOCTYPE html>.", 16, TAGMASK_ERROR_UNSUPPORTED, "a web page"},
        {"version https://git-lfs", 23, TAGMASK_ERROR_UNSUPPORTED, "git lfs pull"},
        {"just some text", 14, TAGMASK_ERROR_FORMAT, "not a picture"},
        {"\x89PNG", 4, TAGMASK_ERROR_FORMAT, "not a picture"},
        {"\xff\xd8\xff", 3, TAGMASK_ERROR_FORMAT, "JPEG"},
    };
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        assert_refused((bytes){(uint8_t *)cases[i].bytes, cases[i].size}, cases[i].status, cases[i].word);
    }
}

static void files_by_name(void **state) {
    (void)state;
    char *dir = test_temporary_dir(), *misnamed = tm_path_join(dir, "photo.jpg"),
         *missing = tm_path_join(dir, "no.png");
    tm_error err = TAGMASK_ERROR_INIT;
    const uint8_t rgb[] = {1, 2, 3};
    tagmask_image image = {.width = 77};
    assert_int_equal(tagmask_image_read("a.png", &image, &err), TAGMASK_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "struct_size"));
    image.struct_size = sizeof image;
    assert_ok(tm_png_write(misnamed, &(tm_png){1, 1, 3, 0, rgb, NULL, 0}, &err), &err);
    assert_int_equal(tagmask_image_read(missing, &image, &err), TAGMASK_ERROR_FILE);
    assert_non_null(strstr(err.message, "no.png"));
    assert_int_equal(tagmask_image_read(dir, &image, &err), TAGMASK_ERROR_FILE);
    assert_non_null(strstr(err.message, "is a folder; expected a file"));
    assert_int_equal(tagmask_image_read("/dev/zero", &image, &err), TAGMASK_ERROR_FILE);
    assert_non_null(strstr(err.message, "/dev/zero: is a pipe, socket or device"));
    char *fifo = tm_path_join(dir, "fifo.png");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(tagmask_image_read(fifo, &image, &err), TAGMASK_ERROR_FILE);  // and does not wait for a writer
    assert_non_null(strstr(err.message, "fifo.png: is a pipe"));
    free(fifo);
    assert_int_equal(chmod(misnamed, 0), 0);
    if (geteuid()) {  // root may read everything
        assert_int_equal(tagmask_image_read(misnamed, &image, &err), TAGMASK_ERROR_FILE);
        assert_non_null(strstr(err.message, "Permission denied"));
    }
    assert_int_equal(chmod(misnamed, 0600), 0);
    assert_int_equal(tagmask_image_read(NULL, &image, &err), TAGMASK_ERROR_ARGUMENT);
    assert_int_equal(image.width, 77);
    assert_ok(tagmask_image_read(misnamed, &image, &err), &err);
    assert_pixel(&image, 0, 0, 1, 2, 3, 0);
    tagmask_image_release(&image);
    tagmask_image_release(&image);
    tagmask_image_release(NULL);
    char *nowhere = tm_path_join(misnamed, "x.png");
    assert_int_equal(tm_png_write(nowhere, &(tm_png){1, 1, 3, 0, rgb, NULL, 0}, &err), TAGMASK_ERROR_FILE);
    free(nowhere);
    free(misnamed);
    free(missing);
    free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png_round_trip),
        cmocka_unit_test(png_kinds_are_converted),
        cmocka_unit_test(palettes_of_every_depth),
        cmocka_unit_test(deep_and_transparent_pngs),
        cmocka_unit_test(animated_png),
        cmocka_unit_test(extreme_sides),
        cmocka_unit_test(exif_orientation_is_applied),
        cmocka_unit_test(interlaced_png),
        cmocka_unit_test(jpeg_kinds_are_converted),
        cmocka_unit_test(endless_scans_are_refused),
        cmocka_unit_test(every_truncation_is_an_error),
        cmocka_unit_test(odd_sizes_are_refused),
        cmocka_unit_test(other_content_is_named),
        cmocka_unit_test(files_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
