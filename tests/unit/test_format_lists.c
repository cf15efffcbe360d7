// Formats that collect photos in one file or need a list beside them: COCO, YOLO, Label Studio, CVAT.
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/formats.h"
#include "io/rle.h"
#include "labels.h"

enum { W = TEST_W, H = TEST_H };

static tagmask_result *example(void) {
    return test_example("cup & <saucer>");
}

static void propose(const tagmask_result *result, const char *format, const char *photo, const char *dir) {
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tagmask_result_write(result, format, photo, NULL, dir, &err), &err);
}

static void expect_refusal(const tagmask_result *result, const char *format, const char *dir, const char *name,
                           const char *word) {
    tm_error err = TAGMASK_ERROR_INIT;
    char *before = test_read_text(dir, name);
    assert_int_not_equal(tagmask_result_write(result, format, "a.jpg", NULL, dir, &err), TAGMASK_OK);
    if (!strstr(err.message, word) || !strstr(err.message, name)) {
        fail_msg("\"%s\" does not say \"%s\" and \"%s\"", err.message, name, word);
    }
    char *after = test_read_text(dir, name);
    assert_string_equal(before, after);
    free(before);
    free(after);
}

static void paint(uint8_t *map, const uint8_t *one, uint8_t label) {
    for (size_t i = 0; i < W * H; i++) {
        if (one[i]) map[i] = map[i] ? 255 : label;
    }
}

// ---- COCO -----------------------------------------------------------------------------------------------------------

static void coco_holds_the_masks(void **state) {
    (void)state;
    static const char *const formats[] = {"coco", "coco-rle"}, *const names[] = {"coco.json", "coco-rle.json"};
    tagmask_result *result = example();
    for (int rle = 0; rle < 2; rle++) {
        char *dir = test_temporary_dir();
        uint8_t map[W * H] = {0};
        propose(result, formats[rle], "photos/a.jpg", dir);
        cJSON *root = test_read_json(dir, names[rle]), *image = cJSON_GetArrayItem(test_member(root, "images"), 0),
              *item;
        assert_string_equal(test_member(image, "file_name")->valuestring, "a.jpg");
        assert_int_equal(test_member(image, "width")->valueint, W);
        assert_int_equal(test_member(image, "height")->valueint, H);
        cJSON *categories = test_member(root, "categories");
        assert_int_equal(cJSON_GetArraySize(categories), 2);
        assert_string_equal(test_member(cJSON_GetArrayItem(categories, 1), "name")->valuestring, "cup & <saucer>");
        cJSON_ArrayForEach(item, test_member(root, "annotations")) {
            uint8_t one[W * H] = {0};
            double numbers[200], box[4];
            uint64_t area = 0;
            cJSON *segmentation = test_member(item, "segmentation");
            if (rle) {
                const char *counts = test_member(segmentation, "counts")->valuestring;
                assert_int_equal(cJSON_GetArrayItem(test_member(segmentation, "size"), 0)->valueint, H);
                assert_int_equal(cJSON_GetArrayItem(test_member(segmentation, "size"), 1)->valueint, W);
                assert_true(tm_rle_coco_decode(counts, strlen(counts), W, H, one));
            } else {
                assert_int_equal(cJSON_GetArraySize(segmentation), 1);
                test_flip_ring(one, numbers, test_numbers_of(cJSON_GetArrayItem(segmentation, 0), numbers) / 2);
            }
            test_numbers_of(test_member(item, "bbox"), box);
            for (int i = 0; i < W * H; i++) {
                area += one[i];
                if (one[i])
                    assert_true(i % W >= box[0] && i % W < box[0] + box[2] && i / W >= box[1] &&
                                i / W < box[1] + box[3]);
            }
            assert_int_equal(test_member(item, "area")->valueint, area);
            assert_int_equal(test_member(item, "iscrowd")->valueint, 0);
            assert_true(test_member(item, "score")->valuedouble == 0.75);
            assert_int_equal(test_member(item, "image_id")->valueint, test_member(image, "id")->valueint);
            paint(map, one, (uint8_t)test_member(item, "category_id")->valueint);
        }
        assert_memory_equal(map, tagmask_result_labels(result), sizeof map);
        cJSON_Delete(root);
        free(dir);
    }
    tagmask_result_free(result);
}

static void coco_collects_photos(void **state) {
    (void)state;
    char *dir = test_temporary_dir();
    tagmask_result *a = example(), *b = test_one_bird();
    propose(a, "coco", "a.jpg", dir);
    propose(b, "coco", "b.jpg", dir);
    char *before = test_read_text(dir, "coco.json");
    propose(a, "coco", "a.jpg", dir);
    cJSON *root = test_read_json(dir, "coco.json");
    assert_int_equal(cJSON_GetArraySize(test_member(root, "images")), 2);
    assert_int_equal(cJSON_GetArraySize(test_member(root, "annotations")), 4);
    assert_int_equal(cJSON_GetArraySize(test_member(root, "categories")), 3);
    cJSON_Delete(root);
    propose(b, "coco", "a.jpg", dir);  // another result for the photo: its untouched proposals go
    root = test_read_json(dir, "coco.json");
    assert_int_equal(cJSON_GetArraySize(test_member(root, "images")), 2);
    assert_int_equal(cJSON_GetArraySize(test_member(root, "annotations")), 2);
    cJSON_Delete(root);
    free(before);
    free(dir);
    tagmask_result_free(a);
    tagmask_result_free(b);
}

static void coco_keeps_a_persons_work(void **state) {
    (void)state;
    char *dir = test_temporary_dir();
    tagmask_result *result = example();
    propose(result, "coco", "a.jpg", dir);
    cJSON *root = test_read_json(dir, "coco.json"), *list = test_member(root, "annotations");
    // Another program's members; one proposal deleted, one with a moved corner, one given another category; and
    // annotations of other images, of none, and odd ones.
    cJSON_AddStringToObject(root, "project", "zoo");
    cJSON_AddItemToArray(test_member(root, "categories"),
                         cJSON_Parse("{\"id\": 7, \"name\": \"mug\", \"color\": \"red\"}"));
    cJSON_AddItemToArray(test_member(root, "images"), cJSON_Parse("{\"id\": 40, \"file_name\": \"z.jpg\"}"));
    cJSON_DeleteItemFromArray(list, 0);
    cJSON *polygon = cJSON_GetArrayItem(test_member(cJSON_GetArrayItem(list, 0), "segmentation"), 0);
    cJSON_SetNumberValue(cJSON_GetArrayItem(polygon, 0), 19.5);
    cJSON_SetNumberValue(test_member(cJSON_GetArrayItem(list, 1), "category_id"), 7);
    static const char *const others[] = {"{\"id\": 90, \"image_id\": 40, \"category_id\": 7, \"bbox\": [1, 2, 3, 4]}",
                                         "{\"id\": 91, \"image_id\": 999, \"note\": \"lost\"}", "{}", "null", "[1]"};
    for (size_t i = 0; i < TM_ARRAY_LEN(others); i++) cJSON_AddItemToArray(list, cJSON_Parse(others[i]));
    test_write_json(dir, "coco.json", root);
    propose(result, "coco", "a.jpg", dir);
    char *once = test_read_text(dir, "coco.json");
    propose(result, "coco", "a.jpg", dir);
    char *twice = test_read_text(dir, "coco.json");
    assert_string_equal(once, twice);
    root = cJSON_Parse(once);
    list = test_member(root, "annotations");
    assert_string_equal(test_member(root, "project")->valuestring, "zoo");
    assert_int_equal(cJSON_GetArraySize(test_member(root, "images")), 2);
    assert_int_equal(cJSON_GetArraySize(list), 7);
    assert_non_null(strstr(once, "\"color\":\"red\""));
    assert_non_null(strstr(once, "\"note\":\"lost\""));
    assert_non_null(strstr(once, "[19.5,"));
    cJSON_Delete(root);
    tagmask_result *bird = test_one_bird();
    propose(bird, "coco", "a.jpg", dir);
    root = test_read_json(dir, "coco.json");
    list = test_member(root, "annotations");
    assert_int_equal(cJSON_GetArraySize(list), 8);
    double highest = 0, category = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list) {
        double id = cJSON_GetNumberValue(cJSON_GetObjectItem(item, "id"));
        if (id > highest) highest = id, category = cJSON_GetNumberValue(cJSON_GetObjectItem(item, "category_id"));
    }
    assert_true(highest == 92 && category == 8);
    cJSON_Delete(root);
    free(once);
    free(twice);
    free(dir);
    tagmask_result_free(bird);
    tagmask_result_free(result);
}

static void odd_coco_files_are_kept(void **state) {
    (void)state;
    char *dir = test_temporary_dir();
    tagmask_result *result = example();
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"", "no COCO file"},
        {"[]", "no COCO file"},
        {"{\"images\": [], \"annotations\": []", "no COCO file"},
        {"{\"images\": [], \"annotations\": [], \"categories\": {}}", "no COCO file"},
        {"{\"images\": [{\"id\": 1, \"file_name\": \"a.jpg\", \"width\": 41, \"height\": 30}], \"annotations\": [], "
         "\"categories\": []}",
         "41 x 30"},
        {"{\"images\": [{\"id\": 1, \"file_name\": \"a.jpg\", \"tagmask\": {\"proposals\": 1}}], \"annotations\": [], "
         "\"categories\": []}",
         "is damaged"},
    };
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        test_write_text(dir, "coco.json", cases[i].text);
        expect_refusal(result, "coco", dir, "coco.json", cases[i].word);
    }
    test_write_text(dir, "coco.json",
                    "{\"images\": [5, null, {}, {\"id\": \"x\"}], \"annotations\": [7, {\"tagmask\": {\"id\":"
                    "\"1\"}}], \"categories\": [3, {\"id\": null, \"name\": \"cat\"}], \"a\\\"b\": [1]}");
    propose(result, "coco", "a.jpg", dir);
    cJSON *root = test_read_json(dir, "coco.json");
    assert_int_equal(cJSON_GetArraySize(test_member(root, "images")), 5);
    assert_int_equal(cJSON_GetArraySize(test_member(root, "annotations")), 5);
    assert_non_null(test_member(root, "a\"b"));
    cJSON_Delete(root);
    free(dir);
    tagmask_result_free(result);
}

// ---- YOLO -----------------------------------------------------------------------------------------------------------

static void yolo_lines_hold_the_masks(void **state) {
    (void)state;
    char *dir = test_temporary_dir();
    tagmask_result *result = example();
    uint8_t map[W * H] = {0};
    test_write_text(dir, "classes.txt", "dog\r\ncat");
    propose(result, "yolo", "photos/a.jpg", dir);
    char *classes = test_read_text(dir, "classes.txt"), *text = test_read_text(dir, "a.txt");
    assert_string_equal(classes, "dog\ncat\ncup & <saucer>\n");
    size_t lines = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++) {
        uint8_t one[W * H] = {0};
        double points[200];
        int count = 0;
        char *at;
        long number = strtol(line, &at, 10);
        while (*at) {
            double share = strtod(at, &at);
            assert_true(share >= 0 && share <= 1);
            points[count] = share * (count % 2 ? H : W);
            count++;
        }
        test_flip_ring(one, points, count / 2);
        paint(map, one, (uint8_t)number);
    }
    assert_int_equal(lines, 3);
    assert_memory_equal(map, tagmask_result_labels(result), sizeof map);
    free(classes);
    free(text);
    free(dir);
    tagmask_result_free(result);
}

static void yolo_files_of_others_are_kept(void **state) {
    (void)state;
    char *dir = test_temporary_dir(), *path = tm_path_join(dir, "a.txt");
    tagmask_result *result = example(), *bird = test_one_bird();
    test_write_text(dir, "a.txt", "0 0.1 0.1 0.2 0.2 0.1 0.2\n");
    expect_refusal(result, "yolo", dir, "a.txt", "not as tagmask wrote it");
    unlink(path);
    propose(result, "yolo", "a.jpg", dir);
    propose(bird, "yolo", "a.jpg", dir);
    char *text = test_read_text(dir, "a.txt");
    assert_int_equal(text[0], '2');  // bird comes after the classes that were there
    text[2] = '1';
    test_write_text(dir, "a.txt", text);
    expect_refusal(result, "yolo", dir, "a.txt", "not as tagmask wrote it");
    unlink(path);
    propose(bird, "yolo", "a.jpg", dir);
    tm_error err = TAGMASK_ERROR_INIT;
    assert_int_equal(tagmask_result_write(result, "yolo", "classes.png", NULL, dir, &err), TAGMASK_ERROR_FILE);
    free(text);
    free(path);
    free(dir);
    tagmask_result_free(bird);
    tagmask_result_free(result);
}

static tagmask_result *nothing(void) {
    static const char *const tags[] = {"dog"};
    return test_result_of((const uint8_t[W *H]){0}, tags, 1);
}

// What tagmask wrote once is a person's work when they put it back: "there is no object".
static void yolo_files_that_were_put_back_are_kept(void **state) {
    (void)state;
    char *dir = test_temporary_dir();
    tagmask_result *result = example(), *bird = test_one_bird(), *none = nothing();
    tm_error err = TAGMASK_ERROR_INIT;
    propose(none, "yolo", "a.jpg", dir);
    char *empty = test_read_text(dir, "a.txt");
    assert_string_equal(empty, "");
    propose(bird, "yolo", "a.jpg", dir);
    char *one = test_read_text(dir, "a.txt");
    test_write_text(dir, "a.txt", "");
    expect_refusal(result, "yolo", dir, "a.txt", "not as tagmask wrote it");
    test_write_text(dir, "a.txt", one);
    propose(result, "yolo", "a.jpg", dir);
    test_write_text(dir, "a.txt", one);
    expect_refusal(bird, "yolo", dir, "a.txt", "not as tagmask wrote it");
    // What another photo's file says is its own affair.
    assert_ok(tagmask_result_write(bird, "yolo", "b.jpg", NULL, dir, &err), &err);
    expect_refusal(bird, "yolo", dir, "a.txt", "not as tagmask wrote it");
    free(empty);
    free(one);
    free(dir);
    tagmask_result_free(none);
    tagmask_result_free(bird);
    tagmask_result_free(result);
}

// A program that is killed while it writes leaves the old file or the new one, and the record ends in the middle.
static void yolo_goes_on_after_a_kill(void **state) {
    (void)state;
    enum { LINE = 36 };
    char *root = test_temporary_dir();
    tagmask_result *result = example(), *bird = test_one_bird(), *none = nothing();
    for (int replaced = 0; replaced < 2; replaced++) {
        for (int cut = 0; cut < LINE; cut++) {  // inside the line that is written last
            char *dir = tm_format("%s/%d-%d", root, replaced, cut);
            propose(none, "yolo", "a.jpg", dir);
            propose(result, "yolo", "a.jpg", dir);
            char *before = test_read_text(dir, "a.txt");
            propose(bird, "yolo", "a.jpg", dir);
            char *record = test_read_text(dir, ".tagmask-yolo");
            assert_int_equal(strlen(record), 6 * LINE);
            record[(replaced ? 5 : 4) * LINE + cut] = 0;
            test_write_text(dir, ".tagmask-yolo", record);
            if (!replaced) test_write_text(dir, "a.txt", before);
            char *now = test_read_text(dir, "a.txt");
            test_write_text(dir, "a.txt", "");
            expect_refusal(result, "yolo", dir, "a.txt", "not as tagmask wrote it");
            test_write_text(dir, "a.txt", now);
            propose(result, "yolo", "a.jpg", dir);
            propose(bird, "yolo", "a.jpg", dir);
            free(record);
            free(before);
            free(now);
            free(dir);
        }
    }
    free(root);
    tagmask_result_free(none);
    tagmask_result_free(bird);
    tagmask_result_free(result);
}

// A new list would give other names to the numbers that are in label files.
static void yolo_misses_its_list_of_classes(void **state) {
    (void)state;
    char *dir = test_temporary_dir(), *path = tm_path_join(dir, "classes.txt"), *record;
    tagmask_result *bird = test_one_bird(), *none = test_result_of((const uint8_t[W *H]){0}, NULL, 0);
    tm_error err = TAGMASK_ERROR_INIT;
    for (int again = 0; again < 2; again++) propose(none, "yolo", "a.jpg", dir);  // no class, and still a list
    propose(bird, "yolo", "a.jpg", dir);
    assert_int_equal(unlink(path), 0);
    expect_refusal(bird, "yolo", dir, ".tagmask-yolo", "classes.txt: is gone");
    assert_int_equal(tagmask_result_write(bird, "yolo", "b.jpg", NULL, dir, &err), TAGMASK_ERROR_FILE);
    assert_false(tm_file_exists(path));
    test_write_text(dir, "classes.txt", "bird\n");
    propose(bird, "yolo", "b.jpg", dir);
    assert_int_equal(unlink(path), 0);
    record = tm_path_join(dir, ".tagmask-yolo");
    assert_int_equal(unlink(record), 0);
    assert_ok(tagmask_result_write(bird, "yolo", "c.jpg", NULL, dir, &err), &err);
    free(record);
    free(path);
    free(dir);
    tagmask_result_free(none);
    tagmask_result_free(bird);
}

// Earlier versions had lines of one hash for all files, in which any content counts until a file is written anew.
static void yolo_records_of_earlier_versions_are_taken_up(void **state) {
    (void)state;
    char *dir = test_temporary_dir();
    tagmask_result *result = example(), *bird = test_one_bird();
    propose(bird, "yolo", "a.jpg", dir);
    char *record = test_read_text(dir, ".tagmask-yolo"), *one = test_read_text(dir, "a.txt");
    record[strlen(record) - 1] = 0;
    test_write_text(dir, ".tagmask-yolo", strrchr(record, ' ') + 1);
    propose(result, "yolo", "a.jpg", dir);
    test_write_text(dir, "a.txt", one);
    expect_refusal(bird, "yolo", dir, "a.txt", "not as tagmask wrote it");
    free(record);
    free(one);
    free(dir);
    tagmask_result_free(bird);
    tagmask_result_free(result);
}

// ---- Label Studio ---------------------------------------------------------------------------------------------------

static void label_studio_holds_the_masks(void **state) {
    (void)state;
    static const char *const formats[] = {"label-studio", "label-studio-polygon"};
    static const char *const names[] = {"label-studio.json", "label-studio-polygon.json"};
    static const char *const kinds[] = {"brushlabels", "polygonlabels"};
    tagmask_result *result = example();
    for (int polygon = 0; polygon < 2; polygon++) {
        char *dir = test_temporary_dir();
        uint8_t map[W * H] = {0};
        propose(result, formats[polygon], "photos/a.jpg", dir);
        cJSON *root = test_read_json(dir, names[polygon]), *task = cJSON_GetArrayItem(root, 0), *item;
        assert_string_equal(test_member(test_member(task, "data"), "image")->valuestring, "/data/local-files/?d=a.jpg");
        cJSON *prediction = cJSON_GetArrayItem(test_member(task, "predictions"), 0);
        assert_non_null(strstr(test_member(prediction, "model_version")->valuestring, "tagmask"));
        assert_true(test_member(prediction, "score")->valuedouble == 0.75);
        cJSON_ArrayForEach(item, test_member(prediction, "result")) {
            uint8_t one[W * H] = {0}, bytes[400];
            double numbers[400], points[400];
            cJSON *value = test_member(item, "value");
            assert_string_equal(test_member(item, "type")->valuestring, kinds[polygon]);
            assert_string_equal(test_member(item, "to_name")->valuestring, "image");
            assert_int_equal(test_member(item, "original_width")->valueint, W);
            assert_int_equal(test_member(item, "original_height")->valueint, H);
            if (polygon) {
                int count = 0;
                const cJSON *pair;
                cJSON_ArrayForEach(pair, test_member(value, "points")) {
                    assert_int_equal(test_numbers_of(pair, numbers), 2);
                    points[2 * count] = numbers[0] * W / 100;
                    points[2 * count++ + 1] = numbers[1] * H / 100;
                }
                test_flip_ring(one, points, count);
            } else {
                assert_string_equal(test_member(value, "format")->valuestring, "rle");
                int count = test_numbers_of(test_member(value, "rle"), numbers);
                for (int i = 0; i < count; i++) bytes[i] = (uint8_t)numbers[i];
                assert_true(tm_rle_label_studio_decode(bytes, (size_t)count, W, H, one));
            }
            const char *label = cJSON_GetArrayItem(test_member(value, kinds[polygon]), 0)->valuestring;
            paint(map, one, strcmp(label, "cat") ? 2 : 1);
        }
        assert_memory_equal(map, tagmask_result_labels(result), sizeof map);
        cJSON_Delete(root);
        free(dir);
    }
    tagmask_result_free(result);
}

static void label_studio_keeps_changed_tasks(void **state) {
    (void)state;
    char *dir = test_temporary_dir();
    tagmask_result *result = example(), *bird = test_one_bird();
    propose(result, "label-studio", "a.jpg", dir);
    propose(result, "label-studio", "b.jpg", dir);
    propose(bird, "label-studio", "a.jpg", dir);
    cJSON *root = test_read_json(dir, "label-studio.json");
    assert_int_equal(cJSON_GetArraySize(root), 2);
    cJSON *task = cJSON_GetArrayItem(root, 0);
    assert_int_equal(cJSON_GetArraySize(test_member(cJSON_GetArrayItem(test_member(task, "predictions"), 0), "result")),
                     1);
    cJSON_AddItemToObject(task, "annotations", cJSON_Parse("[{\"result\": [], \"was_cancelled\": false}]"));
    cJSON_AddItemToArray(root, cJSON_Parse("{\"data\": {\"text\": \"no picture\"}}"));
    cJSON_AddItemToArray(root, cJSON_CreateNull());
    char *before = cJSON_PrintUnformatted(root);
    test_write_json(dir, "label-studio.json", root);
    propose(result, "label-studio", "a.jpg", dir);
    propose(result, "label-studio", "b.jpg", dir);
    root = test_read_json(dir, "label-studio.json");
    char *after = cJSON_PrintUnformatted(root);
    assert_string_equal(before, after);
    cJSON_Delete(root);
    test_write_text(dir, "label-studio.json", "{}");
    expect_refusal(result, "label-studio", dir, "label-studio.json", "no list of tasks");
    cJSON_free(before);
    cJSON_free(after);
    free(dir);
    tagmask_result_free(bird);
    tagmask_result_free(result);
}

// ---- CVAT -----------------------------------------------------------------------------------------------------------

// The attribute's text in a line of ours.
static void attribute(const char *line, const char *name, char *out, size_t room) {
    char key[32];
    snprintf(key, sizeof key, " %s=\"", name);
    const char *at = strstr(line, key), *stop = at ? strchr(at + strlen(key), '"') : NULL;
    if (!stop) fail_msg("no attribute %s in %s", name, line);
    snprintf(out, room, "%.*s", (int)(stop - at - (long)strlen(key)), at + strlen(key));
}

static void cvat_holds_the_masks(void **state) {
    (void)state;
    char *dir = test_temporary_dir();
    tagmask_result *result = example(), *bird = test_one_bird();
    uint8_t map[W * H] = {0};
    propose(result, "cvat", "photos/a & b.jpg", dir);
    propose(bird, "cvat", "photos/b.jpg", dir);
    propose(result, "cvat", "photos/a & b.jpg", dir);
    char *text = test_read_text(dir, "cvat.xml"),
         *block = strstr(text, "name=\"a &amp; b.jpg\" width=\"40\" height=\"30\">");
    assert_non_null(block);
    assert_non_null(strstr(text, "<name>cup &amp; &lt;saucer&gt;</name>"));
    assert_non_null(strstr(text, "<name>bird</name>"));
    assert_non_null(strstr(text, "<image id=\"1\" name=\"b.jpg\""));
    *strstr(block, "</image>") = 0;
    for (char *line = strstr(block, "<mask"); line; line = strstr(line + 1, "<mask")) {
        char label[64], rle[400], number[16];
        uint32_t box[4];
        static const char *const sides[] = {"left", "top", "width", "height"};
        attribute(line, "label", label, sizeof label);
        attribute(line, "rle", rle, sizeof rle);
        for (int i = 0; i < 4; i++) {
            attribute(line, sides[i], number, sizeof number);
            box[i] = (uint32_t)strtoul(number, NULL, 10);
        }
        uint8_t part[W * H];
        assert_true(tm_rle_cvat_decode(rle, box[2], box[3], part));
        for (uint32_t i = 0; i < box[2] * box[3]; i++) {
            if (part[i]) map[(box[1] + i / box[2]) * W + box[0] + i % box[2]] = strcmp(label, "cat") ? 2 : 1;
        }
    }
    assert_memory_equal(map, tagmask_result_labels(result), sizeof map);
    free(text);
    free(dir);
    tagmask_result_free(bird);
    tagmask_result_free(result);
}

static void changed_cvat_files_are_kept(void **state) {
    (void)state;
    char *dir = test_temporary_dir();
    tagmask_result *result = example();
    propose(result, "cvat", "a.jpg", dir);
    char *text = test_read_text(dir, "cvat.xml");
    strstr(text, "source=\"auto\"")[8] = 'A';
    test_write_text(dir, "cvat.xml", text);
    expect_refusal(result, "cvat", dir, "cvat.xml", "not as tagmask wrote it");
    for (size_t size = strlen(text); size; size /= 2) {
        text[size - 1] = 0;
        test_write_text(dir, "cvat.xml", text);
        expect_refusal(result, "cvat", dir, "cvat.xml", "not as tagmask wrote it");
    }
    free(text);
    free(dir);
    tagmask_result_free(result);
}

// ---- The writer -----------------------------------------------------------------------------------------------------

// What a batch that is killed after some photos leaves behind is whole, and holds nearly all of them.
static void a_batch_is_written_on_the_way(void **state) {
    (void)state;
    static const char *const formats[] = {"coco", "label-studio", "cvat"};
    static const char *const names[] = {"coco.json", "label-studio.json", "cvat.xml"};
    tagmask_result *result = test_one_bird();
    for (size_t f = 0; f < TM_ARRAY_LEN(formats); f++) {
        char *dir = test_temporary_dir(), photo[32];
        tm_error err = TAGMASK_ERROR_INIT;
        tagmask_writer *writer = NULL;
        assert_ok(tagmask_writer_open(formats[f], dir, &writer, &err), &err);
        for (int i = 0; i < 50; i++) {
            snprintf(photo, sizeof photo, "photo-%03d.jpg", i);
            assert_ok(tagmask_writer_add(writer, result, photo, NULL, &err), &err);
            char *text = test_read_text(dir, names[f]);
            int held = 0;
            for (char *at = text; (at = strstr(at, "photo-")) != NULL; at++) held++;
            assert_true(held >= (i + 1) * 7 / 8);
            free(text);
        }
        assert_ok(tagmask_writer_close(writer, &err), &err);
        char *text = test_read_text(dir, names[f]);
        for (int i = 0; i < 50; i++) {
            snprintf(photo, sizeof photo, "photo-%03d.jpg", i);
            assert_non_null(strstr(text, photo));
        }
        free(text);
        free(dir);
    }
    tagmask_result_free(result);
}

static void a_batch_without_photos_leaves_nothing(void **state) {
    (void)state;
    static const char *const formats[] = {"coco", "coco-rle", "label-studio", "label-studio-polygon", "cvat"};
    static const char *const names[] = {"coco.json", "coco-rle.json", "label-studio.json", "label-studio-polygon.json",
                                        "cvat.xml"};
    char *dir = test_temporary_dir();
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = example();
    const tagmask_image photo = {sizeof photo, W + 1, H, 0, (const uint8_t *)""};
    for (size_t f = 0; f < TM_ARRAY_LEN(formats); f++) {
        tagmask_writer *writer = NULL;
        assert_ok(tagmask_writer_open(formats[f], dir, &writer, &err), &err);
        assert_int_equal(tagmask_writer_add(writer, result, "a.jpg", &photo, &err), TAGMASK_ERROR_ARGUMENT);
        assert_int_equal(tagmask_writer_add(writer, NULL, "a.jpg", NULL, &err), TAGMASK_ERROR_ARGUMENT);
        assert_ok(tagmask_writer_close(writer, &err), &err);
        char *path = tm_path_join(dir, names[f]);
        assert_false(tm_file_exists(path));
        free(path);
    }
    assert_int_equal(tagmask_writer_open(NULL, dir, NULL, &err), TAGMASK_ERROR_ARGUMENT);
    assert_ok(tagmask_writer_close(NULL, &err), &err);
    tagmask_result_free(result);
    free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coco_holds_the_masks),
        cmocka_unit_test(coco_collects_photos),
        cmocka_unit_test(coco_keeps_a_persons_work),
        cmocka_unit_test(odd_coco_files_are_kept),
        cmocka_unit_test(yolo_lines_hold_the_masks),
        cmocka_unit_test(yolo_files_of_others_are_kept),
        cmocka_unit_test(yolo_files_that_were_put_back_are_kept),
        cmocka_unit_test(yolo_goes_on_after_a_kill),
        cmocka_unit_test(yolo_misses_its_list_of_classes),
        cmocka_unit_test(yolo_records_of_earlier_versions_are_taken_up),

        cmocka_unit_test(label_studio_holds_the_masks),
        cmocka_unit_test(label_studio_keeps_changed_tasks),
        cmocka_unit_test(cvat_holds_the_masks),
        cmocka_unit_test(changed_cvat_files_are_kept),
        cmocka_unit_test(a_batch_is_written_on_the_way),
        cmocka_unit_test(a_batch_without_photos_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
