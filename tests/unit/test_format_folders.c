// Photos of sub-folders: a/1.jpg and b/1.jpg share a file name, and stay two photos in every format.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/formats.h"
#include "labels.h"

enum { W = 24, H = 16 };
static const char *const photo_names[] = {"a/1.jpg", "b/c/1.jpg", "1.jpg"};
static const uint32_t box_left[] = {2, 9, 16};
static const char *const both_tags[] = {"cat", "hot dog"};

// A box of "cat" at the given column.
static tagmask_result *box_at(uint32_t left) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = NULL;
    uint8_t *labels = tm_calloc(W, H);
    float *probability = tm_calloc((size_t)W * H * 2, sizeof *probability);
    assert_non_null(labels);
    assert_non_null(probability);
    for (uint32_t y = 3; y < 11; y++) {
        for (uint32_t x = left; x < left + 6; x++) {
            labels[y * W + x] = 1;
            probability[y * W + x] = 0.75f;
        }
    }
    assert_ok(tm_result_create(W, H, both_tags, NULL, 2, probability, labels, (tm_region_rules){0}, &result, &err),
              &err);
    test_give_maps(result);
    return result;
}

static tagmask_writer *open_writer(const char *format, const char *out) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_writer *writer = NULL;
    assert_ok(tagmask_writer_open(format, out, &writer, &err), &err);
    return writer;
}

static void add(tagmask_writer *writer, size_t number) {
    static uint8_t pixels[W * H * 3];
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_image photo = {.struct_size = sizeof photo, .width = W, .height = H, .pixels = pixels};
    tagmask_result *result = box_at(box_left[number]);
    char *path = tm_format("/photos/%s", photo_names[number]);
    assert_ok(tagmask_writer_add_as(writer, result, path, photo_names[number], &photo, &err), &err);
    free(path);
    tagmask_result_free(result);
}

static void add_all(const char *format, const char *out) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_writer *writer = open_writer(format, out);
    for (size_t i = 0; i < TM_ARRAY_LEN(photo_names); i++) add(writer, i);
    assert_ok(tagmask_writer_close(writer, &err), &err);
}

static char *text_of(const char *dir, const char *name) {
    tm_error err = TAGMASK_ERROR_INIT;
    uint8_t *data = NULL;
    size_t size;
    char *path = tm_path_join(dir, name);
    assert_ok(tm_read_file(path, 1 << 24, &data, &size, &err), &err);
    free(path);
    return (char *)data;
}

// The label file of a photo in a format that reads.
static char *file_of(const tm_label_format *format, const char *out, size_t number) {
    if (format->has) return tm_path_join(out, format->ending);
    size_t stem = strlen(photo_names[number]) - strlen(".jpg");
    return tm_format("%s/%.*s%s", out, (int)stem, photo_names[number], format->ending);
}

static void expect_box(const tm_label_format *format, const char *out, const char *photo, size_t number) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *read = NULL;
    tagmask_region region = {.struct_size = sizeof region};
    char *file = file_of(format, out, number);
    assert_ok(tagmask_result_read(format->name, file, photo, W, H, &read, &err), &err);
    assert_int_equal(tagmask_result_region_count(read), 1);
    assert_ok(tagmask_result_region(read, 0, &region), &err);
    if (region.left != box_left[number]) fail_msg("%s: %s is another photo's", format->name, photo);
    assert_string_equal(tagmask_result_tag(read, region.tag), "cat");
    tagmask_result_free(read);
    free(file);
}

static void photos_of_one_name_stay_apart(void **state) {
    (void)state;
    size_t formats = 0;
    for (size_t f = 0; tm_label_format_at(f); f++) {
        const tm_label_format *format = tm_label_format_at(f);
        char *out = test_temporary_dir();
        add_all(format->name, out);
        if (format->read) {
            for (size_t i = 0; i < TM_ARRAY_LEN(photo_names); i++) {
                char *path = tm_path_join("/elsewhere/photos", photo_names[i]);
                expect_box(format, out, path, i);
                free(path);
            }
            formats++;
        }
        // What another run finds: the same photos, no more.
        char *file = format->has ? tm_strdup(format->ending) : NULL, *before = file ? text_of(out, file) : NULL;
        add_all(format->name, out);
        char *after = file ? text_of(out, file) : NULL;
        if (file && strcmp(before, after)) fail_msg("%s changed: %.3000s", format->name, after);
        free(file);
        free(before);
        free(after);
        free(out);
    }
    assert_int_equal(formats, 10);
}

static void the_best_name_is_read(void **state) {
    (void)state;
    static const struct {
        const char *stored, *photo;
        size_t fit;
    } cases[] = {
        {"a/1.jpg", "/x/a/1.jpg", 5},
        {"b/1.jpg", "/x/a/1.jpg", 2},
        {"1.jpg", "/x/a/1.jpg", 3},
        {"11.jpg", "1.jpg", 0},
        {"1.jpg", "11.jpg", 0},
        {"1.jpg", "1.jpg", 3},
        {"", "1.jpg", 0},
        {"1.jpg", "", 0},
        {"a/1.jpg", "1.jpg", 2},
        {"ba/1.jpg", "a/1.jpg", 2},
        {"a/1.jpg", "ba/1.jpg", 2},
        {"/x/a/1.jpg", "/x/a/1.jpg", 7},
    };
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        size_t fit = tm_name_fit(cases[i].stored, cases[i].photo);
        if (fit != cases[i].fit) fail_msg("%s, %s: %zu", cases[i].stored, cases[i].photo, fit);
    }
}

static void writers_know_what_is_there(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    for (size_t f = 0; tm_label_format_at(f); f++) {
        const tm_label_format *format = tm_label_format_at(f);
        char *out = test_temporary_dir();
        tagmask_writer *writer = open_writer(format->name, out);
        assert_false(tagmask_writer_has(writer, photo_names[0], both_tags, 2));
        add(writer, 0);
        assert_true(tagmask_writer_has(writer, photo_names[0], both_tags, 2));
        assert_false(tagmask_writer_has(writer, photo_names[1], both_tags, 2));
        assert_false(tagmask_writer_has(writer, "1.jpg", both_tags, 2));
        if (format->each_tag) {
            assert_false(tagmask_writer_has(writer, photo_names[0], (const char *const[]){"cat", "dog"}, 2));
            assert_false(tagmask_writer_has(writer, photo_names[0], NULL, 0));
        }
        // Flushed, it can be read although the writer is not closed.
        assert_ok(tagmask_writer_flush(writer, &err), &err);
        if (format->read) expect_box(format, out, "/elsewhere/photos/a/1.jpg", 0);
        assert_ok(tagmask_writer_close(writer, &err), &err);
        writer = open_writer(format->name, out);
        assert_true(tagmask_writer_has(writer, photo_names[0], both_tags, 2));
        assert_ok(tagmask_writer_close(writer, &err), &err);
        free(out);
    }
}

static void names_stay_below_the_folder(void **state) {
    (void)state;
    static const char *const bad[] = {"", "/1.jpg", "a//1.jpg", "../1.jpg", "a/../1.jpg", "./1.jpg", "a/", "a/.."};
    tm_error err = TAGMASK_ERROR_INIT;
    char *out = test_temporary_dir();
    tagmask_writer *writer = open_writer("labelme", out);
    tagmask_result *result = box_at(0);
    for (size_t i = 0; i < TM_ARRAY_LEN(bad); i++) {
        assert_int_equal(tagmask_writer_add_as(writer, result, "/photos/1.jpg", bad[i], NULL, &err),
                         TAGMASK_ERROR_ARGUMENT);
        assert_non_null(strstr(err.message, "such as a/1.jpg"));
        assert_false(tagmask_writer_has(writer, bad[i], NULL, 0));
    }
    assert_ok(tagmask_writer_add_as(writer, result, "/photos/..1.jpg", ".../..1.jpg", NULL, &err), &err);
    assert_true(tagmask_writer_has(writer, ".../..1.jpg", NULL, 0));
    assert_ok(tagmask_writer_close(writer, &err), &err);
    tagmask_result_free(result);
    free(out);
}

static void yolo_keeps_one_list_of_classes(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    char *out = test_temporary_dir();
    add_all("yolo", out);
    char *classes = text_of(out, "classes.txt"), *path = tm_path_join(out, "a/classes.txt");
    assert_string_equal(classes, "cat\nhot dog\n");
    assert_false(tm_file_exists(path));
    free(classes);
    free(path);
    // A changed file of a sub-folder is not overwritten, although one of its content was written elsewhere.
    char *a = text_of(out, "a/1.txt");
    path = tm_path_join(out, "1.txt");
    assert_ok(tm_write_file(path, a, strlen(a), &err), &err);
    tagmask_writer *writer = open_writer("yolo", out);
    tagmask_result *result = box_at(2);
    assert_int_equal(tagmask_writer_add_as(writer, result, "/photos/1.jpg", "1.jpg", NULL, &err), TAGMASK_ERROR_FILE);
    assert_non_null(strstr(err.message, "not as tagmask wrote it"));
    assert_ok(tagmask_writer_close(writer, &err), &err);
    tagmask_result_free(result);
    free(a);
    free(path);
    free(out);
}

// Another program saves the file between two of our writes.
static void changes_of_the_meantime_stay(void **state) {
    (void)state;
    size_t formats = 0;
    for (size_t f = 0; tm_label_format_at(f); f++) {
        const tm_label_format *format = tm_label_format_at(f);
        bool classes = !strcmp(format->name, "yolo");
        if (!format->has && !classes) continue;
        tm_error err = TAGMASK_ERROR_INIT;
        char *out = test_temporary_dir(), *path = tm_path_join(out, classes ? "classes.txt" : format->ending);
        tagmask_writer *writer = open_writer(format->name, out);
        if (!classes) add(writer, 0);
        assert_ok(tagmask_writer_flush(writer, &err), &err);
        assert_ok(tm_write_file(path, "mine\n", 5, &err), &err);
        tagmask_result *result = box_at(2);
        tagmask_status status = tagmask_writer_add_as(writer, result, "/photos/b/1.jpg", "b/1.jpg", NULL, &err);
        if (status == TAGMASK_OK) status = tagmask_writer_flush(writer, &err);
        assert_int_equal(status, TAGMASK_ERROR_FILE);
        assert_non_null(strstr(err.message, path));
        assert_non_null(strstr(err.message, "another program has changed it meanwhile"));
        char *text = text_of(out, tm_file_name(path));
        assert_string_equal(text, "mine\n");
        tagmask_writer_close(writer, NULL);
        tagmask_result_free(result);
        free(text);
        free(path);
        free(out);
        formats++;
    }
    assert_int_equal(formats, 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(photos_of_one_name_stay_apart),  cmocka_unit_test(the_best_name_is_read),
        cmocka_unit_test(writers_know_what_is_there),     cmocka_unit_test(names_stay_below_the_folder),
        cmocka_unit_test(yolo_keeps_one_list_of_classes), cmocka_unit_test(changes_of_the_meantime_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
