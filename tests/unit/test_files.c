// Files and folders as the rest of the library sees them, on whatever system this runs.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/platform.h"
#include "support.h"

#define UNICODE_NAME "\xc3\xbc\xd0\xb6\xe7\x8c\xab\xf0\x9f\x90\xb1 x"  // ü ж 猫 and a cat's face

static void a_file_is_replaced_whole(void **state) {
    (void)state;
    char *dir = test_temporary_dir(), *path = tm_path_join(dir, UNICODE_NAME ".bin");
    tm_error err = TAGMASK_ERROR_INIT;
    const char *texts[] = {"first and longer", "", "second"};
    for (size_t i = 0; i < TM_ARRAY_LEN(texts); i++) {
        uint8_t *data = NULL;
        size_t size = 1;
        assert_ok(tm_write_file(path, texts[i], strlen(texts[i]), &err), &err);
        assert_true(tm_file_exists(path));
        assert_ok(tm_read_file(path, 100, &data, &size, &err), &err);
        assert_int_equal(size, strlen(texts[i]));
        assert_string_equal((char *)data, texts[i]);
        free(data);
    }
    char **names = NULL;
    size_t count = 0;
    assert_ok(tm_list_folder(dir, &names, &count, &err), &err);
    assert_int_equal(count, 1);  // no temporary is left
    assert_string_equal(names[0], UNICODE_NAME ".bin");
    tm_free_names(names, count);
    free(path);
    free(dir);
}

static void failures_name_path_and_reason(void **state) {
    (void)state;
    char *dir = test_temporary_dir(), *missing = tm_path_join(dir, "no/such.bin");
    tm_error err = TAGMASK_ERROR_INIT;
    uint8_t *data = NULL;
    size_t size = 0, count = 0;
    char **names = NULL;
    assert_int_equal(tm_read_file(missing, 100, &data, &size, &err), TAGMASK_ERROR_FILE);
    assert_non_null(strstr(err.message, missing));
    assert_non_null(strstr(err.message, strerror(ENOENT)));
    assert_int_equal(tm_write_file(missing, "x", 1, &err), TAGMASK_ERROR_FILE);
    assert_non_null(strstr(err.message, strerror(ENOENT)));
    assert_int_equal(tm_read_file(dir, 100, &data, &size, &err), TAGMASK_ERROR_FILE);
    assert_non_null(strstr(err.message, "is a folder"));
    assert_int_equal(tm_list_folder(missing, &names, &count, &err), TAGMASK_ERROR_FILE);
    assert_non_null(strstr(err.message, strerror(ENOENT)));
    // A file where a folder should be.
    char *file = tm_path_join(dir, "file"), *below = tm_path_join(file, "below");
    assert_ok(tm_write_file(file, "12345", 5, &err), &err);
    assert_int_equal(tm_make_dirs(below, &err), TAGMASK_ERROR_FILE);
    assert_int_equal(tm_read_file(file, 4, &data, &size, &err), TAGMASK_ERROR_FORMAT);
    assert_true(tm_file_remove(file));
    assert_false(tm_file_remove(file));
    assert_int_equal(errno, ENOENT);
    free(below);
    free(file);
    free(missing);
    free(dir);
}

static void folders_are_made_and_listed_in_order(void **state) {
    (void)state;
    char *dir = test_temporary_dir(), *deep = tm_path_join(dir, "a//" UNICODE_NAME "/c/");
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_make_dirs(deep, &err), &err);
    assert_ok(tm_make_dirs(deep, &err), &err);
    assert_ok(tm_make_dirs("/", &err), &err);
    assert_true(tm_is_dir(deep));
    assert_true(tm_folder_is_writable(deep));
    static const char *const made[] = {"b.png", "B.png", ".hidden", "a.png", "\xc3\xa4.png"};
    static const char *const sorted[] = {".hidden", "B.png", "a.png", "b.png", "\xc3\xa4.png"};
    for (size_t i = 0; i < TM_ARRAY_LEN(made); i++) {
        char *path = tm_path_join(deep, made[i]);
        assert_ok(tm_write_file(path, "", 0, &err), &err);
        free(path);
    }
    char **names = NULL;
    size_t count = 0;
    assert_ok(tm_list_folder(deep, &names, &count, &err), &err);
    assert_int_equal(count, TM_ARRAY_LEN(sorted));
    for (size_t i = 0; i < count; i++) assert_string_equal(names[i], sorted[i]);
    tm_free_names(names, count);
    free(deep);
    free(dir);
}

static void two_paths_of_one_file_are_known(void **state) {
    (void)state;
    char *dir = test_temporary_dir(), *one = tm_path_join(dir, "one"), *other = tm_path_join(dir, "other");
    char *roundabout = tm_path_join(dir, "../"), *name = tm_format("%s%s/./one", roundabout, tm_file_name(dir));
    tm_error err = TAGMASK_ERROR_INIT;
    tm_file_info a, b, c;
    assert_ok(tm_write_file(one, "12345", 5, &err), &err);
    assert_ok(tm_write_file(other, "12345", 5, &err), &err);
    assert_true(tm_file_stat(one, &a) && tm_file_stat(name, &b) && tm_file_stat(other, &c));
    assert_true(a.regular && !a.folder && a.size == 5);
    assert_true(a.device == b.device && a.number == b.number);
    assert_false(a.device == c.device && a.number == c.number);
    char *real = tm_real_path(name), *expected = tm_real_path(one);
    assert_string_equal(real, expected);
    char *nowhere = tm_path_join(dir, "nowhere");
    assert_null(tm_real_path(nowhere));
    free(nowhere);
    free(real);
    free(expected);
    free(name);
    free(roundabout);
    free(one);
    free(other);
    free(dir);
}

static void parts_of_a_file_are_read_and_mapped(void **state) {
    (void)state;
    char *dir = test_temporary_dir(), *path = tm_path_join(dir, "part");
    tm_error err = TAGMASK_ERROR_INIT;
    char text[8] = "";
    const void *mapped = NULL;
    assert_ok(tm_write_file(path, "0123456789", 10, &err), &err);
    int file = tm_file_open(path);
    assert_true(file >= 0);
    assert_int_equal(tm_file_read_at(file, text, 4, 3), 4);
    assert_string_equal(text, "3456");
    assert_int_equal(tm_file_read_at(file, text, 4, 8), 2);
    assert_int_equal(tm_file_read_at(file, text, 4, 10), 0);
    assert_true(tm_file_map(file, 10, &mapped));
    assert_true(tm_file_close(file));
    assert_memory_equal(mapped, "0123456789", 10);
    tm_file_unmap(mapped, 10);
    FILE *stream = tm_file_stream(path, 'a');
    assert_non_null(stream);
    assert_true(fputs("\n", stream) >= 0 && fclose(stream) == 0);
    tm_file_info info;
    assert_true(tm_file_stat(path, &info));
    assert_int_equal(info.size, 11);
    free(path);
    free(dir);
}

static void names_end_a_path(void **state) {
    (void)state;
    assert_string_equal(tm_file_name("a/b/c.png"), "c.png");
    assert_string_equal(tm_file_name("/c.png"), "c.png");
    assert_string_equal(tm_file_name("c.png"), "c.png");
    assert_string_equal(tm_file_name("a/"), "");
    assert_int_equal(tm_path_root("/a"), 1);
    assert_int_equal(tm_path_root("a/b"), 0);
    char *joined[] = {tm_path_join("a", "b"), tm_path_join("a/", "b"), tm_path_join("", "b")};
    assert_string_equal(joined[0], "a/b");
    assert_string_equal(joined[1], "a/b");
    assert_string_equal(joined[2], "b");
    for (size_t i = 0; i < TM_ARRAY_LEN(joined); i++) free(joined[i]);
}

static void a_module_knows_its_file(void **state) {
    (void)state;
    char *path = tm_module_path((const void *)(uintptr_t)a_module_knows_its_file);
    assert_non_null(path);
    assert_int_equal(strncmp(tm_file_name(path), "test_files", 10), 0);
    assert_true(tm_file_exists(path));
    free(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_replaced_whole),
        cmocka_unit_test(failures_name_path_and_reason),
        cmocka_unit_test(folders_are_made_and_listed_in_order),
        cmocka_unit_test(two_paths_of_one_file_are_known),
        cmocka_unit_test(parts_of_a_file_are_read_and_mapped),
        cmocka_unit_test(names_end_a_path),
        cmocka_unit_test(a_module_knows_its_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
