// The tag resolver: names, synonyms, plurals, explicit indices, nearest names, and hostile tables.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "mask/tags.h"
#include "support.h"

static const char table_text[] =
    "{\"format\": 1,"
    " \"tags\": {\"cat\": [3, 1, 2, 3], \"horse\": [4], \"aeroplane\": [5, 6], \"person\": [], \"tv monitor\": [7],"
    "            \"knife\": [8], \"goggles\": [9], \"mouse\": [10], \"bus\": [11], \"jet_plane\": [5]},"
    " \"canonical\": {\"airplane\": \"aeroplane\", \"jet_plane\": \"aeroplane\", \"pussy-cat\": \"cat\"},"
    " \"notes\": {\"horse\": \"the class sorrel\"}}";
static const char labels_text[] =
    "[\"tench, Tinca tinca\", \"tabby\", \"tiger cat\", \"Egyptian cat\", \"sorrel\", \"airliner\", \"warplane\","
    " \"monitor\", \"cleaver\", \"goggles\", \"mouse\", \"minibus\", \"crane\", \"crane\"]";
#define CLASSES 14

static char *write_text(const char *folder, const char *name, const char *text) {
    tm_error err = TAGMASK_ERROR_INIT;
    char *path = tm_path_join(folder, name);
    assert_ok(tm_write_file(path, text, strlen(text), &err), &err);
    return path;
}

static tm_tags *load(const char *table, const char *labels, size_t classes, tm_error *err) {
    static char *folder;
    if (!folder) folder = test_temporary_dir();
    char *table_path = table ? write_text(folder, "tags.json", table) : NULL;
    char *labels_path = labels ? write_text(folder, "labels.json", labels) : NULL;
    tm_tags *tags = NULL;
    tagmask_status status = tm_tags_load(table_path, labels_path, classes, &tags, err);
    assert_int_equal(status == TAGMASK_OK, tags != NULL);
    if (status != TAGMASK_OK) assert_int_equal(status, err->status);
    free(table_path);
    free(labels_path);
    return tags;
}

static void expect(tm_tags *tags, const char *tag, const char *name, size_t count, const int32_t *classes) {
    tagmask_tag_info info = {.struct_size = sizeof info};
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_tags_resolve(tags, tag, &info, &err), &err);
    assert_string_equal(info.name, name);
    assert_int_equal(info.class_count, count);
    for (size_t i = 0; i < count; i++) assert_int_equal(info.classes[i], classes[i]);
    assert_non_null(info.note);
}
#define EXPECT(tag, name, ...)                                       \
    do {                                                             \
        const int32_t list[] = {__VA_ARGS__};                        \
        expect(tags, tag, name, sizeof list / sizeof list[0], list); \
    } while (0)

static void test_names(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tm_tags *tags = load(table_text, labels_text, CLASSES, &err);
    assert_non_null(tags);
    EXPECT("cat", "cat", 1, 2, 3);
    EXPECT("CATS", "cat", 1, 2, 3);
    EXPECT("Pussy Cat", "cat", 1, 2, 3);
    EXPECT("airplane", "aeroplane", 5, 6);
    EXPECT("jet plane", "aeroplane", 5);
    EXPECT("Jet-Planes", "aeroplane", 5);
    EXPECT("tvmonitor", "tv monitor", 7);
    EXPECT("TV_monitors", "tv monitor", 7);
    EXPECT("knives", "knife", 8);
    EXPECT("goggle", "goggles", 9);
    EXPECT("mice", "mouse", 10);
    EXPECT("buses", "bus", 11);
    EXPECT("horses", "horse", 4);
    // From the pack's labels, behind the table.
    EXPECT("tinca tinca", "Tinca tinca", 0);
    EXPECT("egyptian_cat", "Egyptian cat", 3);
    EXPECT("crane", "crane", 12, 13);
    expect(tags, "people", "person", 0, NULL);
    tm_tags_free(tags);
}

static void test_indices(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tm_tags *tags = load(NULL, NULL, CLASSES, &err);
    assert_non_null(tags);
    EXPECT("#3", "#3", 3);
    EXPECT("#5,2,5", "#5,2,5", 2, 5);
    expect(tags, "#", "#", 0, NULL);
    tagmask_tag_info one = {.struct_size = sizeof one}, two = one;
    assert_ok(tm_tags_resolve(tags, "#1,2", &one, &err), &err);
    assert_ok(tm_tags_resolve(tags, "#1,2", &two, &err), &err);
    assert_ptr_equal(one.classes, two.classes);
    static const char *const bad[] = {"",  "#14",   "#-1", "#1,", "#,1", "#1 2", "#x", "#99999999999999999999",
                                      "-", "#1,,2", NULL};
    for (size_t i = 0; bad[i]; i++) {
        assert_int_equal(tm_tags_resolve(tags, bad[i], &one, &err), TAGMASK_ERROR_ARGUMENT);
        assert_true(strlen(err.message) > 10);
    }
    assert_string_equal(tm_tags_class_name(tags, 3), "#3");
    assert_string_equal(tm_tags_of_class(tags, 3), "#3");
    assert_null(tm_tags_class_name(tags, CLASSES));
    assert_null(tm_tags_of_class(tags, CLASSES));
    tm_tags_free(tags);
}

static void test_unknown(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tm_tags *tags = load(table_text, labels_text, CLASSES, &err);
    assert_non_null(tags);
    tagmask_tag_info info = {.struct_size = sizeof info};
    static const char *const near[][2] = {
        {"hrose", "horse"}, {"aeroplan", "aeroplane"}, {"caat", "cat"}, {"egypt", "Egyptian cat"}, {"mosue", "mouse"}};
    for (size_t i = 0; i < TM_ARRAY_LEN(near); i++) {
        assert_int_equal(tm_tags_resolve(tags, near[i][0], &info, &err), TAGMASK_ERROR_UNKNOWN_TAG);
        char expected[100];
        snprintf(expected, sizeof expected, "nearest names are: %s", near[i][1]);
        if (!strstr(err.message, expected)) fail_msg("%s: %s", near[i][0], err.message);
    }
    assert_int_equal(tm_tags_resolve(tags, "zzzzqqqq", &info, &err), TAGMASK_ERROR_UNKNOWN_TAG);
    assert_non_null(strstr(err.message, "no name is near"));
    char long_tag[400];
    memset(long_tag, 'a', sizeof long_tag - 1);
    long_tag[sizeof long_tag - 1] = 0;
    assert_int_equal(tm_tags_resolve(tags, long_tag, &info, &err), TAGMASK_ERROR_ARGUMENT);
    tm_tags_free(tags);
}

static void test_listing(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tm_tags *tags = load(table_text, labels_text, CLASSES, &err);
    assert_non_null(tags);
    size_t count = tm_tags_count(tags);
    for (size_t i = 0; i < count; i++) {
        const char *name = tm_tags_name(tags, i);
        if (i) assert_true(strcmp(tm_tags_name(tags, i - 1), name) < 0);
        assert_true(strcmp(name, "airplane") != 0 && strcmp(name, "pussy-cat") != 0);  // synonyms are left out
        tagmask_tag_info info = {.struct_size = sizeof info};
        assert_ok(tm_tags_resolve(tags, name, &info, &err), &err);
        assert_string_equal(info.name, name);
    }
    assert_null(tm_tags_name(tags, count));
    assert_string_equal(tm_tags_class_name(tags, 0), "tench");
    assert_string_equal(tm_tags_of_class(tags, 3), "Egyptian cat");
    assert_string_equal(tm_tags_of_class(tags, 12), "crane");
    tagmask_tag_info info = {.struct_size = sizeof info};
    tm_error unused = TAGMASK_ERROR_INIT;
    assert_ok(tm_tags_resolve(tags, "horse", &info, &unused), &unused);
    assert_string_equal(info.note, "the class sorrel");
    assert_ok(tm_tags_resolve(tags, "person", &info, &unused), &unused);
    assert_non_null(strstr(info.note, "saliency"));
    // An older caller's shorter struct is not written beyond its end.
    tagmask_tag_info older = {.struct_size = offsetof(tagmask_tag_info, class_count), .class_count = 77};
    assert_ok(tm_tags_resolve(tags, "horse", &older, &unused), &unused);
    assert_int_equal(older.class_count, 77);
    assert_string_equal(older.name, "horse");
    tm_tags_free(tags);
}

static void test_hostile_tables(void **state) {
    (void)state;
    static const char *const tables[] = {
        "",
        "[",
        "[]",
        "{}",
        "{\"format\": 2, \"tags\": {}}",
        "{\"format\": 1, \"tags\": []}",
        "{\"format\": 1, \"tags\": {\"cat\": 3}}",
        "{\"format\": 1, \"tags\": {\"cat\": [14]}}",
        "{\"format\": 1, \"tags\": {\"cat\": [-1]}}",
        "{\"format\": 1, \"tags\": {\"cat\": [1.5]}}",
        "{\"format\": 1, \"tags\": {\"cat\": [1e99]}}",
        "{\"format\": 1, \"tags\": {\"cat\": [\"1\"]}}",
        "{\"format\": 1, \"tags\": {\"cat\": [0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}}",
        "{\"format\": 1, \"tags\": {\"\": [1]}}",
        "{\"format\": 1, \"tags\": {\"--\": [1]}}",
        "{\"format\": 1, \"tags\": {\"cat\": [1]}, \"canonical\": {\"dog\": \"hound\"}}",
        "{\"format\": 1, \"tags\": {\"cat\": [1]}, \"canonical\": {\"cat\": 5}}",
        "{\"format\": 1, \"tags\": {\"cat\": [1]}, \"canonical\": 5}",
        "{\"format\": 1, \"tags\": {\"cat\": [1]}, \"notes\": {\"dog\": \"x\"}}",
        "{\"format\": 1, \"tags\": {\"cat\": [1]}, \"notes\": {\"cat\": []}}",
    };
    for (size_t i = 0; i < TM_ARRAY_LEN(tables); i++) {
        tm_error err = TAGMASK_ERROR_INIT;
        if (load(tables[i], NULL, CLASSES, &err)) fail_msg("accepted: %s", tables[i]);
        assert_int_equal(err.status, TAGMASK_ERROR_FORMAT);
        assert_non_null(strstr(err.message, "tags.json"));
    }
    static const char *const labels[] = {"{}", "[\"a\"]", "[1,2,3,4,5,6,7,8,9,10,11,12,13,14]", "[\"a\",\"\",\"c\"]"};
    for (size_t i = 0; i < TM_ARRAY_LEN(labels); i++) {
        tm_error err = TAGMASK_ERROR_INIT;
        if (load(NULL, labels[i], i == 3 ? 3 : CLASSES, &err)) fail_msg("accepted: %s", labels[i]);
        assert_int_equal(err.status, TAGMASK_ERROR_FORMAT);
        assert_non_null(strstr(err.message, "labels.json"));
    }
    static const char *const twice[][2] = {
        {"{\"format\": 1, \"tags\": {\"cat\": [1], \"dog\": [2], \"cat\": [3]}}", "\"cat\" is there twice"},
        {"{\"format\": 1, \"tags\": {\"tall cat\": [1], \"tall_cat\": [3]}}", "\"tall cat\" is there twice"},
        {"{\"format\": 1, \"tags\": {\"cat\": [1]}, \"canonical\": {\"puss\": \"cat\", \"puss\": \"cat\"}}",
         "\"puss\" is there twice"},
        {"{\"format\": 1,\n \"tags\": {\"cat\": [1] \"dog\": [2]}}",
         "line 2, column 22: did not expect '\"dog\": [2]}}'"},
    };
    for (size_t i = 0; i < TM_ARRAY_LEN(twice); i++) {
        tm_error err = TAGMASK_ERROR_INIT;
        assert_null(load(twice[i][0], NULL, CLASSES, &err));
        if (!strstr(err.message, twice[i][1])) fail_msg("%s: %s", twice[i][0], err.message);
    }
    tm_error err = TAGMASK_ERROR_INIT;
    tm_tags *tags = NULL;
    assert_int_equal(tm_tags_load("/nonexistent/tags.json", NULL, 3, &tags, &err), TAGMASK_ERROR_FILE);
    assert_null(tags);
}

static void test_label_objects(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tm_tags *tags =
        load("{\"format\": 1, \"tags\": {\"kite\": []}}",
             "{\"labels\": [{\"name\": \"kite bird\", \"wnid\": \"n1\", \"synonyms\": [\"kite\", \"glede\"]},"
             " {\"name\": \"Carr's hen, small\"}]}",
             2, &err);
    assert_non_null(tags);
    EXPECT("kite bird", "kite bird", 0);
    EXPECT("glede", "glede", 0);
    EXPECT("carrs hen, small", "Carr's hen, small", 1);
    expect(tags, "kite", "kite", 0, NULL);  // the table goes before the labels
    assert_string_equal(tm_tags_class_name(tags, 0), "kite bird");
    tm_tags_free(tags);
    assert_null(load(NULL, "[{\"name\": 5}, {}]", 2, &err));
    assert_null(load(NULL, "[{\"name\": \"a\"}, {\"name\": \"b\"}, {\"name\": \"a\"}]", 3, &err));
    assert_non_null(strstr(err.message, "labels 0 and 2 have one name, \"a\""));
    assert_null(load(NULL, "[{\"name\": \"a\", \"synonyms\": [5]}, \"b\"]", 2, &err));
    assert_null(load(NULL, "[{\"name\": \"a\", \"synonyms\": 5}, \"b\"]", 2, &err));
}

// Deep nesting must neither overflow the stack nor be accepted.
static void test_deep_nesting(void **state) {
    (void)state;
    size_t depth = 500000;
    char *text = malloc(depth + 1);
    assert_non_null(text);
    memset(text, '[', depth);
    text[depth] = 0;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_null(load(text, NULL, CLASSES, &err));
    assert_int_equal(err.status, TAGMASK_ERROR_FORMAT);
    free(text);
}

static void test_edit_distance(void **state) {
    (void)state;
    assert_int_equal(tm_edit_distance("", "", 3), 0);
    assert_int_equal(tm_edit_distance("abc", "abc", 3), 0);
    assert_int_equal(tm_edit_distance("abc", "acb", 3), 1);
    assert_int_equal(tm_edit_distance("abc", "ab", 3), 1);
    assert_int_equal(tm_edit_distance("abc", "xabc", 3), 1);
    assert_int_equal(tm_edit_distance("kitten", "sitting", 5), 3);
    assert_int_equal(tm_edit_distance("kitten", "sitting", 1), 2);
    tm_nearest letters;
    tm_nearest_begin(&letters, "ctas", 2);  // equally many edits away; "cat" shares more letters
    tm_nearest_offer(&letters, "cab", "cab");
    tm_nearest_offer(&letters, "cat", "cat");
    assert_string_equal(letters.names[0], "cat");
    assert_int_equal(tm_edit_distance("ca", "abc", 5), 3);  // restricted: 2 without the restriction
    tm_nearest nearest;
    char text[12];
    tm_nearest_begin(&nearest, "thresh", 3);
    tm_nearest_offer(&nearest, "fresh", "fresh");
    tm_nearest_offer(&nearest, "threshold", "threshold");
    tm_nearest_offer(&nearest, "threshold", "threshold");
    tm_nearest_offer(&nearest, "device", "device");
    assert_int_equal(nearest.count, 2);
    assert_string_equal(tm_nearest_text(&nearest, text, sizeof text), "threshold");  // whole names only
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_label_objects), cmocka_unit_test(test_names),
        cmocka_unit_test(test_indices),       cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_listing),       cmocka_unit_test(test_hostile_tables),
        cmocka_unit_test(test_deep_nesting),  cmocka_unit_test(test_edit_distance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
