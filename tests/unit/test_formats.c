// Label formats: what is written, read back with the libraries that other programs use, and what is never overwritten.
#include <cjson/cJSON.h>
#include <math.h>
#include <spng.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/formats.h"
#include "io/keyhole.h"
#include "io/lettering.h"
#include "io/npy.h"
#include "labels.h"

enum { W = TEST_W, H = TEST_H };

static tagmask_result *example(void) {
    return test_example("coffee cup");
}

static tagmask_image gray_photo(void) {
    static uint8_t pixels[W * H * 3];
    memset(pixels, 120, sizeof pixels);
    return (tagmask_image){sizeof(tagmask_image), W, H, 0, pixels};
}

static void propose(const tagmask_result *result, const char *format, const char *dir) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_image photo = gray_photo();
    assert_ok(tagmask_result_write(result, format, "photos/my.photo.jpg", &photo, dir, &err), &err);
}

// ---- Pictures and arrays --------------------------------------------------------------------------------------------

static void voc_is_an_index_map(void **state) {
    (void)state;
    char *dir = test_temporary_dir(), *path = tm_path_join(dir, "my.photo.png");
    tagmask_result *result = example();
    propose(result, "voc", dir);
    uint8_t *bytes = (uint8_t *)test_read_text(dir, "my.photo.png"), map[W * H];
    struct spng_ihdr ihdr;
    struct spng_plte plte;
    spng_ctx *ctx = spng_ctx_new(0);
    spng_set_png_buffer(ctx, bytes, 1 << 20);
    assert_int_equal(spng_get_ihdr(ctx, &ihdr), 0);
    assert_int_equal(spng_get_plte(ctx, &plte), 0);
    assert_int_equal(ihdr.color_type, SPNG_COLOR_TYPE_INDEXED);
    assert_int_equal(spng_decode_image(ctx, map, sizeof map, SPNG_FMT_PNG, 0), 0);
    spng_ctx_free(ctx);
    assert_memory_equal(map, tagmask_result_labels(result), sizeof map);
    // The first colours of the development kit, its 20th class, and void.
    static const int known[][4] = {{0, 0, 0, 0},     {1, 128, 0, 0}, {2, 0, 128, 0},      {3, 128, 128, 0},
                                   {20, 0, 64, 128}, {8, 64, 0, 0},  {255, 224, 224, 192}};
    for (size_t i = 0; i < TM_ARRAY_LEN(known); i++) {
        assert_int_equal(plte.entries[known[i][0]].red, known[i][1]);
        assert_int_equal(plte.entries[known[i][0]].green, known[i][2]);
        assert_int_equal(plte.entries[known[i][0]].blue, known[i][3]);
    }
    free(bytes);
    free(path);
    free(dir);
    tagmask_result_free(result);
}

static void prob_is_a_plane_a_tag(void **state) {
    (void)state;
    char *dir = test_temporary_dir(), *path = tm_path_join(dir, "my.photo.coffee_cup.npy");
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = example();
    tagmask_tensor t;
    propose(result, "prob", dir);
    assert_ok(tm_npy_read(path, &t, &err), &err);
    assert_int_equal(t.dtype, TAGMASK_FLOAT32);
    assert_int_equal(t.rank, 2);
    assert_int_equal(t.dims[0], H);
    assert_int_equal(t.dims[1], W);
    assert_memory_equal(t.data, tagmask_result_probability(result, 1), sizeof(float) * W * H);
    free(t.data);
    free(path);
    path = tm_path_join(dir, "my.photo.cat.npy");
    assert_true(tm_file_exists(path));
    free(path);
    free(dir);
    tagmask_result_free(result);
}

static void overlay_tints_masks_only(void **state) {
    (void)state;
    char *dir = test_temporary_dir(), *path = tm_path_join(dir, "my.photo.overlay.png");
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = example();
    tagmask_image image = {.struct_size = sizeof image};
    uint8_t colour[3];
    propose(result, "overlay", dir);
    assert_ok(tagmask_image_read(path, &image, &err), &err);
    assert_int_equal(image.width, W);
    assert_int_equal(image.height, H);
    tm_label_colour(1, colour);
    const uint8_t *inside = image.pixels + 3 * (3 * W + 4), *edge = image.pixels + 3 * (3 * W + 2);
    const uint8_t *far = image.pixels + 3 * (2 * W + 37);
    for (int c = 0; c < 3; c++) {
        assert_int_equal(far[c], 120);
        assert_int_equal(inside[c], (120 * 60 + colour[c] * 40 + 50) / 100);
        assert_int_equal(edge[c], (120 * 5 + colour[c] * 95 + 50) / 100);
    }
    tagmask_image_release(&image);
    free(path);
    free(dir);
    tagmask_result_free(result);
}

static int luminance(const uint8_t *p) {
    return 2126 * p[0] + 7152 * p[1] + 722 * p[2];
}

static void heatmap_is_brighter_where_more_probable(void **state) {
    (void)state;
    char *dir = test_temporary_dir(), *path = tm_path_join(dir, "my.photo.coffee_cup.heatmap.png");
    tm_error err = TAGMASK_ERROR_INIT;
    static const char *const tags[] = {"ramp"};
    uint8_t *labels = calloc(W, H);
    float *ramp = malloc(sizeof(float) * W * H);
    for (size_t i = 0; i < W * H; i++) ramp[i] = (float)(i % W) / (W - 1);
    ramp[0] = NAN;
    tagmask_result *result = example(), *ramps = NULL;
    tagmask_image image = {.struct_size = sizeof image};
    propose(result, "heatmap", dir);
    assert_ok(tagmask_image_read(path, &image, &err), &err);
    assert_int_equal(image.height, H + 9);
    assert_int_equal(image.width, W + 16);
    assert_true(luminance(image.pixels + 3 * (20 * W + 20 * 16 + 25)) > luminance(image.pixels + 3 * 2));
    tagmask_image_release(&image);
    free(path);
    assert_ok(tm_result_create(W, H, tags, NULL, 1, ramp, labels, (tm_region_rules){0}, &ramps, &err), &err);
    propose(ramps, "heatmap", dir);
    path = tm_path_join(dir, "my.photo.ramp.heatmap.png");
    assert_ok(tagmask_image_read(path, &image, &err), &err);
    for (uint32_t x = 1; x < W; x++) {
        assert_true(luminance(image.pixels + image.stride + 3 * x) >
                    luminance(image.pixels + image.stride + 3 * x - 3));
    }
    // The bar: white margin, dark at the bottom, bright at the top.
    uint32_t bar = W + 16 / 4 + 1;
    assert_int_equal(image.pixels[3 * (W + 1)], 255);
    assert_true(luminance(image.pixels + 8 * image.stride + 3 * bar) >
                luminance(image.pixels + (H - 9) * image.stride + 3 * bar));
    // A 1 above it, a 0 below, and the words: "ramp: probability" begins with an R at (2, H + 2).
    assert_int_equal(luminance(image.pixels + image.stride + 3 * (W + 5)), 0);
    assert_int_equal(luminance(image.pixels + (H - 6) * image.stride + 3 * (W + 5)), 0);
    static const char *const letter[] = {"###.", "#..#", "###.", "#.#.", "#..#"};
    for (uint32_t y = 0; y < 5; y++) {
        for (uint32_t x = 0; x < 4; x++)
            assert_int_equal(image.pixels[(H + 2 + y) * image.stride + 3 * (2 + x)], letter[y][x] == '#' ? 0 : 255);
    }
    tagmask_image_release(&image);
    free(path);
    free(dir);
    tagmask_result_free(result);
    tagmask_result_free(ramps);
}

static void map_shows_the_class_map(void **state) {
    (void)state;
    char *dir = test_temporary_dir(), *path = tm_path_join(dir, "my.photo.coffee_cup.map.png");
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = example();
    tagmask_image photo = gray_photo(), image = {.struct_size = sizeof image};
    propose(result, "map", dir);
    assert_ok(tagmask_image_read(path, &image, &err), &err);
    assert_int_equal(image.height, H + 9);
    const uint8_t *row = image.pixels + 20 * image.stride;
    for (uint32_t x = W / 4 + 1; x < 3 * W / 4; x++) assert_true(luminance(row + 3 * x) > luminance(row + 3 * (x - 1)));
    tagmask_image_release(&image);
    free(result->maps);
    result->maps = NULL;
    assert_int_equal(tagmask_result_write(result, "map", "a.jpg", &photo, dir, &err), TAGMASK_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "keep_maps"));
    free(path);
    free(dir);
    tagmask_result_free(result);
}

// Every letter lies inside the line, and none but the space is empty.
static void letters_are_drawn(void **state) {
    (void)state;
    enum { WIDE = 64, SCALE = 2, TALL = TM_LETTER_ROWS * SCALE };
    for (int code = 33; code < 127; code++) {
        uint8_t rgb[3 * WIDE * TALL];
        const char text[] = {(char)code, 0};
        size_t black = 0;
        memset(rgb, 255, sizeof rgb);
        uint32_t width = tm_letters_width(text, SCALE);
        tm_letters_draw(rgb, WIDE, 4, 0, WIDE, SCALE, text);
        for (size_t i = 0; i < WIDE * TALL; i++) {
            if (rgb[3 * i]) continue;
            black++;
            assert_in_range(i % WIDE, 4, 3 + width);
        }
        assert_true(black > 0);
        // What does not fit is left out.
        memset(rgb, 255, sizeof rgb);
        tm_letters_draw(rgb, WIDE, 4, 0, 3 + width, SCALE, text);
        for (size_t i = 0; i < WIDE * TALL; i++) assert_int_equal(rgb[3 * i], 255);
    }
    assert_int_equal(tm_letters_width("", 3), 0);
    assert_int_equal(tm_letters_width("a\xc3\xa4", 1), 9);  // one box for what is not ASCII
    assert_int_equal(tm_letters_width("B", 3), 12);
}

static void expect_refusal(const tagmask_result *result, const char *format, const char *photo_path, const char *dir,
                           const char *path, const char *word) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_image photo = gray_photo();
    uint8_t *before = NULL, *after = NULL;
    size_t before_size = 0, after_size = 0;
    assert_ok(tm_read_file(path, 1 << 24, &before, &before_size, &err), &err);
    assert_int_not_equal(tagmask_result_write(result, format, photo_path, &photo, dir, &err), TAGMASK_OK);
    if (!strstr(err.message, word)) fail_msg("\"%s\" does not say \"%s\"", err.message, word);
    assert_ok(tm_read_file(path, 1 << 24, &after, &after_size, &err), &err);
    assert_int_equal(before_size, after_size);
    assert_memory_equal(before, after, before_size);
    free(before);
    free(after);
}

static void pictures_of_others_are_kept(void **state) {
    (void)state;
    char *dir = test_temporary_dir(), *path = tm_path_join(dir, "a.png");
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = example();
    tagmask_image photo = gray_photo();
    tm_png own = {W, H, 3, 0, photo.pixels, NULL, 0};
    assert_ok(tm_png_write(path, &own, &err), &err);
    expect_refusal(result, "voc", path, dir, path, "the photo itself");
    expect_refusal(result, "voc", "b/a.jpg", dir, path, "not written by tagmask");
    test_write_text(dir, "a.png", "");
    expect_refusal(result, "voc", "b/a.jpg", dir, path, "not written by tagmask");
    unlink(path);
    assert_ok(tagmask_result_write(result, "voc", "b/a.jpg", &photo, dir, &err), &err);
    assert_ok(tagmask_result_write(result, "voc", "b/a.jpg", &photo, dir, &err), &err);
    // A palette entry changed by a painting program that keeps the texts.
    uint8_t *bytes = NULL;
    size_t size = 0;
    assert_ok(tm_read_file(path, 1 << 24, &bytes, &size, &err), &err);
    for (size_t i = 8; i + 8 < size; i++) {
        if (!memcmp(bytes + i, "PLTE", 4)) bytes[i + 9] ^= 1;
    }
    assert_ok(tm_write_file(path, bytes, size, &err), &err);
    free(bytes);
    expect_refusal(result, "voc", "b/a.jpg", dir, path, "changed since");
    free(path);
    free(dir);
    tagmask_result_free(result);
}

// ---- labelme --------------------------------------------------------------------------------------------------------

static void labelme_has_its_members(void **state) {
    (void)state;
    char *dir = test_temporary_dir(), *path = tm_path_join(dir, "my.photo.json");
    tagmask_result *result = example();
    propose(result, "labelme", dir);
    cJSON *root = test_read_json(dir, "my.photo.json"), *shapes = test_member(root, "shapes"), *shape;
    assert_true(cJSON_IsString(test_member(root, "version")));
    assert_true(cJSON_IsObject(test_member(root, "flags")));
    assert_true(cJSON_IsNull(test_member(root, "imageData")));
    assert_string_equal(test_member(root, "imagePath")->valuestring, "photos/my.photo.jpg");
    assert_int_equal(test_member(root, "imageWidth")->valueint, W);
    assert_int_equal(test_member(root, "imageHeight")->valueint, H);
    assert_int_equal(cJSON_GetArraySize(shapes), 3);
    uint8_t map[W * H] = {0};
    int number = 0;
    cJSON_ArrayForEach(shape, shapes) {
        bool cat = number++ < 2;
        assert_string_equal(test_member(shape, "label")->valuestring, cat ? "cat" : "coffee cup");
        assert_string_equal(test_member(shape, "shape_type")->valuestring, "polygon");
        assert_true(cJSON_IsNull(test_member(shape, "group_id")));  // two cats are two objects
        assert_string_equal(test_member(shape, "description")->valuestring, "tagmask 0.75");
        assert_true(cJSON_IsObject(test_member(shape, "flags")));
        assert_true(cJSON_IsNull(test_member(shape, "mask")));
        uint8_t one[W * H] = {0};
        double points[200];
        test_flip_ring(one, points, test_numbers_of(test_member(shape, "points"), points) / 2);
        for (size_t i = 0; i < W * H; i++) map[i] = one[i] ? (cat ? 1 : 2) : map[i];
    }
    assert_memory_equal(map, tagmask_result_labels(result), sizeof map);  // the hole is one, too
    cJSON_Delete(root);
    free(path);
    free(dir);
    tagmask_result_free(result);
}

static void image_path_is_relative_to_the_file(void **state) {
    (void)state;
    static const struct {
        const char *photo, *out, *expected;
    } cases[] = {
        {"photos/a.jpg", "photos", "a.jpg"},
        {"photos/a.jpg", "labels", "../photos/a.jpg"},
        {"photos/a.jpg", "labels/deep/er", "../../../photos/a.jpg"},
        {"photos/a.jpg", "photosets", "../photos/a.jpg"},
        {"photos/a.jpg", ".", "photos/a.jpg"},
    };
    char *dir = test_temporary_dir(), *photos = tm_path_join(dir, "photos"), *photo = tm_path_join(photos, "a.jpg");
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_make_dirs(photos, &err), &err);
    test_write_text(photos, "a.jpg", "");
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        char *from = tm_path_join(dir, cases[i].photo), *out = tm_path_join(dir, cases[i].out);
        assert_ok(tm_make_dirs(out, &err), &err);
        char *seen = tm_path_from(out, from);
        assert_string_equal(seen, cases[i].expected);
        free(seen);
        free(from);
        free(out);
    }
    free(photo);
    free(photos);
    free(dir);
}

static void untouched_proposals_are_replaced(void **state) {
    (void)state;
    char *dir = test_temporary_dir(), *path = tm_path_join(dir, "my.photo.json");
    tagmask_result *result = example();
    propose(result, "labelme", dir);
    char *first = test_read_text(dir, "my.photo.json");
    propose(result, "labelme", dir);
    char *second = test_read_text(dir, "my.photo.json");
    assert_string_equal(first, second);
    static const char *const tags[] = {"cat"};
    uint8_t map[W * H] = {0};
    test_fill_box(map, 1, 1, 20, 20, 1);
    tagmask_result *other = test_result_of(map, tags, 1);
    propose(other, "labelme", dir);
    cJSON *root = test_read_json(dir, "my.photo.json");
    assert_int_equal(cJSON_GetArraySize(test_member(root, "shapes")), 1);
    assert_int_equal(cJSON_GetArraySize(test_member(test_member(root, "tagmask"), "proposals")), 1);
    cJSON_Delete(root);
    free(first);
    free(second);
    free(path);
    free(dir);
    tagmask_result_free(other);
    tagmask_result_free(result);
}

// As labelme saves: other members kept, numbers as floats.
static void a_persons_work_is_kept(void **state) {
    (void)state;
    char *dir = test_temporary_dir(), *path = tm_path_join(dir, "my.photo.json");
    tagmask_result *result = example();
    propose(result, "labelme", dir);
    cJSON *root = test_read_json(dir, "my.photo.json"), *shapes = test_member(root, "shapes");
    cJSON_AddBoolToObject(test_member(root, "flags"), "checked", true);
    cJSON_AddStringToObject(root, "reviewer", "Ada");
    // Shape 0: deleted. 1: a corner moved. 2: given another name. A new one is drawn where nothing is proposed.
    cJSON_DeleteItemFromArray(shapes, 0);
    cJSON *corner = cJSON_GetArrayItem(test_member(cJSON_GetArrayItem(shapes, 0), "points"), 0);
    cJSON_SetNumberValue(cJSON_GetArrayItem(corner, 0), 19.5);
    cJSON_SetValuestring(test_member(cJSON_GetArrayItem(shapes, 1), "label"), "mug");
    cJSON_AddItemToArray(shapes, cJSON_Parse("{\"label\": \"dog\", \"points\": [[1, 20], [5, 20.25], [5, 25]],"
                                             "\"group_id\": 7, \"shape_type\": \"polygon\", \"flags\": {}}"));
    char *before = cJSON_PrintUnformatted(shapes);
    test_write_json(dir, "my.photo.json", root);
    for (int again = 0; again < 2; again++) {
        propose(result, "labelme", dir);
        root = test_read_json(dir, "my.photo.json");
        char *after = cJSON_PrintUnformatted(test_member(root, "shapes"));
        assert_string_equal(after, before);
        assert_true(cJSON_IsTrue(test_member(test_member(root, "flags"), "checked")));
        assert_string_equal(test_member(root, "reviewer")->valuestring, "Ada");
        cJSON_free(after);
        cJSON_Delete(root);
    }
    // Something new elsewhere still comes in.
    static const char *const tags[] = {"dog", "cat"};
    uint8_t map[W * H] = {0};
    test_fill_box(map, 1, 20, 4, 5, 1);
    test_fill_box(map, 28, 1, 10, 10, 2);
    tagmask_result *other = test_result_of(map, tags, 2);
    propose(other, "labelme", dir);
    root = test_read_json(dir, "my.photo.json");
    shapes = test_member(root, "shapes");
    assert_int_equal(cJSON_GetArraySize(shapes), 4);  // the person's dog stands for the proposed one
    assert_string_equal(test_member(cJSON_GetArrayItem(shapes, 3), "label")->valuestring, "cat");
    cJSON_Delete(root);
    cJSON_free(before);
    free(path);
    free(dir);
    tagmask_result_free(other);
    tagmask_result_free(result);
}

static void a_flag_or_a_remark_is_work(void **state) {
    (void)state;
    char *dir = test_temporary_dir(), *path = tm_path_join(dir, "my.photo.json");
    tagmask_result *result = example();
    propose(result, "labelme", dir);
    cJSON *root = test_read_json(dir, "my.photo.json"), *shapes = test_member(root, "shapes");
    cJSON_AddBoolToObject(test_member(cJSON_GetArrayItem(shapes, 0), "flags"), "occluded", true);
    cJSON_AddBoolToObject(test_member(cJSON_GetArrayItem(shapes, 1), "flags"), "occluded", false);
    cJSON_SetValuestring(test_member(cJSON_GetArrayItem(shapes, 2), "description"), "looks right");
    test_write_json(dir, "my.photo.json", root);
    static const char *const tags[] = {"bird"};
    uint8_t map[W * H] = {0};
    test_fill_box(map, 30, 1, 6, 6, 1);
    tagmask_result *other = test_result_of(map, tags, 1);
    propose(other, "labelme", dir);
    root = test_read_json(dir, "my.photo.json");
    shapes = test_member(root, "shapes");
    assert_int_equal(cJSON_GetArraySize(shapes), 3);
    assert_string_equal(test_member(cJSON_GetArrayItem(shapes, 0), "label")->valuestring, "cat");
    assert_string_equal(test_member(cJSON_GetArrayItem(shapes, 1), "label")->valuestring, "bird");  // as the cat was
    assert_string_equal(test_member(cJSON_GetArrayItem(shapes, 2), "description")->valuestring, "looks right");
    cJSON_Delete(root);
    free(path);
    free(dir);
    tagmask_result_free(other);
    tagmask_result_free(result);
}

static void odd_label_files_are_kept(void **state) {
    (void)state;
    char *dir = test_temporary_dir(), *path = tm_path_join(dir, "a.json");
    tagmask_result *result = example();
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"", "no labelme file"},
        {"{\"shapes\": [", "no labelme file"},
        {"[1, 2]", "no labelme file"},
        {"{\"images\": []}", "no labelme file"},
        {"{\"shapes\": {}}", "no labelme file"},
        {"{\"shapes\": [], \"imageWidth\": 41}", "imageWidth is 41"},
        {"{\"shapes\": [], \"imageHeight\": 29}", "imageHeight is 29"},
        {"{\"shapes\": [], \"tagmask\": 1}", "is damaged"},
        {"{\"shapes\": [], \"tagmask\": {\"proposals\": {}}}", "is damaged"},
    };
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        test_write_text(dir, "a.json", cases[i].text);
        expect_refusal(result, "labelme", "a.jpg", dir, path, cases[i].word);
    }
    char *deep = malloc(200001);
    memset(deep, '[', 200000);
    deep[200000] = 0;
    test_write_text(dir, "a.json", deep);
    expect_refusal(result, "labelme", "a.jpg", dir, path, "no labelme file");
    free(deep);
    // Odd entries are a person's, whatever they are.
    test_write_text(dir, "a.json",
                    "{\"shapes\": [null, 3, \"x\", [], {}, {\"label\": 5, \"points\": 5, \"tagmask\": {\"id\": 4}},"
                    "{\"label\": \"cat\", \"points\": [[], [1], [\"a\", null]]}],"
                    "\"tagmask\": {\"proposals\": [1, null, {}, {\"id\": 1, \"tag\": 2, \"box\": 3}]}}");
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tagmask_result_write(result, "labelme", "a.jpg", NULL, dir, &err), &err);
    cJSON *root = test_read_json(dir, "a.json");
    assert_int_equal(cJSON_GetArraySize(test_member(root, "shapes")), 10);
    cJSON_Delete(root);
    free(path);
    free(dir);
    tagmask_result_free(result);
}

// ---- Keyholes -------------------------------------------------------------------------------------------------------

static void keyholes_keep_the_area(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        float *noise = test_noise(seed, W * H, 0, 1);
        uint8_t map[W * H], again[W * H] = {0};
        for (size_t i = 0; i < W * H; i++) map[i] = noise[i] < 0.75f;
        tm_error err = TAGMASK_ERROR_INIT;
        tm_regions regions = {0};
        const tm_region_rules rules = {-1, -1, 0};
        size_t holes = 0;
        assert_ok(tm_regions_find(map, W, H, 1, NULL, &rules, &regions, &err), &err);
        for (size_t i = 0; i < regions.count; i++) {
            float *points = NULL;
            size_t count = 0;
            assert_true(tm_keyhole(&regions.items[i], &points, &count));
            double *ring = malloc(2 * count * sizeof *ring);
            for (size_t k = 0; k < 2 * count; k++) ring[k] = points[k];
            test_flip_ring(again, ring, (int)count);
            free(ring);
            holes += regions.items[i].hole_count;
            free(points);
        }
        assert_true(holes > 5);
        assert_memory_equal(again, map, sizeof map);
        tm_regions_free(&regions);
        free(noise);
    }
}

static void a_keyhole_bridges_at_the_nearest_corner(void **state) {
    (void)state;
    const float outline[] = {0, 0, 10, 0, 10, 10, 0, 10}, hole[] = {2, 4, 4, 4, 4, 2, 2, 2};
    const float *const holes[] = {hole};
    const size_t hole_points[] = {4};
    const tagmask_region region = {
        .outline = outline, .outline_points = 4, .hole_count = 1, .holes = holes, .hole_points = hole_points};
    const float expected[] = {0, 0, 2, 4, 4, 4, 4, 2, 2, 2, 2, 4, 0, 0, 10, 0, 10, 10, 0, 10};
    float *points = NULL;
    size_t count = 0;
    assert_true(tm_keyhole(&region, &points, &count));
    assert_int_equal(count, 10);
    for (size_t i = 0; i < 20; i++) assert_true(points[i] == expected[i]);
    free(points);
}

// ---- The writer -----------------------------------------------------------------------------------------------------

static void bad_calls(void **state) {
    (void)state;
    char *dir = test_temporary_dir(), *file = tm_path_join(dir, "file"), *below = tm_path_join(file, "out");
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = example();
    tagmask_image photo = gray_photo();
    test_write_text(dir, "file", "x");
    assert_int_equal(tagmask_result_write(result, "nope", "a.jpg", &photo, dir, &err), TAGMASK_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "labelme"));
    assert_int_equal(tagmask_result_write(result, "overlay", "a.jpg", NULL, dir, &err), TAGMASK_ERROR_ARGUMENT);
    assert_int_equal(tagmask_result_write(result, "voc", "folder/", &photo, dir, &err), TAGMASK_ERROR_ARGUMENT);
    assert_int_equal(tagmask_result_write(NULL, "voc", "a.jpg", &photo, dir, &err), TAGMASK_ERROR_ARGUMENT);
    photo.width--;
    assert_int_equal(tagmask_result_write(result, "voc", "a.jpg", &photo, dir, &err), TAGMASK_ERROR_ARGUMENT);
    photo.width++;
    for (size_t i = 0; tagmask_format_name(i); i++) {
        assert_int_equal(tagmask_result_write(result, tagmask_format_name(i), "a.jpg", &photo, below, &err),
                         TAGMASK_ERROR_FILE);
        assert_non_null(strstr(err.message, below));
    }
    free(below);
    free(file);
    free(dir);
    tagmask_result_free(result);
}

static void formats_have_names(void **state) {
    (void)state;
    static const char *const wanted[] = {"labelme", "voc", "overlay", "prob", "heatmap"};
    size_t count = 0;
    while (tagmask_format_name(count)) count++;
    assert_true(count >= TM_ARRAY_LEN(wanted));
    for (size_t i = 0; i < TM_ARRAY_LEN(wanted); i++) assert_non_null(tm_label_format_find(wanted[i]));
}

static void names_stay_inside_the_folder(void **state) {
    (void)state;
    static const char *const tags[] = {"../a/b:c"};
    char *dir = test_temporary_dir(), *path = tm_path_join(dir, "x..._a_b_c.npy");
    uint8_t map[W * H] = {0};
    tagmask_result *result = test_result_of(map, tags, 1);
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tagmask_result_write(result, "prob", "x.jpg", NULL, dir, &err), &err);
    assert_true(tm_file_exists(path));
    free(path);
    free(dir);
    tagmask_result_free(result);
}

static void results_have_getters(void **state) {
    (void)state;
    tagmask_result *result = example();
    assert_int_equal(tagmask_result_width(result), W);
    assert_int_equal(tagmask_result_height(result), H);
    assert_int_equal(tagmask_result_tag_count(result), 2);
    assert_string_equal(tagmask_result_tag(result, 1), "coffee cup");
    assert_null(tagmask_result_tag(result, 2));
    assert_string_equal(tagmask_result_note(result, 0), "");
    assert_null(tagmask_result_note(result, 2));
    assert_null(tagmask_result_probability(result, 2));
    assert_int_equal(tagmask_result_region_count(result), 3);
    tagmask_region region = {.struct_size = offsetof(tagmask_region, area), .area = 77};
    assert_int_equal(tagmask_result_region(result, 2, &region), TAGMASK_OK);
    assert_int_equal(region.tag, 1);
    assert_true(region.score == 0.75f);
    assert_int_equal(region.area, 77);  // an older, shorter struct is not written beyond its end
    assert_int_equal(region.struct_size, offsetof(tagmask_region, area));
    region.struct_size = sizeof region;
    assert_int_equal(tagmask_result_region(result, 3, &region), TAGMASK_ERROR_ARGUMENT);
    tagmask_result_free(result);
    tagmask_result_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(voc_is_an_index_map),
        cmocka_unit_test(prob_is_a_plane_a_tag),
        cmocka_unit_test(overlay_tints_masks_only),
        cmocka_unit_test(heatmap_is_brighter_where_more_probable),
        cmocka_unit_test(map_shows_the_class_map),
        cmocka_unit_test(letters_are_drawn),
        cmocka_unit_test(pictures_of_others_are_kept),
        cmocka_unit_test(labelme_has_its_members),
        cmocka_unit_test(image_path_is_relative_to_the_file),
        cmocka_unit_test(untouched_proposals_are_replaced),
        cmocka_unit_test(a_persons_work_is_kept),
        cmocka_unit_test(a_flag_or_a_remark_is_work),
        cmocka_unit_test(odd_label_files_are_kept),
        cmocka_unit_test(keyholes_keep_the_area),
        cmocka_unit_test(a_keyhole_bridges_at_the_nearest_corner),
        cmocka_unit_test(bad_calls),
        cmocka_unit_test(formats_have_names),
        cmocka_unit_test(names_stay_inside_the_folder),
        cmocka_unit_test(results_have_getters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
