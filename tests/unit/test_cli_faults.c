// What the command does when the device fails: a lost device is opened again once, a photo that does not fit is left
// out.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "io/image.h"
#include "tiny_pack.h"

static char *folder;
static uint64_t engine_submits, photo_submits, engine_buffers;  // of a run like the command's

static void count_events(void) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_device *device = NULL;
    tagmask_engine *engine = NULL;
    tagmask_session *session = NULL;
    tagmask_result *result = NULL;
    tagmask_device_stats stats = {.struct_size = sizeof stats};
    const char *tag = "cat";
    tagmask_image photo = tiny_photo();
    tagmask_params params = {.struct_size = sizeof params, .preset = "fast", .score_limit = -1};
    assert_ok(tagmask_device_open(NULL, &device, &err), &err);
    assert_ok(tagmask_engine_create(device, tiny_classifier(), tiny_saliency(), &engine, &err), &err);
    assert_int_equal(tagmask_device_get_stats(device, &stats), TAGMASK_OK);
    engine_submits = stats.submits;
    engine_buffers = stats.allocations;
    assert_ok(tagmask_session_create(engine, &photo, &session, &err), &err);
    assert_ok(tagmask_propose(session, &tag, 1, &params, &result, &err), &err);
    assert_int_equal(tagmask_device_get_stats(device, &stats), TAGMASK_OK);
    photo_submits = stats.submits - engine_submits;
    assert_true(engine_submits > 0 && photo_submits > 2);
    tagmask_result_free(result);
    tagmask_session_free(session);
    tagmask_engine_free(engine);
    tagmask_device_close(device);
}

static int set_up(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_image photo = tiny_photo();
    tm_png png = {.width = photo.width, .height = photo.height, .channels = 3, .pixels = (uint8_t *)photo.pixels};
    folder = test_temporary_dir();
    setenv("TAGMASK_DISABLE", "unified", 1);       // so that weights take a submit on every device
    setenv("TAGMASK_SUBMIT_US", "1000000000", 1);  // none is cut where the machine is slow: submits are counted
    for (int i = 1; i <= 3; i++) {
        char *path = tm_format("%s/photo%d.png", folder, i);
        assert_ok(tm_png_write(path, &png, &err), &err);
        free(path);
    }
    count_events();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    free(folder);
    return 0;
}

// Proposes for the three photos with failures planted.
static const command_result *propose(const char *faults, const char *out) {
    const char *environment[] = {faults, NULL};
    return run_tagmask(
        folder, environment,
        WORDS("propose", "photo1.png", "photo2.png", "photo3.png", "--tag", "cat", "--preset", "fast", "--score-limit",
              "0", "--model", tiny_classifier(), "--saliency", tiny_saliency(), "--out", out));
}

static bool exists(const char *out, int photo) {
    char *path = tm_format("%s/%s/photo%d.json", folder, out, photo);
    bool there = tm_file_exists(path);
    free(path);
    return there;
}

static void expect_files(const char *out, bool first, bool second, bool third) {
    assert_int_equal(exists(out, 1), first);
    assert_int_equal(exists(out, 2), second);
    assert_int_equal(exists(out, 3), third);
}

static void test_lost_once(void **state) {
    (void)state;
    const uint64_t places[] = {engine_submits + 1, engine_submits + photo_submits, engine_submits + photo_submits + 2};
    for (size_t i = 0; i < TM_ARRAY_LEN(places); i++) {
        char *fault = tm_format("TAGMASK_FAULT=%s:%llu", i % 2 ? "wait" : "submit", (unsigned long long)places[i]);
        char *out = tm_format("once%zu", i);
        const command_result *result = propose(fault, out);
        expect_command(result, 0, NULL, i < 2 ? "photo1.png: repeated with the device" : "photo2.png: repeated");
        assert_non_null(strstr(result->err, "lost"));
        expect_files(out, true, true, true);
        free(fault);
        free(out);
    }
}

// A photo that is repeated has each of its failures once.
static void test_lost_with_an_unknown_tag(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    const char rows[] = "photo1.png,cat\nphoto1.png,none such\n";
    char *table = tm_path_join(folder, "t.csv");
    char *fault = tm_format("TAGMASK_FAULT=submit:%llu", (unsigned long long)engine_submits + 1);
    const char *environment[] = {fault, NULL};
    assert_ok(tm_write_file(table, rows, strlen(rows), &err), &err);
    const command_result *result =
        run_tagmask(folder, environment,
                    WORDS("propose", "photo1.png", "--tags-from", "csv:t.csv", "--preset", "fast", "--model",
                          tiny_classifier(), "--saliency", tiny_saliency(), "--out", "unknown"));
    expect_command(result, 1, "1 failed", "photo1.png: repeated with the device");
    const char *first = strstr(result->out, "failed: photo1.png: ");
    assert_non_null(first);
    assert_null(strstr(first + 1, "failed: photo1.png: "));
    first = strstr(result->err, "none such");
    assert_non_null(first);
    assert_null(strstr(strchr(first, '\n'), "none such"));
    free(fault);
    free(table);
}

static void test_lost_twice(void **state) {
    (void)state;
    uint64_t first = engine_submits + photo_submits + 2, second = first + engine_submits + 2;
    char *fault =
        tm_format("TAGMASK_FAULT=submit:%llu,submit:%llu", (unsigned long long)first, (unsigned long long)second);
    const command_result *result = propose(fault, "twice");
    expect_command(result, 1, "photo1.png", "photo2.png: repeated");
    assert_non_null(strstr(result->out, "3 photos: 1 done, 0 skipped, 1 failed, 1 not reached;"));
    assert_non_null(strstr(result->out, "stopped before photo3.png: the device was lost;"));
    expect_files("twice", true, false, false);
    free(fault);
}

static void test_lost_while_opening(void **state) {
    (void)state;
    uint64_t first = engine_submits + 1, second = first + 1;
    char *fault =
        tm_format("TAGMASK_FAULT=submit:%llu,submit:%llu", (unsigned long long)first, (unsigned long long)second);
    const command_result *result = propose(fault, "opening");
    expect_command(result, 1, NULL, "photo1.png: repeated");
    assert_non_null(strstr(result->out, "3 photos: 0 done, 0 skipped, 1 failed, 2 not reached;"));
    assert_non_null(strstr(result->out, "stopped before photo2.png: the device was lost;"));
    free(fault);
}

static void test_out_of_memory(void **state) {
    (void)state;
    char *fault = tm_format("TAGMASK_FAULT=allocation:%llu", (unsigned long long)engine_buffers + 4);
    expect_command(propose(fault, "memory"), 1, "photo2.png",
                   "use a smaller input (the preset fast, a smaller working size)");
    expect_files("memory", false, true, true);
    free(fault);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lost_once),     cmocka_unit_test(test_lost_with_an_unknown_tag),
        cmocka_unit_test(test_lost_twice),    cmocka_unit_test(test_lost_while_opening),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
