// The networks that only some presets ask for: a second classifier, and one that describes places.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tiny_pack.h"

static tagmask_device *device;
static char *folder, *path;

static int open_device(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    folder = test_temporary_dir();
    path = tm_path_join(folder, "p.json");
    assert_ok(tagmask_device_open(NULL, &device, &err), &err);
    return 0;
}

static int close_device(void **state) {
    (void)state;
    tagmask_device_close(device);
    free(folder);
    free(path);
    return 0;
}

static tagmask_status open_engine(const char *second, const char *features, tagmask_engine **engine, tm_error *err) {
    const tagmask_load_options options = {.struct_size = sizeof options, .second = second, .features = features};
    return tagmask_engine_create_with(device, tiny_classifier(), tiny_saliency(), &options, engine, err);
}

static tagmask_status propose(tagmask_session *session, const char *members, const char *cache, float **probability,
                              tm_error *err) {
    char text[256];
    (void)snprintf(text, sizeof text, "{\"preset\": \"fast\", \"working_size\": 128%s%s}", *members ? ", " : "",
                   members);
    assert_ok(tm_write_file(path, text, strlen(text), err), err);
    const tagmask_params params = {.struct_size = sizeof params, .preset = path, .cache_dir = cache};
    tagmask_result *result = NULL;
    TM_TRY(tagmask_propose(session, (const char *const[]){"cat"}, 1, &params, &result, err));
    tagmask_image photo = tiny_photo();
    size_t bytes = (size_t)photo.width * photo.height * sizeof **probability;
    *probability = malloc(bytes);
    memcpy(*probability, tagmask_result_probability(result, 0), bytes);
    tagmask_result_free(result);
    return TAGMASK_OK;
}

// With these packs and members, in a session of its own.
static float *probability_of(const char *second, const char *features, const char *members, const char *cache) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_engine *engine = NULL;
    float *probability = NULL;
    assert_ok(open_engine(second, features, &engine, &err), &err);
    tagmask_session *session = tiny_session(engine);
    assert_ok(propose(session, members, cache, &probability, &err), &err);
    tagmask_session_free(session);
    tagmask_engine_free(engine);
    return probability;
}

static bool same(const float *a, const float *b) {
    tagmask_image photo = tiny_photo();
    return !memcmp(a, b, (size_t)photo.width * photo.height * sizeof *a);
}

#define BOTH "\"classifiers\": 2, \"affinity_from\": \"features\""

static void test_each_changes_the_map(void **state) {
    (void)state;
    float *plain = probability_of(NULL, NULL, "", NULL),
          *second = probability_of(tiny_second(), NULL, "\"classifiers\": 2", NULL),
          *features = probability_of(NULL, tiny_features(), "\"affinity_from\": \"features\"", NULL),
          *both = probability_of(tiny_second(), tiny_features(), BOTH, NULL),
          *again = probability_of(tiny_second(), tiny_features(), BOTH, NULL);
    assert_false(same(plain, second));
    assert_false(same(plain, features));
    assert_false(same(both, second));
    assert_false(same(both, features));
    assert_true(same(both, again));
    // Presets that do not ask for them do not see them.
    float *unasked = probability_of(tiny_second(), tiny_features(), "", NULL);
    assert_true(same(plain, unasked));
    free(plain);
    free(second);
    free(features);
    free(both);
    free(again);
    free(unasked);
}

static void test_without_packs_the_classifier_serves(void **state) {
    (void)state;
    float *plain = probability_of("none", "none", "", NULL), *asked = probability_of("none", "none", BOTH, NULL);
    assert_true(same(plain, asked));
    free(plain);
    free(asked);
}

static void test_cached_outputs_give_the_same_bits(void **state) {
    (void)state;
    char *cache = test_temporary_dir();
    float *made = probability_of(tiny_second(), tiny_features(), BOTH, cache),
          *found = probability_of(tiny_second(), tiny_features(), BOTH, cache);
    assert_true(same(made, found));
    free(made);
    free(found);
    free(cache);
}

static void expect_refused(const char *second, const char *features, tagmask_status wanted, const char *word) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_engine *engine = NULL;
    assert_int_equal(open_engine(second, features, &engine, &err), wanted);
    assert_null(engine);
    if (!strstr(err.message, word)) fail_msg("\"%s\" says nothing of \"%s\"", err.message, word);
}

static void test_wrong_packs_are_refused(void **state) {
    (void)state;
    expect_refused(tiny_saliency(), NULL, TAGMASK_ERROR_ARGUMENT,
                   "is a saliency pack where a classifier pack is needed");
    expect_refused(NULL, tiny_classifier(), TAGMASK_ERROR_ARGUMENT, "where a features pack is needed");
    expect_refused("no-such-pack", NULL, TAGMASK_ERROR_FILE, "no-such-pack");
    expect_refused(tiny_odd_classifier(), NULL, TAGMASK_ERROR_UNSUPPORTED,
                   "expected a second classifier of the same classes");
}

// The pack says squares of 8 px where the network makes one token for 16: told when the network runs.
static void test_wrong_patch_is_refused(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_engine *engine = NULL;
    float *probability = NULL;
    assert_ok(open_engine("none", tiny_odd_features(), &engine, &err), &err);
    tagmask_session *session = tiny_session(engine);
    assert_int_equal(propose(session, BOTH, NULL, &probability, &err), TAGMASK_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "tokens are no grid of patches of 8 px of a picture of "));
    assert_ok(propose(session, "", NULL, &probability, &err), &err);
    free(probability);
    tagmask_session_free(session);
    tagmask_engine_free(engine);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_changes_the_map),
        cmocka_unit_test(test_without_packs_the_classifier_serves),
        cmocka_unit_test(test_cached_outputs_give_the_same_bits),
        cmocka_unit_test(test_wrong_packs_are_refused),
        cmocka_unit_test(test_wrong_patch_is_refused),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
