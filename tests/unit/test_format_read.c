// Label files read back: round trips, what other programs write, and damaged files.
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/formats.h"
#include "labels.h"
#include "pictures.h"

enum { W = TEST_W, H = TEST_H };

static const char *const formats[] = {"labelme", "coco",        "coco-rle",     "coco-rle-crowd",
                                      "voc",     "yolo",        "label-studio", "label-studio-polygon",
                                      "cvat",    "labelme-mask"};
static const char *const files[] = {"a.json",   "coco.json", "coco-rle.json",     "coco-rle-crowd.json",
                                    "a.png",    "a.txt",     "label-studio.json", "label-studio-polygon.json",
                                    "cvat.xml", "a.json"};

static tagmask_result *result_of(const uint8_t *map, size_t count) {
    static const char *const tags[] = {"cat", "coffee cup", "dog"};
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = NULL;
    uint8_t *labels = malloc(W * H);
    float *probability = calloc(W * H * count, sizeof *probability);
    memcpy(labels, map, W * H);
    assert_ok(
        tm_result_create(W, H, tags, NULL, count, probability, labels, (tm_region_rules){-1, -1, 0}, &result, &err),
        &err);
    return result;
}

static void write_text(const char *dir, const char *name, const char *text, size_t size) {
    char *path = tm_path_join(dir, name);
    FILE *file =
        fopen(path, "wb");  // without the flush to disk of tm_write_file, which thousands of files would wait for
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    free(path);
}

static tagmask_status read_file(const char *format, const char *dir, const char *name, tagmask_result **result,
                                tm_error *err) {
    char *path = tm_path_join(dir, name);
    tagmask_status status = tagmask_result_read(format, path, "photos/a.jpg", W, H, result, err);
    if (status != TAGMASK_OK && !strstr(err->message, name)) fail_msg("\"%s\" does not name %s", err->message, name);
    free(path);
    return status;
}

static void noise_makes_the_round_trip(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        float *noise = test_noise(seed, W * H, 0, 4);
        uint8_t map[W * H];
        for (size_t i = 0; i < W * H; i++) map[i] = (uint8_t)noise[i];
        tagmask_result *result = result_of(map, 3);
        char *dir = test_temporary_dir();
        for (size_t f = 0; f < TM_ARRAY_LEN(formats); f++) {
            tm_error err = TAGMASK_ERROR_INIT;
            tagmask_result *again = NULL;
            assert_ok(tagmask_result_write(result, formats[f], "photos/a.jpg", NULL, dir, &err), &err);
            assert_ok(read_file(formats[f], dir, files[f], &again, &err), &err);
            assert_int_equal(tagmask_result_width(again), W);
            assert_int_equal(tagmask_result_height(again), H);
            test_assert_same_masks(result, again);
            for (size_t i = 0; i < W * H; i++) {
                uint8_t label = tagmask_result_labels(again)[i];
                for (size_t tag = 0; tag < tagmask_result_tag_count(again); tag++) {
                    assert_true(tagmask_result_probability(again, tag)[i] == (label == tag + 1));
                }
            }
            tagmask_result_free(again);
        }
        free(dir);
        tagmask_result_free(result);
        free(noise);
    }
}

static void one_format_becomes_another(void **state) {
    (void)state;
    uint8_t map[W * H] = {0};
    for (int y = 5; y < 20; y++) memset(map + y * W + 3, y < 12 ? 1 : 3, 22);
    tagmask_result *result = result_of(map, 3);
    char *dir = test_temporary_dir();
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tagmask_result_write(result, formats[0], "photos/a.jpg", NULL, dir, &err), &err);
    for (size_t f = 0; f + 1 < TM_ARRAY_LEN(formats); f++) {
        tagmask_result *again = NULL;
        assert_ok(read_file(formats[f], dir, files[f], &again, &err), &err);
        assert_int_equal(tagmask_result_tag_count(again), 2);  // the cup has no pixels and is not in the files
        test_assert_same_masks(result, again);
        assert_ok(tagmask_result_write(again, formats[f + 1], "photos/a.jpg", NULL, dir, &err), &err);
        tagmask_result_free(again);
    }
    free(dir);
    tagmask_result_free(result);
}

static tagmask_result *read_ok(const char *format, const char *dir, const char *name, const char *text) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = NULL;
    write_text(dir, name, text, strlen(text));
    assert_ok(read_file(format, dir, name, &result, &err), &err);
    return result;
}

static size_t count_label(const tagmask_result *result, uint8_t label) {
    size_t count = 0;
    for (size_t i = 0; i < W * H; i++) count += tagmask_result_labels(result)[i] == label;
    return count;
}

static void labelme_shapes(void **state) {
    (void)state;
    char *dir = test_temporary_dir();
    // A PNG of 3 x 2 gray pixels, 0 1 1 / 1 0 1, as labelme stores masks.
    const uint8_t bits[] = {0, 1, 1, 1, 0, 1};
    uint8_t *png = NULL;
    size_t size = 0;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_png_encode(&(tm_png){3, 2, 1, 0, bits, NULL, 0}, &png, &size, &err), &err);
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char text[2000], base64[400] = "";
    for (size_t i = 0, used = 0; i < size; i += 3) {
        uint32_t group =
            (uint32_t)png[i] << 16 | (i + 1 < size ? png[i + 1] << 8 : 0) | (i + 2 < size ? png[i + 2] : 0);
        for (int k = 0; k < 4; k++) base64[used++] = k > (int)(size - i) ? '=' : digits[group >> (18 - 6 * k) & 63];
        base64[used] = 0;
    }
    snprintf(text, sizeof text,
             "{\"imageWidth\": 40, \"imageHeight\": 30, \"shapes\": ["
             "{\"label\": \"old\", \"points\": [[1, 1], [5, 1], [5, 4], [1, 4]]},"
             "{\"label\": \"box\", \"shape_type\": \"rectangle\", \"points\": [[20, 9], [10, 5]]},"
             "{\"label\": \"round\", \"shape_type\": \"circle\", \"points\": [[30, 20], [35, 20]]},"
             "{\"label\": \"soft\", \"shape_type\": \"mask\", \"points\": [[38, 0], [40, 1]], \"mask\": \"%s\"},"
             "{\"label\": \"spot\", \"shape_type\": \"point\", \"points\": [[3, 3]]},"
             "{\"label\": \"old\", \"shape_type\": \"polygon\", \"points\": [[-9, 28], [3, 28], [3, 99], [-9, 99]]}]}",
             base64);
    tagmask_result *result = read_ok("labelme", dir, "a.json", text);
    assert_int_equal(tagmask_result_tag_count(result), 4);
    assert_int_equal(count_label(result, 1), 12 + 6);
    assert_int_equal(count_label(result, 2), 40);
    assert_in_range(count_label(result, 3), 76, 81);  // pi 25
    assert_int_equal(count_label(result, 4), 2);      // what lies on the photo: 0 1 / 1 0
    assert_int_equal(tagmask_result_labels(result)[39], 4);
    assert_int_equal(tagmask_result_labels(result)[W + 38], 4);
    tagmask_result_free(result);
    free(png);
    free(dir);
}

static void coco_of_others(void **state) {
    (void)state;
    char *dir = test_temporary_dir();
    tagmask_result *result = read_ok(
        "coco", dir, "instances.json",
        "{\"images\": [{\"id\": 3, \"file_name\": \"train/a.jpg\", \"width\": 40, \"height\": 30}, {\"id\": 4}],"
        "\"categories\": [{\"id\": 18, \"name\": \"dog\"}, {\"id\": 1, \"name\": \"person\"}], \"annotations\": ["
        "{\"id\": 1, \"image_id\": 3, \"category_id\": 18, \"segmentation\": [[0, 0, 4, 0, 4, 2, 0, 2],"
        "[10, 0, 12.4, 0, 12.4, 2, 10, 2]]},"
        "{\"id\": 2, \"image_id\": 3, \"category_id\": 1, \"iscrowd\": 1, \"segmentation\": {\"size\": [30, 40],"
        "\"counts\": [1170, 30]}},"
        "{\"id\": 3, \"image_id\": 3, \"category_id\": 1, \"bbox\": [1, 2, 3, 4]},"
        "{\"id\": 5, \"image_id\": 3, \"category_id\": 1, \"bbox\": [1, 2, 3, 4], \"segmentation\": null},"
        "{\"id\": 4, \"image_id\": 4, \"category_id\": 1, \"segmentation\": [[0, 0, 40, 0, 40, 30]]}]}");
    assert_int_equal(tagmask_result_tag_count(result), 2);
    assert_string_equal(tagmask_result_tag(result, 0), "dog");
    assert_int_equal(count_label(result, 1), 8 + 4);
    assert_int_equal(count_label(result, 2), 30);
    tagmask_result_free(result);
    free(dir);
}

static void label_studio_of_others(void **state) {
    (void)state;
    char *dir = test_temporary_dir();
    // A person's annotation counts, not the prediction; boxes are passed over.
    tagmask_result *result = read_ok(
        "label-studio-polygon", dir, "export.json",
        "[{\"data\": {\"image\": \"/data/upload/1/b.jpg\"}}, {\"data\": {\"image\": \"s3://x/a.jpg\"},"
        "\"predictions\": [{\"result\": [{\"type\": \"polygonlabels\", \"value\": {\"points\": [[0, 0], [100, 0], [100,"
        "100]], \"polygonlabels\": [\"cat\"]}}]}], \"annotations\": [{\"result\": []}, {\"result\": ["
        "{\"type\": \"rectanglelabels\", \"value\": {}}, {\"type\": \"polygonlabels\", \"original_width\": 40,"
        "\"value\": {\"points\": [[0, 0], [50, 0], [50, 10], [0, 10]], \"polygonlabels\": [\"dog\"]}}]}, "
        "{\"was_cancelled\": true, \"result\": []}]}]");
    assert_int_equal(tagmask_result_tag_count(result), 1);
    assert_string_equal(tagmask_result_tag(result, 0), "dog");
    assert_int_equal(count_label(result, 1), 20 * 3);
    tagmask_result_free(result);
    free(dir);
}

static void yolo_of_others(void **state) {
    (void)state;
    char *dir = test_temporary_dir();
    write_text(dir, "classes.txt",
               "\xef\xbb\xbf"
               "cat\r\ndog",
               11);
    tagmask_result *result = read_ok("yolo", dir, "a.txt", "1 0 0 0.5 0 0.5 0.5 0 0.5\r\n\n7 0.5 0.5 1 0.5 1 1 0.5 1 ");
    assert_int_equal(tagmask_result_tag_count(result), 2);
    assert_string_equal(tagmask_result_tag(result, 0), "dog");
    assert_string_equal(tagmask_result_tag(result, 1), "7");
    assert_int_equal(count_label(result, 1), 300);
    assert_int_equal(count_label(result, 2), 300);
    tagmask_result_free(result);
    result = read_ok("yolo", dir, "a.txt", "");
    assert_int_equal(tagmask_result_tag_count(result), 0);
    assert_int_equal(tagmask_result_region_count(result), 0);
    tagmask_result_free(result);
    free(dir);
}

static void cvat_of_others(void **state) {
    (void)state;
    char *dir = test_temporary_dir();
    tagmask_result *result = read_ok(
        "cvat", dir, "annotations.xml",
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><annotations><image id=\"0\" name=\"b.jpg\" width=\"9\" "
        "height=\"9\"><mask label=\"x\"/></image><image id=\"1\" name=\"day/a.jpg\" width=\"40\" height=\"30\">"
        "<polygon label=\"salt &amp; pepper\" points=\"0.00,0.00;4.00,0.00;4.00,2.00;0.00,2.00\"><attribute "
        "name=\"a\">1</attribute></polygon><box label=\"car\" xtl=\"1\" ytl=\"1\" xbr=\"9\" ybr=\"9\"/>"
        "<mask label=\"dog\" rle=\"1, 3\" left=\"38\" top=\"28\" width=\"2\" height=\"2\"/></image></annotations>");
    assert_int_equal(tagmask_result_tag_count(result), 2);
    assert_string_equal(tagmask_result_tag(result, 0), "salt & pepper");
    assert_int_equal(count_label(result, 1), 8);
    assert_int_equal(count_label(result, 2), 3);
    tagmask_result_free(result);
    free(dir);
}

static tagmask_result *read_picture(const char *dir, uint8_t type, uint8_t depth, const void *pixels, size_t size) {
    const struct spng_plte palette = {.n_entries = 1u << depth};
    bytes picture = make_png(
        W, H, (png_options){.color_type = type, .depth = depth, .palette = type == 3 ? &palette : NULL}, pixels, size);
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = NULL;
    write_text(dir, "x.png", (const char *)picture.data, picture.size);
    assert_ok(read_file("voc", dir, "x.png", &result, &err), &err);
    free(picture.data);
    return result;
}

// Without our names: those of VOC's classes, then numbers; 255 is void.
static void voc_of_others(void **state) {
    (void)state;
    char *dir = test_temporary_dir();
    uint8_t map[W * H] = {0}, packed[W / 2 * H];
    test_fill_box(map, 1, 1, 6, 5, 8);
    test_fill_box(map, 0, 8, 5, 5, 255);
    test_fill_box(map, 10, 8, 9, 5, 20);
    test_fill_box(map, 20, 8, 7, 5, 21);
    for (int kind = 0; kind < 2; kind++) {
        tagmask_result *result =
            read_picture(dir, kind ? SPNG_COLOR_TYPE_INDEXED : SPNG_COLOR_TYPE_GRAYSCALE, 8, map, sizeof map);
        assert_int_equal(tagmask_result_tag_count(result), 3);
        assert_string_equal(tagmask_result_tag(result, 0), "cat");
        assert_string_equal(tagmask_result_tag(result, 1), "tvmonitor");
        assert_string_equal(tagmask_result_tag(result, 2), "21");
        assert_int_equal(count_label(result, 1), 30);
        assert_int_equal(count_label(result, 2), 45);
        assert_int_equal(count_label(result, 3), 35);
        assert_int_equal(tagmask_result_labels(result)[8 * W + 10], 2);
        tagmask_result_free(result);
    }
    // 16 colours and fewer: as Pillow packs them.
    for (size_t i = 0; i < sizeof packed; i++) packed[i] = (uint8_t)((map[2 * i] & 15) << 4 | (map[2 * i + 1] & 15));
    tagmask_result *result = read_picture(dir, SPNG_COLOR_TYPE_INDEXED, 4, packed, sizeof packed);
    assert_int_equal(tagmask_result_tag_count(result), 4);  // 8, 255 & 15, 20 & 15, 21 & 15
    for (size_t i = 0; i < W * H; i++) {
        uint8_t label = tagmask_result_labels(result)[i];
        static const char *const names[] = {"", "boat", "bottle", "cat", "person"};
        static const uint8_t stored[] = {0, 4, 5, 8, 15};
        assert_in_range(label, 0, 4);
        if (label) assert_string_equal(tagmask_result_tag(result, label - 1u), names[label]);
        assert_int_equal(map[i] & 15, stored[label] == 15 ? 15 : stored[label]);
    }
    tagmask_result_free(result);
    tm_error err = TAGMASK_ERROR_INIT;
    result = NULL;
    uint8_t *deep = calloc(W * H, 2);
    bytes picture = make_png(W, H, (png_options){.depth = 16}, deep, W * H * 2);
    write_text(dir, "x.png", (const char *)picture.data, picture.size);
    assert_int_equal(read_file("voc", dir, "x.png", &result, &err), TAGMASK_ERROR_UNSUPPORTED);
    free(picture.data);
    picture = make_png(W, H - 1, (png_options){.depth = 8}, deep, W * (H - 1));
    write_text(dir, "x.png", (const char *)picture.data, picture.size);
    assert_int_equal(read_file("voc", dir, "x.png", &result, &err), TAGMASK_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "40 x 29"));
    free(picture.data);
    free(deep);
    free(dir);
}

// In colours instead of indices, those of VOC or of a labelmap.txt, as CVAT and datumaro export them.
static void voc_in_colours(void **state) {
    (void)state;
    static const struct {
        const char *labelmap, *names[2], *error;
    } cases[] = {
        {NULL, {"aeroplane", "cat"}, NULL},
        {"# label:color_rgb:parts:actions\r\nbackground:0,0,0::\r\nold cat:64,0,0::\r\nhot dog:128,0,0::\r\n",
         {"old cat", "hot dog"},
         NULL},
        {"background:::\nhot dog:::\n\nb\nc\nd\ne\nf\nold cat:64,0,0\n", {NULL}, "line 4 of its labelmap.txt"},
        {"background:::\nhot dog:::\nold cat:64,0,0\n", {"hot dog", "old cat"}, NULL},
        {"\xef\xbb\xbfold cat:64,0,0\nhot dog:128,0,0\nnothing:224,224,192", {"old cat", "hot dog"}, NULL},
        {"cat:64,0,0::\n", {NULL}, "pixel (20, 8) has the colour 128, 0, 0 of no class"},
        {"cat:64,0,0::\ndog", {NULL}, "line 2 of its labelmap.txt"},
        {"cat:64,0\n", {NULL}, "line 1 of its labelmap.txt"},
    };
    uint8_t map[W * H] = {0}, colours[W * H * 3] = {0};
    test_fill_box(map, 1, 1, 6, 5, 1);
    test_fill_box(map, 20, 8, 7, 5, 2);
    test_fill_box(map, 0, 20, 5, 5, 3);  // void
    static const uint8_t rgb[4][3] = {{0, 0, 0}, {64, 0, 0}, {128, 0, 0}, {224, 224, 192}};
    for (size_t i = 0; i < W * H; i++) memcpy(colours + 3 * i, rgb[map[i]], 3);
    bytes picture = make_png(W, H, (png_options){.color_type = 2, .depth = 8}, colours, sizeof colours);
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        char *dir = test_temporary_dir();
        tm_error err = TAGMASK_ERROR_INIT;
        tagmask_result *result = NULL;
        write_text(dir, "x.png", (const char *)picture.data, picture.size);
        if (cases[i].labelmap) write_text(dir, "labelmap.txt", cases[i].labelmap, strlen(cases[i].labelmap));
        tagmask_status status = read_file("voc", dir, "x.png", &result, &err);
        if (cases[i].error) {
            assert_int_equal(status, TAGMASK_ERROR_FORMAT);
            if (!strstr(err.message, cases[i].error)) fail_msg("case %zu: \"%s\"", i, err.message);
        } else {
            assert_ok(status, &err);
            bool third = strstr(cases[i].labelmap ? cases[i].labelmap : "", "nothing");  // which names void
            bool dog_first = !strcmp(cases[i].names[0], "hot dog") || !i;
            assert_int_equal(tagmask_result_tag_count(result), third ? 3 : 2);
            for (size_t tag = 0; tag < 2; tag++)
                assert_string_equal(tagmask_result_tag(result, tag), cases[i].names[tag]);
            assert_int_equal(count_label(result, 1), dog_first ? 35 : 30);
            assert_int_equal(count_label(result, 2), dog_first ? 30 : 35);
            assert_int_equal(tagmask_result_labels(result)[20 * W], third ? 3 : 0);
        }
        tagmask_result_free(result);
        free(dir);
    }
    free(picture.data);
}

static void bad_files_are_named(void **state) {
    (void)state;
    static const struct {
        const char *format, *text, *word;
    } cases[] = {
        {"labelme", "", "is empty"},
        {"labelme", "{\"shapes\": []} x", "is not valid JSON: line 1, column 16: did not expect 'x'"},
        {"labelme", "[]", "no labelme file"},
        {"labelme", "{\"shapes\": [], \"imageWidth\": 41}", "imageWidth is 41"},
        {"labelme", "{\"shapes\": [{}]}", "shape 1: expected a label"},
        {"labelme", "{\"shapes\": [{\"label\": \"x\", \"points\": [[1, 2], [3]]}]}",
         "shape 1: expected a list of points"},
        {"labelme", "{\"shapes\": [{\"label\": \"x\", \"points\": [[1, 2], [3, 4]]}]}", "shape 1: a \"\" of 2 points"},
        {"labelme", "{\"shapes\": [{\"label\": \"x\", \"points\": [[1, 2], [3, 1e300], [4, 5]]}]}", "far outside"},
        {"labelme", "{\"shapes\": [{\"label\": \"x\", \"shape_type\": \"mask\", \"points\": [[1, 2], [3, 4]]}]}",
         "is not a PNG picture"},
        {"labelme",
         "{\"shapes\": [{\"label\": \"x\", \"shape_type\": \"mask\", \"points\": [[1, 2], [3, 4]], \"mask\": "
         "\"iVBORw0KGgoAAAANSUhEUgAATiAAAE4gCAAAAABhYmNk\"}]}",
         "more pixels than hundreds of the photo"},
        {"labelme",
         "{\"shapes\": [{\"label\": \"x\", \"shape_type\": \"mask\", \"mask\": \"!\", \"points\": [[1, 2], [3, 4]]}]}",
         "base64"},
        {"coco", "{}", "no image \"a.jpg\""},
        {"coco",
         "{\"images\": [{\"id\": 1, \"file_name\": \"a.jpg\"}], \"annotations\": [{\"id\": 5, \"image_id\": 1}]}",
         "annotation 5: its category"},
        {"coco",
         "{\"images\": [{\"id\": 1, \"file_name\": \"a.jpg\"}], \"categories\": [{\"id\": 1, \"name\": \"x\"}], "
         "\"annotations\": [{\"id\": 5, \"image_id\": 1, \"category_id\": 1, \"segmentation\": {\"size\": [30, 40], "
         "\"counts\": \"9\"}}]}",
         "run-length code is damaged"},
        {"coco",
         "{\"images\": [{\"id\": 1, \"file_name\": \"a.jpg\"}], \"categories\": [{\"id\": 1, \"name\": \"x\"}], "
         "\"annotations\": [{\"id\": 5, \"image_id\": 1, \"category_id\": 1, \"segmentation\": {\"size\": [40, 30]}}]}",
         "30 x 40"},
        {"yolo", "0 0.1 0.2 0.3 0.4", "line 1: expected a class number"},
        {"yolo", "0 0 0 0 1 1 1\n0 0 0 0 1 1 1 x", "line 2: expected"},
        {"yolo", "-1 0 0 0 1 1 1", "line 1: expected"},
        {"yolo", "0 0 0 1 0 1 1\n\0 0 0 0 1 1 1", "holds a zero byte"},
        {"label-studio", "{}", "no task"},
        {"label-studio",
         "[{\"data\": {\"image\": \"a.jpg\"}, \"predictions\": [{\"result\": [{\"type\": \"brushlabels\"}]}]}]",
         "region 1: expected a label"},
        {"label-studio",
         "[{\"data\": {\"image\": \"a.jpg\"}, \"predictions\": [{\"result\": [{\"type\": \"brushlabels\", \"value\": "
         "{\"rle\": [0, 0, 1], \"brushlabels\": [\"x\"]}}]}]}]",
         "region 1: its run-length code is damaged"},
        {"cvat", "", "no XML file"},
        {"cvat", "<annotations><image", "no XML file: line 1"},
        {"cvat", "<annotations></annotations>", "no image \"a.jpg\""},
        {"cvat", "<a><image name=\"a.jpg\" width=\"40\" height=\"31\"/></a>", "40 x 31"},
        {"cvat", "<a><image name=\"a.jpg\" width=\"40\" height=\"30\"><mask/></image></a>",
         "mask in line 1: expected a label"},
        {"cvat",
         "<a><image name=\"a.jpg\" width=\"40\" height=\"30\"><mask label=\"x\" left=\"39\" top=\"0\" width=\"2\" "
         "height=\"1\" rle=\"0, 2\"/></image></a>",
         "inside the photo"},
        {"cvat",
         "<a><image name=\"a.jpg\" width=\"40\" height=\"30\"><mask label=\"x\" left=\"0\" top=\"0\" width=\"2\" "
         "height=\"1\" rle=\"0, 3\"/></image></a>",
         "run-length code is damaged"},
        {"cvat",
         "<a><image name=\"a.jpg\" width=\"40\" height=\"30\"><polygon label=\"x\" points=\"1,2;3,4;5\"/></image></a>",
         "three or more points"},
        {"voc", "", "no PNG"},
        {"overlay", "", "cannot be read"},
        {"nope", "", "not known"},
    };
    char *dir = test_temporary_dir(), *path = tm_path_join(dir, "bad.txt");
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        tm_error err = TAGMASK_ERROR_INIT;
        tagmask_result *result = NULL;
        size_t size = strlen(cases[i].text);
        if (strstr(cases[i].word, "zero byte")) size += 5;
        write_text(dir, "bad.txt", cases[i].text, size);
        assert_int_not_equal(tagmask_result_read(cases[i].format, path, "a.jpg", W, H, &result, &err), TAGMASK_OK);
        if (!strstr(err.message, cases[i].word)) fail_msg("case %zu: \"%s\"", i, err.message);
        assert_null(result);
    }
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = NULL;
    assert_int_equal(tagmask_result_read("yolo", dir, "a.jpg", W, H, &result, &err), TAGMASK_ERROR_FILE);
    assert_int_equal(tagmask_result_read("yolo", path, "a.jpg", 0, H, &result, &err), TAGMASK_ERROR_ARGUMENT);
    assert_int_equal(tagmask_result_read("yolo", path, "a.jpg", 65536, H, &result, &err), TAGMASK_ERROR_ARGUMENT);
    assert_int_equal(tagmask_result_read("yolo", path, NULL, W, H, &result, &err), TAGMASK_ERROR_ARGUMENT);
    free(path);
    free(dir);
}

// Nine entities, each ten times the one before: a gigabyte of text in half a kilobyte.
static void xml_bombs_are_refused(void **state) {
    (void)state;
    char text[4096], *dir = test_temporary_dir();
    size_t used = (size_t)sprintf(text, "<!DOCTYPE a [<!ENTITY e0 \"lol\">");
    for (int i = 1; i <= 9; i++) {
        used += (size_t)sprintf(text + used, "<!ENTITY e%d \"", i);
        for (int k = 0; k < 10; k++) used += (size_t)sprintf(text + used, "&e%d;", i - 1);
        used += (size_t)sprintf(text + used, "\">");
    }
    static const char *const uses[] = {"]><a>&e9;</a>", "]><a><image name=\"&e9;\"/></a>"};
    for (size_t i = 0; i < TM_ARRAY_LEN(uses); i++) {
        tm_error err = TAGMASK_ERROR_INIT;
        tagmask_result *result = NULL;
        strcpy(text + used, uses[i]);
        write_text(dir, "a.xml", text, strlen(text));
        assert_int_equal(read_file("cvat", dir, "a.xml", &result, &err), TAGMASK_ERROR_FORMAT);
        if (!strstr(err.message, "amplification")) fail_msg("%s", err.message);
    }
    free(dir);
}

static void too_many_labels_or_too_much_paint(void **state) {
    (void)state;
    char *dir = test_temporary_dir(), *path = tm_path_join(dir, "a.txt"), *text = malloc(4 << 20);
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = NULL;
    size_t used = 0;
    for (int i = 0; i < 255; i++) used += (size_t)sprintf(text + used, "%d 0 0 1 0 1 1\n", i);
    write_text(dir, "a.txt", text, used);
    assert_int_equal(read_file("yolo", dir, "a.txt", &result, &err), TAGMASK_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "254"));
    used = 0;
    for (int i = 0; i < 5000; i++) used += (size_t)sprintf(text + used, "0 0 0 1 0 1 1 0 1\n");
    write_text(dir, "a.txt", text, used);
    assert_int_equal(tagmask_result_read("yolo", path, "a.jpg", 1, 65535, &result, &err), TAGMASK_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "times over"));
    free(text);
    free(path);
    free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noise_makes_the_round_trip),
        cmocka_unit_test(one_format_becomes_another),
        cmocka_unit_test(labelme_shapes),
        cmocka_unit_test(coco_of_others),
        cmocka_unit_test(label_studio_of_others),
        cmocka_unit_test(yolo_of_others),
        cmocka_unit_test(cvat_of_others),
        cmocka_unit_test(voc_of_others),
        cmocka_unit_test(voc_in_colours),
        cmocka_unit_test(bad_files_are_named),
        cmocka_unit_test(xml_bombs_are_refused),
        cmocka_unit_test(too_many_labels_or_too_much_paint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
