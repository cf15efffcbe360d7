// How sure a session is that a tag's thing is in the photo.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mask/session.h"
#include "tiny_pack.h"

static tagmask_device *device;
static tagmask_engine *engine;

static int open_engine(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    const tagmask_load_options options = {.struct_size = sizeof options, .second = tiny_second()};
    assert_ok(tagmask_device_open(NULL, &device, &err), &err);
    assert_ok(tagmask_engine_create_with(device, tiny_classifier(), tiny_saliency(), &options, &engine, &err), &err);
    return 0;
}

static int close_engine(void **state) {
    (void)state;
    tagmask_engine_free(engine);
    tagmask_device_close(device);
    return 0;
}

static void propose(tagmask_session *session, const char *tag, const tagmask_params *params, char note[256]) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = NULL;
    assert_ok(tagmask_propose(session, &tag, 1, params, &result, &err), &err);
    (void)snprintf(note, 256, "%s", tagmask_result_note(result, 0));
    tagmask_result_free(result);
}

static float presence_of(const tagmask_session *session, const int32_t *classes, size_t count) {
    const tagmask_tag_info info = {.struct_size = sizeof info, .classes = classes, .class_count = count};
    return tm_session_presence(session, &info);
}

static const int32_t all[TINY_CLASSES] = {0, 1, 2, 3};

// The geometric mean over the views of the most that each sees, over the root of the number of classes.
static double expected(const tagmask_session *session, const int32_t *classes, size_t count) {
    double product = 1;
    for (size_t v = 0; v < session->classifier_count; v++) {
        const float *seen = session->parts[v].view->seen;
        double most = 0;
        assert_non_null(seen);
        for (size_t i = 0; i < count; i++) most = fmax(most, (double)seen[classes[i]]);
        product *= most;
    }
    return pow(product, 1.0 / (double)session->classifier_count) / sqrt((double)count);
}

// Also of a second classifier, whose class weights and features are others.
static void views_say_what_they_see(void **state) {
    (void)state;
    static const char *const presets[] = {"{\"preset\": \"fast\"}", "{\"preset\": \"balanced\", \"classifiers\": 2}"};
    char *folder = test_temporary_dir(), *path = tm_path_join(folder, "p.json"), note[256];
    for (size_t i = 0; i < TM_ARRAY_LEN(presets); i++) {
        tm_error err = TAGMASK_ERROR_INIT;
        tagmask_session *session = tiny_session(engine);
        assert_ok(tm_write_file(path, presets[i], strlen(presets[i]), &err), &err);
        const tagmask_params params = {.struct_size = sizeof params, .preset = path};
        propose(session, "cat", &params, note);
        for (int c = 0; c < TINY_CLASSES; c++)
            assert_float_equal(presence_of(session, &all[c], 1), expected(session, &all[c], 1), 1e-6);
        assert_float_equal(presence_of(session, all, TINY_CLASSES), expected(session, all, TINY_CLASSES), 1e-6);
        assert_true(presence_of(session, NULL, 0) == 1);
        for (size_t v = 0; v < session->classifier_count; v++) {
            for (int c = 0; c < TINY_CLASSES; c++) {
                float seen = session->parts[v].view->seen[c];
                assert_true(seen > 0 && seen <= 1.0001f);
            }
        }
        tagmask_session_free(session);
    }
    free(path);
    free(folder);
}

// Nobody pays for what is off, and it is found once a view.
static void it_is_computed_when_asked_for(void **state) {
    (void)state;
    char note[256];
    tagmask_session *session = tiny_session(engine);
    tagmask_params params = {.struct_size = sizeof params, .preset = "fast", .score_limit = -1};
    propose(session, "cat", &params, note);
    assert_null(session->parts[0].view->seen);
    params.score_limit = 0.9999f;
    propose(session, "cat", &params, note);
    assert_non_null(strstr(note, "the classifier does not see it ("));
    assert_non_null(strstr(note, "score_limit -1"));
    const float *seen = session->parts[0].view->seen;
    assert_non_null(seen);
    params.score_limit = 1e-6f;
    propose(session, "dog", &params, note);
    assert_string_equal(note, "");
    assert_ptr_equal(session->parts[0].view->seen, seen);
    tagmask_session_free(session);
}

// Features of another layer have no class weights: probabilities are compared.
static void other_layers_compare_probabilities(void **state) {
    (void)state;
    char note[256];
    tagmask_session *session = tiny_session(engine);
    const tagmask_params params = {.struct_size = sizeof params, .method = "eigencam", .layer = "first_relu"};
    propose(session, "cat", &params, note);
    assert_null(session->parts[0].view->seen);
    float best = session->scores[0];
    for (int c = 1; c < TINY_CLASSES; c++) best = fmaxf(best, session->scores[c]);
    for (int c = 0; c < TINY_CLASSES; c++)
        assert_float_equal(presence_of(session, &all[c], 1), expf(session->scores[c] - best), 1e-6);
    assert_true(presence_of(session, all, TINY_CLASSES) == 1);
    tagmask_session_free(session);
}

static void a_photo_of_one_colour_has_numbers(void **state) {
    (void)state;
    static uint8_t pixels[40 * 30 * 3];
    char note[256];
    for (int value = 0; value < 256; value += 255) {
        tm_error err = TAGMASK_ERROR_INIT;
        const tagmask_image photo = {.struct_size = sizeof photo, .width = 40, .height = 30, .pixels = pixels};
        tagmask_session *session = NULL;
        memset(pixels, value, sizeof pixels);
        assert_ok(tagmask_session_create(engine, &photo, &session, &err), &err);
        propose(session, "cat", NULL, note);
        for (int c = 0; c < TINY_CLASSES; c++) {
            float presence = presence_of(session, &all[c], 1);
            assert_true(isfinite(presence) && presence > 0 && presence <= 1);
        }
        tagmask_session_free(session);
    }
}

// Two words of the same class: the first gets the region that it has alone, the second a note.
static void tags_alike(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    const tagmask_params params = {.struct_size = sizeof params, .preset = "fast", .score_limit = -1};
    tagmask_session *session = tiny_session(engine);
    tagmask_result *both = NULL;
    assert_ok(tagmask_propose(session, (const char *const[]){"cat", "dog", "#0"}, 3, &params, &both, &err), &err);
    const float *first = tagmask_result_probability(both, 0), *second = tagmask_result_probability(both, 2);
    const uint8_t *labels = tagmask_result_labels(both);
    tagmask_image photo = tiny_photo();
    float high = 0;
    for (size_t i = 0; i < (size_t)photo.width * photo.height; i++) {
        high = fmaxf(high, first[i]);
        assert_true(first[i] <= 1 && second[i] == 0 && labels[i] != 3);
    }
    assert_true(high > 0.6f);
    assert_non_null(strstr(tagmask_result_note(both, 2), "nothing tells it from \"cat\""));
    assert_null(strstr(tagmask_result_note(both, 0), "nothing tells"));
    tagmask_result_free(both);
    tagmask_session_free(session);
}

// A word without a class gets the saliency that no tag with one claims, whatever their order; of tags that the
// classifier does not see, nothing is a claim.
static void words_without_a_class(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_params params = {.struct_size = sizeof params, .preset = "fast", .score_limit = -1, .crf_iterations = -1};
    tagmask_session *session = tiny_session(engine);
    tagmask_result *alone = NULL, *after = NULL, *before = NULL, *unseen = NULL;
    assert_ok(tagmask_propose(session, (const char *const[]){"thing"}, 1, &params, &alone, &err), &err);
    assert_ok(tagmask_propose(session, (const char *const[]){"cat", "thing"}, 2, &params, &after, &err), &err);
    assert_ok(tagmask_propose(session, (const char *const[]){"thing", "cat"}, 2, &params, &before, &err), &err);
    params.score_limit = 1;
    assert_ok(tagmask_propose(session, (const char *const[]){"cat", "thing"}, 2, &params, &unseen, &err), &err);
    const float *free_of = tagmask_result_probability(alone, 0), *left = tagmask_result_probability(after, 1);
    tagmask_image photo = tiny_photo();
    size_t count = (size_t)photo.width * photo.height;
    double lost = 0;
    for (size_t i = 0; i < count; i++) lost += (double)free_of[i] - (double)left[i];
    assert_true(lost > 1);
    assert_memory_equal(left, tagmask_result_probability(before, 0), count * sizeof *left);
    const float *unclaimed = tagmask_result_probability(unseen, 1);
    double same = 0;
    for (size_t i = 0; i < count; i++) same += (double)unclaimed[i] - (double)left[i];
    assert_true(same > 0);
    tagmask_result *all_results[] = {alone, after, before, unseen};
    for (size_t i = 0; i < TM_ARRAY_LEN(all_results); i++) tagmask_result_free(all_results[i]);
    tagmask_session_free(session);
}

// Without saliency they get a note; alone, an error.
static void words_without_a_class_need_saliency(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    const tagmask_params params = {.struct_size = sizeof params, .preset = "fast"};
    tagmask_engine *none = NULL;
    tagmask_result *result = NULL;
    assert_ok(tagmask_engine_create(device, tiny_classifier(), "none", &none, &err), &err);
    tagmask_session *session = tiny_session(none);
    assert_ok(tagmask_propose(session, (const char *const[]){"cat", "thing"}, 2, &params, &result, &err), &err);
    assert_non_null(strstr(tagmask_result_note(result, 1), "there is no saliency to propose it from"));
    tagmask_result_free(result);
    assert_int_equal(tagmask_propose(session, (const char *const[]){"thing"}, 1, &params, &result, &err),
                     TAGMASK_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "classical_saliency"));
    tagmask_session_free(session);
    tagmask_engine_free(none);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_say_what_they_see),
        cmocka_unit_test(it_is_computed_when_asked_for),
        cmocka_unit_test(other_layers_compare_probabilities),
        cmocka_unit_test(a_photo_of_one_colour_has_numbers),
        cmocka_unit_test(tags_alike),
        cmocka_unit_test(words_without_a_class),
        cmocka_unit_test(words_without_a_class_need_saliency),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
