// Tags in, masks out: the public interface on real photos with the real networks.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

static tagmask_device *device;
static tagmask_engine *engine;

static int open_engine(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tagmask_device_open(NULL, &device, &err), &err);
    // SwiftShader takes half a minute for a pass of the features network; test_aides passes through a small one there.
    tagmask_device_info info = {.struct_size = sizeof info};
    assert_ok(tagmask_device_get_info(device, &info), &err);
    bool slow = strstr(info.name, "SwiftShader") != NULL;
    const tagmask_load_options options = {.struct_size = sizeof options, .features = slow ? "none" : NULL};
    assert_ok(tagmask_engine_create_with(device, NULL, NULL, &options, &engine, &err), &err);
    return 0;
}

static int close_engine(void **state) {
    (void)state;
    tagmask_device_stats stats = {.struct_size = sizeof stats};
    tagmask_engine_free(engine);
    assert_int_equal(tagmask_device_get_stats(device, &stats), TAGMASK_OK);
    assert_int_equal(stats.validation_errors, 0);
    tagmask_device_close(device);
    return 0;
}

static tagmask_session *open_photo(const char *name) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_image image = {.struct_size = sizeof image};
    tagmask_session *session = NULL;
    char path[4096];
    snprintf(path, sizeof path, TEST_BUILD "/photos/%s", name);
    assert_ok(tagmask_image_read(path, &image, &err), &err);
    assert_ok(tagmask_session_create(engine, &image, &session, &err), &err);
    tagmask_image_release(&image);
    return session;
}

static tagmask_result *propose(tagmask_session *session, const char *tag, const tagmask_params *params) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = NULL;
    assert_ok(tagmask_propose(session, &tag, 1, params, &result, &err), &err);
    return result;
}

static double share(const tagmask_result *result, int label) {
    size_t pixels = (size_t)tagmask_result_width(result) * tagmask_result_height(result), count = 0;
    for (size_t i = 0; i < pixels; i++) count += tagmask_result_labels(result)[i] == label;
    return (double)count / (double)pixels;
}

static int label_at(const tagmask_result *result, uint32_t x, uint32_t y) {
    return tagmask_result_labels(result)[(size_t)y * tagmask_result_width(result) + x];
}

static uint64_t dispatches(void) {
    tagmask_device_stats stats = {.struct_size = sizeof stats};
    assert_int_equal(tagmask_device_get_stats(device, &stats), TAGMASK_OK);
    return stats.dispatches;
}

// chelsea.png, 451 x 300: a cat's head fills the middle; the top right corner is a dark wall.
static void test_cat(void **state) {
    (void)state;
    tagmask_session *session = open_photo("chelsea.png");
    tagmask_result *result = propose(session, "cat", NULL);
    assert_int_equal(tagmask_result_width(result), 451);
    assert_int_equal(tagmask_result_height(result), 300);
    assert_string_equal(tagmask_result_tag(result, 0), "cat");
    assert_int_equal(label_at(result, 150, 110), 1);
    assert_int_equal(label_at(result, 220, 160), 1);
    assert_int_equal(label_at(result, 445, 5), 0);
    assert_true(share(result, 1) > 0.3 && share(result, 1) < 0.95);
    assert_true(tagmask_result_region_count(result) >= 1);
    tagmask_region region = {.struct_size = sizeof region};
    assert_int_equal(tagmask_result_region(result, 0, &region), TAGMASK_OK);
    assert_true(region.score > 0.5f && region.score <= 1 && region.outline_points >= 8);
    tagmask_result_free(result);
    tagmask_session_free(session);
}

static double stage_mean(tagmask_session *session, const char *stage) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_tensor map = {.struct_size = sizeof map};
    assert_ok(tagmask_session_map(session, stage, 0, &map, &err), &err);
    double sum = 0;
    for (int64_t i = 0; i < map.dims[0] * map.dims[1]; i++) sum += ((const float *)map.data)[i];
    tagmask_tensor_release(&map);
    return sum / (double)(map.dims[0] * map.dims[1]);
}

// The attention of the optional vit-s-focus carries the map from the ears, where the classifier looks, over the cat.
static void test_attention(void **state) {
    (void)state;
    static const char preset[] = "{\"preset\": \"fast\", \"affinity_from\": \"attention\"}";
    tm_error err = TAGMASK_ERROR_INIT;
    char *folder = test_temporary_dir(), *path = tm_path_join(folder, "p.json");
    assert_ok(tm_write_file(path, preset, strlen(preset), &err), &err);
    const tagmask_params params = {.struct_size = sizeof params, .preset = path};
    tagmask_status status = tagmask_engine_check_params(engine, &params, &err);
    if (status == TAGMASK_OK) {
        tagmask_session *session = open_photo("chelsea.png");
        tagmask_result *result = propose(session, "cat", &params);
        assert_int_equal(label_at(result, 150, 110), 1);
        assert_int_equal(label_at(result, 220, 160), 1);
        assert_int_equal(label_at(result, 445, 5), 0);
        assert_true(stage_mean(session, "affinity") > 1.5 * stage_mean(session, "cam"));
        tagmask_result_free(result);
        tagmask_session_free(session);
    } else {
        assert_int_equal(status, TAGMASK_ERROR_UNSUPPORTED);
        assert_non_null(strstr(err.message, "the engine has no features network"));
    }
    free(folder);
    free(path);
    if (status) skip();  // the pack is not installed, or the driver too slow for it
}

// Only what depends on a changed parameter is recomputed, and the same question has the same answer, bit for bit.
static void test_stages_are_kept(void **state) {
    (void)state;
    tagmask_session *session = open_photo("chelsea.png");
    uint64_t start = dispatches();
    tagmask_result *first = propose(session, "cat", NULL);
    uint64_t full = dispatches() - start;
    tagmask_params params = {.struct_size = sizeof params, .threshold = 0.6f};
    tagmask_result *strict = propose(session, "cat", &params);
    assert_int_equal(dispatches() - start, full);
    assert_true(share(strict, 1) <= share(first, 1));
    params = (tagmask_params){.struct_size = sizeof params, .crf_bilateral_compat = 3};
    tagmask_result *other = propose(session, "cat", &params);
    uint64_t crf = dispatches() - start - full;
    assert_true(crf > 0 && crf < full / 2);
    tagmask_result *again = propose(session, "cat", NULL);
    size_t pixels = (size_t)tagmask_result_width(first) * tagmask_result_height(first);
    assert_memory_equal(tagmask_result_probability(first, 0), tagmask_result_probability(again, 0),
                        pixels * sizeof(float));
    tagmask_session *fresh = open_photo("chelsea.png");
    tagmask_result *anew = propose(fresh, "cat", NULL);
    assert_memory_equal(tagmask_result_probability(first, 0), tagmask_result_probability(anew, 0),
                        pixels * sizeof(float));
    tagmask_result *results[] = {first, strict, other, again, anew};
    for (size_t i = 0; i < TM_ARRAY_LEN(results); i++) tagmask_result_free(results[i]);
    tagmask_session_free(session);
    tagmask_session_free(fresh);
}

// Two tags share the pixels; probabilities of all tags and the background sum to at most 1.
static void test_tags_compete(void **state) {
    (void)state;
    tagmask_session *session = open_photo("coffee.png");
    tm_error err = TAGMASK_ERROR_INIT;
    const char *tags[] = {"cup", "person"};
    tagmask_params params = {.struct_size = sizeof params, .preset = "fast"};
    tagmask_result *result = NULL;
    assert_ok(tagmask_propose(session, tags, 2, &params, &result, &err), &err);
    assert_string_equal(tagmask_result_note(result, 0), "");
    assert_non_null(strstr(tagmask_result_note(result, 1), "saliency alone"));
    size_t pixels = (size_t)tagmask_result_width(result) * tagmask_result_height(result);
    const float *cup = tagmask_result_probability(result, 0), *person = tagmask_result_probability(result, 1);
    // What the classifier sees does not go to the word that it does not know.
    assert_true(share(result, 1) > 0.2 && share(result, 2) < 0.02);
    for (size_t i = 0; i < pixels; i++) {
        assert_true(cup[i] >= 0 && person[i] >= 0 && cup[i] + person[i] <= 1.001f);
        if (tagmask_result_labels(result)[i] == 1) assert_true(cup[i] >= person[i]);
    }
    tagmask_result_free(result);
    tagmask_session_free(session);
}

static void test_auto_tags(void **state) {
    (void)state;
    tagmask_session *session = open_photo("chelsea.png");
    tm_error err = TAGMASK_ERROR_INIT;
    const char *names[3];
    float probabilities[3];
    size_t count = 0;
    assert_ok(tagmask_session_auto_tags(session, NULL, 3, names, probabilities, &count, &err), &err);
    assert_int_equal(count, 3);
    assert_true(probabilities[0] >= probabilities[1] && probabilities[1] >= probabilities[2]);
    assert_non_null(strstr(names[0], "cat"));
    tagmask_session_free(session);
}

// What the photos show is proposed, also where the photo's scores are another thing's; what they do not show is
// refused.
static void test_absent_things_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *photo, *there, *absent;
    } cases[] = {{"chelsea.png", "cat", "bus"},
                 {"coffee.png", "cup", "cat"},
                 {"rocket.jpg", "rocket", "dog"},
                 {"motorcycle_left.png", "motorcycle", "cat"}};
    const tagmask_params params = {.struct_size = sizeof params, .preset = "fast", .crf_iterations = -1};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tagmask_session *session = open_photo(cases[i].photo);
        tagmask_result *result = propose(session, cases[i].there, &params);
        assert_true(tagmask_result_region_count(result) > 0);
        tagmask_result_free(result);
        result = propose(session, cases[i].absent, &params);
        assert_int_equal(tagmask_result_region_count(result), 0);
        assert_non_null(strstr(tagmask_result_note(result, 0), "the classifier does not see it"));
        tagmask_result_free(result);
        tagmask_session_free(session);
    }
}

static bool stop_at_half(void *user, float done, const char *stage) {
    (void)user;
    (void)stage;
    return done < 0.5f;
}

static void test_errors_leave_the_session_usable(void **state) {
    (void)state;
    tagmask_session *session = open_photo("chelsea.png");
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = NULL;
    tagmask_params params = {.struct_size = sizeof params, .preset = "fast", .progress = stop_at_half};
    const char *wrong = "catt", *cat = "cat";
    assert_int_equal(tagmask_propose(session, &wrong, 1, &params, &result, &err), TAGMASK_ERROR_UNKNOWN_TAG);
    assert_non_null(strstr(err.message, "cat"));
    assert_int_equal(tagmask_propose(session, &cat, 0, &params, &result, &err), TAGMASK_ERROR_ARGUMENT);
    assert_int_equal(tagmask_propose(session, &cat, 1, &params, &result, &err), TAGMASK_ERROR_ABORTED);
    assert_null(result);
    params.progress = NULL;
    result = propose(session, "cat", &params);
    assert_true(share(result, 1) > 0.2);
    tagmask_result_free(result);
    tagmask_session_free(session);
}

static char *read_command(const char *format, const char *dir) {
    char *command = tm_format(format, dir), text[200] = "";
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(text, sizeof text, pipe));
    assert_int_equal(pclose(pipe), 0);
    free(command);
    return strdup(text);
}

// Network outputs kept on disk give the same result without a network; damaged files, each in another way, are ignored
// and made anew.
static void test_cache(void **state) {
    (void)state;
    char *folder = test_temporary_dir();
    tagmask_params params = {.struct_size = sizeof params, .preset = "fast", .cache_dir = folder};
    uint64_t start = dispatches();
    tagmask_session *session = open_photo("chelsea.png");
    tagmask_result *first = propose(session, "cat", &params);
    uint64_t full = dispatches() - start;
    tagmask_session *second = open_photo("chelsea.png");
    tagmask_result *cached = propose(second, "cat", &params);
    assert_true(dispatches() - start - full < full / 2);
    size_t bytes = (size_t)tagmask_result_width(first) * tagmask_result_height(first) * sizeof(float);
    assert_memory_equal(tagmask_result_probability(first, 0), tagmask_result_probability(cached, 0), bytes);
    static const char sum[] = "cat '%s'/*.view | cksum";
    char *before = read_command(sum, folder);
    free(
        read_command("cd '%s'; n=0; last=/dev/null; for f in *.view; do cp \"$f\" next; case $n in"
                     " 0) printf damage | dd of=\"$f\" bs=1 seek=300 conv=notrunc 2>/dev/null ;;"
                     " 1) cat last >\"$f\" ;;"  // a good file, but of another view
                     " 2) printf x | dd of=\"$f\" bs=1 seek=56 conv=notrunc 2>/dev/null ;;"
                     " 3) head -c 400 next >\"$f\" ;;"
                     " *) echo nonsense >\"$f\" ;; esac; mv next last; n=$((n + 1)); done; rm last; echo done",
                     folder));
    char *damaged = read_command(sum, folder);
    assert_string_not_equal(before, damaged);
    tagmask_session *third = open_photo("chelsea.png");
    tagmask_result *recomputed = propose(third, "cat", &params);
    assert_memory_equal(tagmask_result_probability(first, 0), tagmask_result_probability(recomputed, 0), bytes);
    char *after = read_command(sum, folder);
    assert_string_equal(before, after);
    tagmask_result *results[] = {first, cached, recomputed};
    tagmask_session *sessions[] = {session, second, third};
    for (size_t i = 0; i < 3; i++) {
        tagmask_result_free(results[i]);
        tagmask_session_free(sessions[i]);
    }
    free(before);
    free(damaged);
    free(after);
    free(folder);
}

static void test_odd_photos(void **state) {
    (void)state;
    static const uint32_t sizes[][2] = {{1, 1}, {3, 200}, {400, 2}, {33, 17}};
    for (size_t i = 0; i < TM_ARRAY_LEN(sizes); i++) {
        uint32_t width = sizes[i][0], height = sizes[i][1];
        uint8_t *pixels = calloc((size_t)width * height, 3);  // black
        tagmask_image image = {sizeof image, width, height, 0, pixels};
        tm_error err = TAGMASK_ERROR_INIT;
        tagmask_session *session = NULL;
        assert_ok(tagmask_session_create(engine, &image, &session, &err), &err);
        tagmask_params params = {.struct_size = sizeof params, .preset = "fast"};
        tagmask_result *result = propose(session, "cat", &params);
        for (uint32_t p = 0; p < width * height; p++) assert_true(isfinite(tagmask_result_probability(result, 0)[p]));
        tagmask_result_free(result);
        tagmask_session_free(session);
        free(pixels);
    }
}

static tagmask_tensor stage_map(tagmask_session *session, const char *stage, size_t tag, float at_least) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_tensor map = {.struct_size = sizeof map};
    assert_ok(tagmask_session_map(session, stage, tag, &map, &err), &err);
    assert_string_equal(map.name, stage);
    assert_int_equal(map.rank, 2);
    assert_int_equal(map.dtype, TAGMASK_FLOAT32);
    const float *values = map.data;
    float low = 1, high = 0;
    for (int64_t i = 0; i < map.dims[0] * map.dims[1]; i++) {
        assert_true(values[i] >= 0 && values[i] <= 1);
        low = TM_MIN(low, values[i]);
        high = TM_MAX(high, values[i]);
    }
    assert_true(high > at_least && low < 0.1f);
    return map;
}

static void stage_fails(tagmask_session *session, const char *stage, size_t tag, tagmask_status status,
                        const char *part) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_tensor map = {.struct_size = sizeof map};
    assert_int_equal(tagmask_session_map(session, stage, tag, &map, &err), status);
    assert_non_null(strstr(err.message, part));
    assert_null(map.data);
}

// Every stage's map can be had without running a network again, and asking leaves the session as it was.
static void test_stage_maps(void **state) {
    (void)state;
    tagmask_session *session = open_photo("chelsea.png");
    stage_fails(session, "cam", 0, TAGMASK_ERROR_ARGUMENT, "no proposal");
    const char *tags[] = {"cat", "person"};
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *first, *again;
    uint64_t start = dispatches();
    assert_ok(tagmask_propose(session, tags, 2, NULL, &first, &err), &err);
    uint64_t full = dispatches() - start;
    const char *stage;
    size_t count = 0;
    for (; (stage = tagmask_stage_name(count)) != NULL; count++) {
        if (!strcmp(stage, "refined")) {
            stage_fails(session, stage, 0, TAGMASK_ERROR_UNSUPPORTED, "edges");
            continue;
        }
        // Maps reach from 0 to 1; of two tags that mean the same pixels one may take most of the probability.
        tagmask_tensor map = stage_map(session, stage, 0, strcmp(stage, "probability") ? 0.9f : 0.2f);
        assert_true(map.dims[0] == 300 && map.dims[1] == 451);
        if (!strcmp(stage, "probability"))
            assert_memory_equal(map.data, tagmask_result_probability(first, 0), 300 * 451 * sizeof(float));
        tagmask_tensor_release(&map);
    }
    assert_int_equal(count, 6);
    assert_true(dispatches() - start - full < full / 2);
    // A word without a class has no CAM; what it was proposed from is the saliency that the other tag leaves.
    stage_fails(session, "cam", 1, TAGMASK_ERROR_UNSUPPORTED, "no class");
    tagmask_tensor saliency = stage_map(session, "saliency", 1, 0.9f), fused = stage_map(session, "fused", 1, 0);
    for (size_t i = 0; i < 300 * 451; i++) assert_true(((float *)fused.data)[i] <= ((float *)saliency.data)[i] + 1e-6f);
    tagmask_tensor_release(&saliency);
    tagmask_tensor_release(&fused);
    stage_fails(session, "cam", 2, TAGMASK_ERROR_ARGUMENT, "2 tags");
    stage_fails(session, "mask", 0, TAGMASK_ERROR_ARGUMENT, "expected cam");
    start = dispatches();
    assert_ok(tagmask_propose(session, tags, 2, NULL, &again, &err), &err);
    assert_int_equal(dispatches(), start);
    assert_memory_equal(tagmask_result_labels(first), tagmask_result_labels(again), 300 * 451);
    tagmask_result_free(first);
    tagmask_result_free(again);
    assert_ok(tagmask_propose(session, tags, 1, NULL, &first, &err), &err);
    tagmask_tensor alone = stage_map(session, "probability", 0, 0.9f);
    tagmask_tensor_release(&alone);
    tagmask_result_free(first);
    tagmask_session_free(session);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cat),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_stages_are_kept),
        cmocka_unit_test(test_stage_maps),
        cmocka_unit_test(test_tags_compete),
        cmocka_unit_test(test_absent_things_are_refused),
        cmocka_unit_test(test_auto_tags),
        cmocka_unit_test(test_errors_leave_the_session_usable),
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_odd_photos),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
