// What a person or another program did to a label file stays, whatever the program that saved it made of its text.
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/formats.h"
#include "io/kept.h"
#include "io/labelme_mask.h"
#include "io/text.h"
#include "labels.h"

enum { W = TEST_W, H = TEST_H };

static const struct {
    const char *format, *name, *list;
} edited[] = {{"labelme", "a.json", "shapes"},
              {"labelme-mask", "a.json", "shapes"},
              {"coco", "coco.json", "annotations"},
              {"coco-rle", "coco-rle.json", "annotations"},
              {"coco-rle-crowd", "coco-rle-crowd.json", "annotations"}};

static tagmask_status write_photo(const tagmask_result *result, const char *format, const char *photo, const char *dir,
                                  tm_error *err) {
    return tagmask_result_write(result, format, photo, NULL, dir, err);
}

static void propose(const tagmask_result *result, const char *format, const char *dir) {
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(write_photo(result, format, "a.jpg", dir, &err), &err);
}

static void expect_refusal(const char *format, const char *dir, const char *name, const char *word) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = test_example("cup");
    char *before = test_read_text(dir, name);
    assert_int_not_equal(write_photo(result, format, "a.jpg", dir, &err), TAGMASK_OK);
    if (!strstr(err.message, word) || !strstr(err.message, name)) fail_msg("\"%s\" lacks \"%s\"", err.message, word);
    char *after = test_read_text(dir, name);
    assert_string_equal(before, after);
    free(before);
    free(after);
    tagmask_result_free(result);
}

// ---- The same content in another program's words --------------------------------------------------------------------

static int by_name(const void *a, const void *b) {
    return strcmp((*(cJSON *const *)a)->string, (*(cJSON *const *)b)->string);
}

// Members in the order of their names, each on a line that ends in CR LF, every number with a point, texts in ASCII.
static void print_otherwise(tm_text *text, const cJSON *item) {
    const cJSON *members[64], *child;
    size_t count = 0;
    if (cJSON_IsNumber(item)) {
        tm_text_add(text, item->valuedouble == (double)item->valueint ? "%.1f" : "%.17g", item->valuedouble);
    } else if (cJSON_IsString(item)) {
        tm_text_add(text, "\"");
        for (const char *at = item->valuestring; *at; at++) tm_text_add(text, "\\u%04x", (unsigned char)*at);
        tm_text_add(text, "\"");
    } else if (cJSON_IsObject(item) || cJSON_IsArray(item)) {
        bool object = cJSON_IsObject(item);
        cJSON_ArrayForEach(child, item) {
            if (object) members[count++] = child;
        }
        if (object) qsort(members, count, sizeof *members, by_name);
        tm_text_add(text, object ? "{\r\n" : "[\r\n");
        child = object ? (count ? members[0] : NULL) : item->child;
        for (size_t i = 0; child; i++) {
            if (object) tm_text_add(text, "\t\"%s\" : ", child->string);
            print_otherwise(text, child);
            child = object ? (i + 1 < count ? members[i + 1] : NULL) : child->next;
            tm_text_add(text, child ? ",\r\n" : "\r\n");
        }
        tm_text_add(text, object ? "}" : "]");
    } else {
        char *word = cJSON_PrintUnformatted(item);
        tm_text_add(text, "%s", word);
        cJSON_free(word);
    }
}

static void rewritten_files_are_untouched(void **state) {
    (void)state;
    static const char *const words[] = {"{", "\xef\xbb\xbf{"};  // the second with a byte order mark
    tagmask_result *result = test_example("cup/saucer, \"old\""), *bird = test_one_bird();
    for (size_t f = 0; f < TM_ARRAY_LEN(edited); f++) {
        for (size_t mark = 0; mark < TM_ARRAY_LEN(words); mark++) {
            char *dir = test_temporary_dir();
            propose(result, edited[f].format, dir);
            cJSON *root = test_read_json(dir, edited[f].name);
            tm_text text = {0};
            print_otherwise(&text, root);
            assert_false(text.failed);
            char *whole = tm_format("%s%s\r\n", words[mark], text.data + 1);
            test_write_text(dir, edited[f].name, whole);
            cJSON_Delete(root);
            free(text.data);
            free(whole);
            propose(bird, edited[f].format, dir);
            root = test_read_json(dir, edited[f].name);
            if (cJSON_GetArraySize(test_member(root, edited[f].list)) != 1) {
                fail_msg("%s: an untouched proposal was kept", edited[f].format);
            }
            cJSON_Delete(root);
            free(dir);
        }
    }
    tagmask_result_free(bird);
    tagmask_result_free(result);
}

// ---- What counts as a person's work ---------------------------------------------------------------------------------

// Changes the first entry of a fresh file, proposes something else, and expects the entry as it was left.
static void expect_kept(const char *dir, size_t f, const char *key, const char *value, bool kept) {
    tagmask_result *result = test_example("cup"), *bird = test_one_bird();
    propose(result, edited[f].format, dir);
    cJSON *root = test_read_json(dir, edited[f].name), *entry = test_member(root, edited[f].list)->child;
    cJSON *replacement = cJSON_Parse(value);
    assert_non_null(replacement);
    if (cJSON_HasObjectItem(entry, key)) {
        cJSON_ReplaceItemInObjectCaseSensitive(entry, key, replacement);
    } else {
        cJSON_AddItemToObject(entry, key, replacement);
    }
    char *before = cJSON_PrintUnformatted(entry);
    test_write_json(dir, edited[f].name, root);
    for (int again = 0; again < 2; again++) {
        propose(bird, edited[f].format, dir);
        root = test_read_json(dir, edited[f].name);
        cJSON *list = test_member(root, edited[f].list);
        if (cJSON_GetArraySize(list) != 1 + kept) {
            fail_msg("%s: with %s %s %d entries are left", edited[f].format, key, value, cJSON_GetArraySize(list));
        }
        char *after = cJSON_PrintUnformatted(list->child);
        if (kept) assert_string_equal(before, after);
        cJSON_free(after);
        cJSON_Delete(root);
    }
    // What was changed is not proposed a second time.
    propose(result, edited[f].format, dir);
    root = test_read_json(dir, edited[f].name);
    assert_int_equal(cJSON_GetArraySize(test_member(root, edited[f].list)), 3);
    cJSON_Delete(root);
    cJSON_free(before);
    tagmask_result_free(bird);
    tagmask_result_free(result);
}

static void every_change_counts(void **state) {
    (void)state;
    static const struct {
        const char *key, *value;
        bool kept;
    } labelme[] = {
        {"label", "\"k\\u00f6tta, katt/\\u732b\"", true},
        {"group_id", "1", true},
        {"group_id", "null", false},
        {"description", "\"mine\"", true},
        {"flags", "{\"occluded\": true}", true},
        {"flags", "{\"occluded\": false}", false},
        {"flags", "{\"occluded\": \"no idea\"}", true},
        {"points", "[[2, 2.5], [16, 14]]", true},
        {"shape_type", "\"linestrip\"", true},
        {"mask", "\"damaged\"", true},
        {"reviewer", "\"Ada\"", true},
        {"attributes", "{\"colour\": \"red\"}", true},
        {"attributes", "{\"colour\": \"\", \"difficult\": false, \"ratings\": []}", false},
        {"score", "null", false},
        {"kie_linking", "[]", false},
    };
    static const struct {
        const char *key, *value;
        bool kept;
    } coco[] = {
        {"category_id", "2", true},
        {"segmentation", "[[2, 2, 16, 2, 16, 14]]", true},
        {"segmentation", "{\"size\": [30, 40], \"counts\": [1200]}", true},
        {"bbox", "[2, 2, 13, 12]", true},
        {"bbox", "[2, 2, 14.25, 12]", true},
        {"iscrowd", "7", true},
        {"attributes", "{\"occluded\": true}", true},
        {"attributes", "{\"occluded\": false, \"track_id\": 0}", false},
        {"area", "143.25", false},  // follows from the segmentation
    };
    char *root = test_temporary_dir();
    for (size_t f = 0; f < TM_ARRAY_LEN(edited); f++) {
        bool of_labelme = f < 2;
        for (size_t i = 0; i < (of_labelme ? TM_ARRAY_LEN(labelme) : TM_ARRAY_LEN(coco)); i++) {
            char *dir = tm_format("%s/%zu-%zu", root, f, i);
            if (of_labelme) expect_kept(dir, f, labelme[i].key, labelme[i].value, labelme[i].kept);
            if (!of_labelme) expect_kept(dir, f, coco[i].key, coco[i].value, coco[i].kept);
            free(dir);
        }
    }
    free(root);
}

// labelme's copy and "Keep Previous Annotation" carry the mark of a proposal to another photo.
static void pasted_shapes_are_a_persons(void **state) {
    (void)state;
    for (size_t f = 0; f < TM_ARRAY_LEN(edited); f++) {
        char *dir = test_temporary_dir();
        tagmask_result *result = test_example("cup"), *bird = test_one_bird();
        tm_error err = TAGMASK_ERROR_INIT;
        bool one_file = strcmp(edited[f].name, "a.json");
        const char *name = one_file ? edited[f].name : "b.json";
        propose(result, edited[f].format, dir);
        assert_ok(write_photo(bird, edited[f].format, "b.jpg", dir, &err), &err);
        cJSON *from = test_read_json(dir, edited[f].name), *root = test_read_json(dir, name);
        cJSON *pasted = cJSON_Duplicate(test_member(from, edited[f].list)->child, true);
        if (one_file) {
            cJSON_SetNumberValue(test_member(pasted, "id"), 77);
            cJSON_SetNumberValue(test_member(pasted, "image_id"), 2);
        }
        char *before = cJSON_PrintUnformatted(pasted);
        cJSON_AddItemToArray(test_member(root, edited[f].list), pasted);
        test_write_json(dir, name, root);
        for (int again = 0; again < 2; again++) {
            propose(result, edited[f].format, dir);
            assert_ok(write_photo(bird, edited[f].format, "b.jpg", dir, &err), &err);
        }
        root = test_read_json(dir, name);
        int count = cJSON_GetArraySize(test_member(root, edited[f].list));
        if (count != (one_file ? 5 : 2)) fail_msg("%s: %d entries are left", edited[f].format, count);
        char *after = cJSON_PrintUnformatted(cJSON_GetArrayItem(test_member(root, edited[f].list), count - 1));
        assert_string_equal(before, after);
        cJSON_Delete(root);
        cJSON_Delete(from);
        cJSON_free(before);
        cJSON_free(after);
        free(dir);
        tagmask_result_free(bird);
        tagmask_result_free(result);
    }
}

// ---- labelme --------------------------------------------------------------------------------------------------------

// labelme decodes masks and packs them anew when it saves.
static void repacked_masks_are_untouched(void **state) {
    (void)state;
    char *dir = test_temporary_dir();
    tagmask_result *result = test_example("cup"), *bird = test_one_bird();
    tm_error err = TAGMASK_ERROR_INIT;
    propose(result, "labelme-mask", dir);
    for (int painted = 0; painted < 2; painted++) {
        cJSON *root = test_read_json(dir, "a.json"), *shape = test_member(root, "shapes")->child;
        uint8_t *pixels = NULL;
        uint64_t budget = 1000000;
        tm_box_mask mask = {0};
        tm_text text = {0};
        double corners[4];
        assert_ok(tm_labelme_mask_decode(test_member(shape, "mask")->valuestring, &budget, &pixels, &mask.width,
                                         &mask.height, &err),
                  &err);
        assert_int_equal(test_numbers_of(test_member(shape, "points"), corners), 4);
        assert_true(mask.width == corners[2] - corners[0] + 1 && mask.height == corners[3] - corners[1] + 1);
        for (size_t i = 0; i < (size_t)mask.width * mask.height; i++) pixels[i] = pixels[i] ? 255 : 0;
        if (painted) pixels[0] ^= 255;
        mask.pixels = pixels, mask.right = mask.width - 1, mask.bottom = mask.height - 1;
        assert_ok(tm_labelme_mask_encode(&mask, &text, &err), &err);
        assert_string_not_equal(text.data, test_member(shape, "mask")->valuestring);
        cJSON_ReplaceItemInObjectCaseSensitive(shape, "mask", cJSON_CreateString(text.data));
        test_write_json(dir, "a.json", root);
        propose(painted ? bird : result, "labelme-mask", dir);
        root = test_read_json(dir, "a.json");
        assert_int_equal(cJSON_GetArraySize(test_member(root, "shapes")), painted ? 2 : 3);
        cJSON_Delete(root);
        free(pixels);
        free(text.data);
    }
    free(dir);
    tagmask_result_free(bird);
    tagmask_result_free(result);
}

static void polygons_and_masks_replace_each_other(void **state) {
    (void)state;
    char *dir = test_temporary_dir();
    tagmask_result *result = test_example("cup"), *again = NULL;
    tm_error err = TAGMASK_ERROR_INIT;
    propose(result, "labelme", dir);
    char *path = tm_path_join(dir, "a.json"), *first = test_read_text(dir, "a.json");
    propose(result, "labelme-mask", dir);
    cJSON *root = test_read_json(dir, "a.json"), *shape;
    cJSON_ArrayForEach(shape, test_member(root, "shapes")) {
        assert_string_equal(test_member(shape, "shape_type")->valuestring, "mask");
        assert_true(cJSON_IsNull(test_member(shape, "group_id")));
    }
    assert_int_equal(cJSON_GetArraySize(test_member(root, "shapes")), 3);
    cJSON_Delete(root);
    assert_ok(tagmask_result_read("labelme-mask", path, "a.jpg", W, H, &again, &err), &err);
    test_assert_same_masks(result, again);
    propose(result, "labelme", dir);
    char *last = test_read_text(dir, "a.json");
    assert_string_equal(first, last);
    free(first);
    free(last);
    free(path);
    free(dir);
    tagmask_result_free(again);
    tagmask_result_free(result);
}

// The first files had a group for the parts of one tag, and an id without it.
static void files_of_the_first_kind_are_taken_up(void **state) {
    (void)state;
    static const char text[] =
        "{\"version\": \"5.5.0\", \"flags\": {}, \"shapes\": [{\"label\": \"dog\", \"points\": [[1, 20], [5, 20], "
        "[5, 25], [1, 25]], \"group_id\": %d, \"description\": \"tagmask 0.75\", \"shape_type\": \"polygon\", "
        "\"flags\": {}, \"mask\": null, \"tagmask\": {\"id\": \"%s\", \"score\": 0.75}}], \"imagePath\": \"a.jpg\", "
        "\"imageData\": null, \"imageHeight\": 30, \"imageWidth\": 40, \"tagmask\": {\"proposals\": [{\"id\": \"%s\", "
        "\"tag\": \"dog\", \"box\": [1, 20, 5, 25]}]}}";
    char *dir = test_temporary_dir(), id[17];
    int64_t corners[8] = {1, 20, 5, 20, 5, 25, 1, 25};
    uint64_t hash = tm_hash64("dog", 3, 1);
    for (int i = 0; i < 8; i++) {
        corners[i] *= 64;
        hash = tm_hash64(&corners[i], sizeof corners[i], hash);
    }
    snprintf(id, sizeof id, "%016llx", (unsigned long long)hash);
    tagmask_result *bird = test_one_bird();
    char *whole = tm_format(text, 1, id, id);
    test_write_text(dir, "a.json", whole);
    propose(bird, "labelme", dir);
    cJSON *root = test_read_json(dir, "a.json"), *shapes = test_member(root, "shapes");
    assert_int_equal(cJSON_GetArraySize(shapes), 1);
    assert_string_equal(test_member(shapes->child, "label")->valuestring, "bird");
    cJSON_Delete(root);
    free(whole);
    free(dir);
    tagmask_result_free(bird);
}

static void proposals_keep_their_place(void **state) {
    (void)state;
    for (size_t f = 0; f < TM_ARRAY_LEN(edited); f++) {
        char *dir = test_temporary_dir();
        tagmask_result *result = test_example("cup");
        propose(result, edited[f].format, dir);
        cJSON *root = test_read_json(dir, edited[f].name), *list = test_member(root, edited[f].list);
        cJSON *over = cJSON_Duplicate(cJSON_GetArrayItem(list, 2), true);
        cJSON_DeleteItemFromObject(over, "tagmask");
        cJSON_AddStringToObject(over, "by", "a person");
        cJSON_AddItemToArray(list, over);
        cJSON_AddStringToObject(cJSON_GetArrayItem(list, 0), "by", "a person");
        test_write_json(dir, edited[f].name, root);
        propose(result, edited[f].format, dir);
        root = test_read_json(dir, edited[f].name);
        list = test_member(root, edited[f].list);
        assert_int_equal(cJSON_GetArraySize(list), 3);  // the cup that a person drew stands for ours
        assert_true(cJSON_HasObjectItem(cJSON_GetArrayItem(list, 0), "by"));
        assert_false(cJSON_HasObjectItem(cJSON_GetArrayItem(list, 1), "by"));
        assert_true(cJSON_HasObjectItem(cJSON_GetArrayItem(list, 2), "by"));
        cJSON_Delete(root);
        free(dir);
        tagmask_result_free(result);
    }
}

// Whatever kind of shape a person drew over the bird, no bird is proposed there.
static void every_kind_of_shape_covers(void **state) {
    (void)state;
    static const struct {
        const char *format, *file, *text;
    } cases[] = {
        {"labelme", "a.json",
         "{\"shapes\": [{\"label\": \"bird\", \"shape_type\": \"circle\", \"points\": [[34, 5.5], [37.5, 5.5]]}]}"},
        {"labelme", "a.json",
         "{\"shapes\": [{\"label\": \"bird\", \"shape_type\": \"rectangle\", \"points\": [[38, 9], [30, 2]]}]}"},
        {"labelme", "a.json",
         "{\"shapes\": [{\"label\": \"bird\", \"shape_type\": \"mask\", \"mask\": \"\", \"points\": [[32, 3], [36, "
         "8]]}]}"},
        {"coco", "coco.json",
         "{\"images\": [{\"id\": 1, \"file_name\": \"a.jpg\"}], \"categories\": [{\"id\": 5, \"name\": \"bird\"}], "
         "\"annotations\": [{\"id\": 1, \"image_id\": 1, \"category_id\": 5, \"segmentation\": "
         "[[30, 2, 34, 2, 34, 9], [34, 2, 38, 2, 36, 8]]}]}"},
        {"coco", "coco.json",
         "{\"images\": [{\"id\": 1, \"file_name\": \"a.jpg\"}], \"categories\": [{\"id\": 5, \"name\": \"bird\"}], "
         "\"annotations\": [{\"id\": 1, \"image_id\": 1, \"category_id\": 5, \"bbox\": [30, 2, 7, 7]}]}"},
    };
    char *dir = test_temporary_dir();
    tagmask_result *bird = test_one_bird();
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        test_write_text(dir, cases[i].file, cases[i].text);
        propose(bird, cases[i].format, dir);
        cJSON *root = test_read_json(dir, cases[i].file);
        const char *list = strcmp(cases[i].format, "coco") ? "shapes" : "annotations";
        if (cJSON_GetArraySize(test_member(root, list)) != 1) fail_msg("case %zu: a second bird", i);
        cJSON_Delete(root);
    }
    free(dir);
    tagmask_result_free(bird);
}

static void another_photos_file_is_kept(void **state) {
    (void)state;
    char *dir = test_temporary_dir(), *jpg = tm_path_join(dir, "a.jpg"), *png = tm_path_join(dir, "a.png");
    tagmask_result *result = test_example("cup");
    tm_error err = TAGMASK_ERROR_INIT;
    test_write_text(dir, "a.jpg", "");
    test_write_text(dir, "a.png", "");
    assert_ok(write_photo(result, "labelme", jpg, dir, &err), &err);
    char *before = test_read_text(dir, "a.json");
    assert_int_equal(write_photo(result, "labelme", png, dir, &err), TAGMASK_ERROR_FILE);
    assert_non_null(strstr(err.message, "belongs to the photo a.jpg"));
    char *after = test_read_text(dir, "a.json");
    assert_string_equal(before, after);
    assert_ok(write_photo(result, "labelme", jpg, dir, &err), &err);
    // A renamed photo keeps its file: there is no other photo that it could belong to.
    assert_int_equal(remove(jpg), 0);
    assert_ok(write_photo(result, "labelme", png, dir, &err), &err);
    free(before);
    free(after);
    free(jpg);
    free(png);
    free(dir);
    tagmask_result_free(result);
}

static void an_embedded_photo_stays(void **state) {
    (void)state;
    char *dir = test_temporary_dir(), *data = malloc((1 << 20) + 1);
    tagmask_result *result = test_example("cup");
    memset(data, 'A', 1 << 20);
    data[1 << 20] = 0;
    propose(result, "labelme", dir);
    cJSON *root = test_read_json(dir, "a.json");
    cJSON_ReplaceItemInObjectCaseSensitive(root, "imageData", cJSON_CreateString(data));
    cJSON_ReplaceItemInObjectCaseSensitive(root, "version", cJSON_CreateString("6.3.1"));
    test_write_json(dir, "a.json", root);
    propose(result, "labelme", dir);
    root = test_read_json(dir, "a.json");
    assert_string_equal(test_member(root, "imageData")->valuestring, data);
    assert_string_equal(test_member(root, "version")->valuestring, "6.3.1");
    cJSON_Delete(root);
    free(data);
    free(dir);
    tagmask_result_free(result);
}

// ---- What could not be written again as it was ----------------------------------------------------------------------

static void what_json_would_lose_is_refused(void **state) {
    (void)state;
    char *dir = test_temporary_dir();
    static const struct {
        const char *name, *format, *text, *word;
    } cases[] = {
        {"a.json", "labelme", "{\"shapes\": []} {\"shapes\": []}", "no labelme file"},
        {"a.json", "labelme", "{\"shapes\": [], \"x\": NaN}", "no labelme file"},
        {"a.json", "labelme", "{\"shapes\": [], \"x\": \"\\u0000\"}", "zero character"},
        {"a.json", "labelme", "{\"shapes\": [], \"x\": 4503599627370497}", "2^52"},
        {"a.json", "labelme", "{\"shapes\": [], \"x\": [-12345678901234567890]}", "2^52"},
        {"coco.json", "coco", "{\"images\": [], \"annotations\": [{\"id\": 4503599627370497}], \"categories\": []}",
         "2^52"},
        {"label-studio.json", "label-studio", "[{\"id\": 4503599627370497}]", "2^52"},
        {"label-studio.json", "label-studio", "[] []", "no list of tasks"},
        {"a.json", "labelme", "{\"shapes\": [], \"x\": -1e400}", "1.8e308"},
    };
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        test_write_text(dir, cases[i].name, cases[i].text);
        expect_refusal(cases[i].format, dir, cases[i].name, cases[i].word);
    }
    tagmask_result *result = test_example("cup");
    test_write_text(dir, "a.json",
                    "{\"shapes\": [], \"a\": 4503599627370496, \"b\": -1.25e-300, \"c\": 0.12345678901234567, "
                    "\"d\": \"\\\\u0000 4503599627370497 \\\" 4503599627370497\"}");
    propose(result, "labelme", dir);
    cJSON *root = test_read_json(dir, "a.json");
    assert_true(test_member(root, "a")->valuedouble == 4503599627370496.0);
    assert_true(test_member(root, "b")->valuedouble == -1.25e-300);
    assert_true(test_member(root, "c")->valuedouble == 0.12345678901234567);
    assert_string_equal(test_member(root, "d")->valuestring, "\\u0000 4503599627370497 \" 4503599627370497");
    cJSON_Delete(root);
    free(dir);
    tagmask_result_free(result);
}

// Numbers that 15 digits nearly spell.
static void numbers_stay_to_the_last_digit(void **state) {
    (void)state;
    static const char numbers[] = "[0.30000000000000004,250.00000000000003,299.99999999999994,1e-7,0.1]";
    char *dir = test_temporary_dir();
    tagmask_result *result = test_example("cup");
    char *labelme = tm_format("{\"shapes\": [{\"label\": \"cup\", \"points\": [%s, [0, 1], [1, 1]]}]}", numbers);
    char *coco = tm_format(
        "{\"images\": [{\"id\": 1, \"file_name\": \"z.jpg\", \"x\": %s}], \"annotations\": "
        "[{\"id\": 1, \"image_id\": 1, \"category_id\": 1, \"bbox\": %s}], \"categories\": "
        "[{\"id\": 1, \"name\": \"cup\", \"x\": %s}], \"x\": %s}",
        numbers, numbers, numbers, numbers);
    char *tasks = tm_format("[{\"data\": {\"image\": \"z.jpg\"}, \"x\": %s}]", numbers);
    const char *const files[][4] = {{"a.json", "labelme", labelme, "1"},
                                    {"coco.json", "coco", coco, "4"},
                                    {"label-studio.json", "label-studio", tasks, "1"}};
    for (size_t i = 0; i < TM_ARRAY_LEN(files); i++) {
        test_write_text(dir, files[i][0], files[i][2]);
        propose(result, files[i][1], dir);
        char *text = test_read_text(dir, files[i][0]);
        int found = 0;
        for (char *from = text, *to = text;; from++) {  // without spaces
            if (!strchr(" \t\n", *from) || !*from) *to++ = *from;
            if (!*from) break;
        }
        for (char *at = text; (at = strstr(at, "0.30000000000000004,250.00000000000003,299.99999999999994,1e-07,0.1"));
             at++)
            found++;
        if (found != atoi(files[i][3]))
            fail_msg("%s: %d of %s lists are as they were", files[i][0], found, files[i][3]);
        free(text);
    }
    free(labelme);
    free(coco);
    free(tasks);
    free(dir);
    tagmask_result_free(result);
}

// ---- What a person wrote where few look -----------------------------------------------------------------------------

static void a_note_in_a_tasks_meta_keeps_the_task(void **state) {
    (void)state;
    char *dir = test_temporary_dir();
    tagmask_result *result = test_example("cup"), *other = test_one_bird();
    propose(result, "label-studio", dir);
    cJSON *root = test_read_json(dir, "label-studio.json");
    cJSON_AddStringToObject(test_member(cJSON_GetArrayItem(root, 0), "meta"), "note", "checked by me");
    test_write_json(dir, "label-studio.json", root);
    char *before = test_read_text(dir, "label-studio.json");
    propose(other, "label-studio", dir);
    root = test_read_json(dir, "label-studio.json");
    cJSON *was = cJSON_Parse(before);
    assert_true(cJSON_Compare(root, was, true));
    cJSON_Delete(was);
    cJSON_Delete(root);
    free(before);
    free(dir);
    tagmask_result_free(result);
    tagmask_result_free(other);
}

// Annotations of an image or category that was removed stay without one.
static void orphans_get_no_new_parent(void **state) {
    (void)state;
    char *dir = test_temporary_dir();
    tagmask_result *result = test_one_bird();
    test_write_text(dir, "coco.json",
                    "{\"images\": [], \"annotations\": [{\"id\": 5, \"image_id\": 1, \"category_id\": 1, \"bbox\": "
                    "[1, 1, 2, 2]}], \"categories\": []}");
    propose(result, "coco", dir);
    cJSON *root = test_read_json(dir, "coco.json"), *annotations = test_member(root, "annotations");
    double image = test_member(cJSON_GetArrayItem(test_member(root, "images"), 0), "id")->valuedouble;
    double category = test_member(cJSON_GetArrayItem(test_member(root, "categories"), 0), "id")->valuedouble;
    assert_true(image > 1 && category > 1);
    cJSON *orphan = cJSON_GetArrayItem(annotations, 0), *ours = cJSON_GetArrayItem(annotations, 1);
    assert_true(test_member(orphan, "image_id")->valuedouble == 1 &&
                test_member(orphan, "category_id")->valuedouble == 1);
    assert_true(test_member(ours, "image_id")->valuedouble == image);
    assert_true(test_member(ours, "category_id")->valuedouble == category);
    cJSON_Delete(root);
    free(dir);
    tagmask_result_free(result);
}

// One name in another encoding would make the file unreadable for all photos in it.
static void names_that_are_not_utf8_are_refused(void **state) {
    (void)state;
    static const char *const names[] = {"caf\xe9.jpg",          "\xc0\xaf.jpg",     "\xed\xa0\x80.jpg",
                                        "\xf4\x90\x80\x80.jpg", "\xef\xbf\xbf.jpg", "\xe2\x82"};
    char *dir = test_temporary_dir();
    tagmask_result *result = test_one_bird();
    tm_error err = TAGMASK_ERROR_INIT;
    for (size_t f = 0; tagmask_format_name(f); f++) {
        const tm_label_format *format = tm_label_format_at(f);
        if (format->needs_photo) continue;
        propose(result, format->name, dir);
        char *file = format->begin && format->holds_name ? test_read_text(dir, format->ending) : NULL;
        for (size_t i = 0; format->holds_name && i < TM_ARRAY_LEN(names); i++) {
            assert_int_equal(write_photo(result, format->name, names[i], dir, &err), TAGMASK_ERROR_UNSUPPORTED);
            assert_non_null(strstr(err.message, "UTF-8"));
        }
        if (file) {
            char *after = test_read_text(dir, format->ending);
            assert_string_equal(file, after);
            free(after);
        }
        free(file);
        assert_ok(write_photo(result, format->name, "caf\xc3\xa9 \xf0\x9f\x90\x88.jpg", dir, &err), &err);
    }
    assert_ok(write_photo(result, "voc", names[0], dir, &err), &err);  // whose files hold no name
    free(dir);
    tagmask_result_free(result);
}

static const char *painted;  // a file that a person saves while a picture is encoded

tagmask_status __real_tm_png_encode(const tm_png *png, uint8_t **bytes, size_t *size, tm_error *err);
tagmask_status __wrap_tm_png_encode(const tm_png *png, uint8_t **bytes, size_t *size, tm_error *err);
tagmask_status __wrap_tm_png_encode(const tm_png *png, uint8_t **bytes, size_t *size, tm_error *err) {
    tm_error ignored;
    if (painted) tm_write_file(painted, "a person's", 10, &ignored);
    return __real_tm_png_encode(png, bytes, size, err);
}

static void what_is_saved_while_a_picture_is_encoded_stays(void **state) {
    (void)state;
    char *dir = test_temporary_dir(), *path = tm_path_join(dir, "a.png");
    tagmask_result *result = test_one_bird();
    propose(result, "voc", dir);
    tm_error err = TAGMASK_ERROR_INIT;
    painted = path;
    assert_int_equal(write_photo(result, "voc", "a.jpg", dir, &err), TAGMASK_ERROR_FILE);
    painted = NULL;
    assert_non_null(strstr(err.message, "meanwhile"));
    char *text = test_read_text(dir, "a.png");
    assert_string_equal(text, "a person's");
    free(text);
    free(path);
    free(dir);
    tagmask_result_free(result);
}

// ---- Two writers ----------------------------------------------------------------------------------------------------

static void two_writers_are_kept_apart(void **state) {
    (void)state;
    tagmask_result *result = test_one_bird();
    char *dir = test_temporary_dir();
    for (size_t i = 0; tagmask_format_name(i); i++) {
        const tm_label_format *format = tm_label_format_at(i);
        tm_error err = TAGMASK_ERROR_INIT;
        tagmask_writer *first = NULL, *second = NULL;
        char *name = tm_format(".tagmask-%s.lock", format->name), *path = tm_path_join(dir, name);
        if (format->begin) test_write_text(dir, name, "");  // what a killed program leaves is no obstacle
        assert_ok(tagmask_writer_open(format->name, dir, &first, &err), &err);
        if (format->begin) {
            assert_int_equal(tagmask_writer_open(format->name, dir, &second, &err), TAGMASK_ERROR_FILE);
            assert_null(second);
            assert_non_null(strstr(err.message, format->name));
            if (!format->needs_photo) assert_ok(tagmask_writer_add(first, result, "a.jpg", NULL, &err), &err);
            assert_int_not_equal(write_photo(result, format->name, "b.jpg", dir, &err), TAGMASK_OK);
        }
        assert_ok(tagmask_writer_close(first, &err), &err);
        assert_false(tm_file_exists(path));
        if (!format->needs_photo) propose(result, format->name, dir);
        assert_false(tm_file_exists(path));
        free(path);
        free(name);
    }
    free(dir);
    tagmask_result_free(result);
}

// As two runs of the command meet; the first is killed in the middle.
static void two_programs_are_kept_apart(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_writer *writer = NULL;
    char *dir = test_temporary_dir(), ready;
    int ways[2];
    assert_int_equal(pipe(ways), 0);
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        if (tagmask_writer_open("coco", dir, &writer, NULL) != TAGMASK_OK || write(ways[1], "x", 1) != 1) _exit(1);
        for (;;) pause();
    }
    assert_true(child > 0);
    close(ways[1]);
    assert_int_equal(read(ways[0], &ready, 1), 1);
    close(ways[0]);
    assert_int_equal(tagmask_writer_open("coco", dir, &writer, &err), TAGMASK_ERROR_FILE);
    assert_non_null(strstr(err.message, "another writer of coco files"));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_ok(tagmask_writer_open("coco", dir, &writer, &err), &err);
    assert_ok(tagmask_writer_close(writer, &err), &err);
    free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rewritten_files_are_untouched),
        cmocka_unit_test(every_change_counts),
        cmocka_unit_test(pasted_shapes_are_a_persons),
        cmocka_unit_test(repacked_masks_are_untouched),
        cmocka_unit_test(polygons_and_masks_replace_each_other),
        cmocka_unit_test(files_of_the_first_kind_are_taken_up),
        cmocka_unit_test(proposals_keep_their_place),
        cmocka_unit_test(every_kind_of_shape_covers),
        cmocka_unit_test(another_photos_file_is_kept),
        cmocka_unit_test(an_embedded_photo_stays),
        cmocka_unit_test(what_json_would_lose_is_refused),
        cmocka_unit_test(numbers_stay_to_the_last_digit),
        cmocka_unit_test(a_note_in_a_tasks_meta_keeps_the_task),
        cmocka_unit_test(orphans_get_no_new_parent),
        cmocka_unit_test(names_that_are_not_utf8_are_refused),
        cmocka_unit_test(what_is_saved_while_a_picture_is_encoded_stays),
        cmocka_unit_test(two_writers_are_kept_apart),
        cmocka_unit_test(two_programs_are_kept_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
