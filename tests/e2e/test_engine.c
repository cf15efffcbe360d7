// What an engine tells about its classes and its words, through the public interface.
#include <stdlib.h>
#include <string.h>

#include "support.h"

static tagmask_device *device;
static tagmask_engine *engine;

static int open_engine(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tagmask_device_open(NULL, &device, &err), &err);
    assert_ok(tagmask_engine_create(device, NULL, "none", &engine, &err), &err);
    return 0;
}

static int close_engine(void **state) {
    (void)state;
    tagmask_engine_free(engine);
    tagmask_device_close(device);
    return 0;
}

static void classes_have_names(void **state) {
    (void)state;
    assert_int_equal(tagmask_engine_class_count(engine), 1000);
    assert_string_equal(tagmask_engine_class_name(engine, 285), "Egyptian cat");
    for (size_t i = 0; i < 1000; i++) assert_true(*tagmask_engine_class_name(engine, i));
    assert_null(tagmask_engine_class_name(engine, 1000));
}

static void the_vocabulary_is_sorted_and_known(void **state) {
    (void)state;
    size_t count = 0;
    tm_error err = TAGMASK_ERROR_INIT;
    const char *word, *before = NULL;
    for (; (word = tagmask_engine_vocabulary(engine, count)) != NULL; count++) {
        if (before) assert_true(strcmp(before, word) < 0);
        before = word;
        tagmask_tag_info info = {.struct_size = sizeof info};
        if (count % 50 == 0) assert_ok(tagmask_engine_resolve_tag(engine, word, &info, &err), &err);
    }
    assert_true(count >= 1000);
    assert_null(tagmask_engine_vocabulary(engine, count + 1));
}

static void tags_mean_classes(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_tag_info info = {.struct_size = sizeof info};
    assert_ok(tagmask_engine_resolve_tag(engine, "airplane", &info, &err), &err);
    assert_string_equal(info.name, "aeroplane");
    assert_int_equal(info.class_count, 2);
    assert_int_equal(info.classes[0], 404);
    assert_int_equal(info.classes[1], 895);
    assert_ok(tagmask_engine_resolve_tag(engine, "dog", &info, &err), &err);
    assert_int_equal(info.class_count, 118);
    for (size_t i = 1; i < info.class_count; i++) assert_true(info.classes[i - 1] < info.classes[i]);
    assert_ok(tagmask_engine_resolve_tag(engine, "#282,281", &info, &err), &err);
    assert_int_equal(info.class_count, 2);
    assert_int_equal(info.classes[0], 281);
    assert_ok(tagmask_engine_resolve_tag(engine, "cow", &info, &err), &err);
    assert_int_equal(info.class_count, 0);
    assert_non_null(info.note);
}

static void unknown_tags_are_answered_with_near_ones(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_tag_info info = {.struct_size = sizeof info};
    assert_int_equal(tagmask_engine_resolve_tag(engine, "aeroplan", &info, &err), TAGMASK_ERROR_UNKNOWN_TAG);
    assert_non_null(strstr(err.message, "aeroplane"));
    assert_int_not_equal(tagmask_engine_resolve_tag(engine, "#1000", &info, &err), TAGMASK_OK);
    assert_int_equal(tagmask_engine_resolve_tag(engine, NULL, &info, &err), TAGMASK_ERROR_ARGUMENT);
    assert_null(info.name);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_have_names),
        cmocka_unit_test(the_vocabulary_is_sorted_and_known),
        cmocka_unit_test(tags_mean_classes),
        cmocka_unit_test(unknown_tags_are_answered_with_near_ones),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
