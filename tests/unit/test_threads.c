// Many threads at once, through the public interface only: sessions that share an engine, engines that share a device,
// devices of their own, networks beside proposals. Every thread's results are bit for bit those of one thread alone.
// Under ThreadSanitizer (preset tsan) this also shows that nothing is read while another thread writes it.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tagmask/tagmask.h"
#include "tiny_pack.h"

#define THREADS 4
#define ROUNDS 3

// What a thread asks for, a different thing each.
typedef struct question {
    const char *preset;
    const char *tags[3];
    size_t tag_count;
    uint32_t working_size;
    float crf_bilateral_compat;
} question;

static const question questions[THREADS] = {
    {"fast", {"cat"}, 1, 128, 0},
    {"balanced", {"cat", "dog", "thing"}, 3, 150, 0},
    {"best", {"cup", "sky"}, 2, 0, 0},
    {"fast", {"dog", "cat"}, 2, 140, 3},
};

static tagmask_result *wanted[THREADS];
static float *wanted_logits;

static tagmask_params params_of(const question *q) {
    tagmask_params params = {.struct_size = sizeof params,
                             .preset = q->preset,
                             .working_size = q->working_size,
                             .crf_bilateral_compat = q->crf_bilateral_compat};
    return params;
}

static bool same(const tagmask_result *a, const tagmask_result *b) {
    size_t pixels = (size_t)tagmask_result_width(a) * tagmask_result_height(a), tags = tagmask_result_tag_count(a);
    if (tagmask_result_tag_count(b) != tags || tagmask_result_region_count(a) != tagmask_result_region_count(b))
        return false;
    if (memcmp(tagmask_result_labels(a), tagmask_result_labels(b), pixels)) return false;
    for (size_t t = 0; t < tags; t++) {
        if (memcmp(tagmask_result_probability(a, t), tagmask_result_probability(b, t), pixels * sizeof(float)))
            return false;
    }
    return true;
}

// ---- What threads do. cmocka's assertions belong to the main thread, so they note what went wrong.

typedef struct worker {
    pthread_t thread;
    int number;
    tagmask_device *device;  // NULL: one of its own
    tagmask_engine *engine;  // NULL: one of its own
    tagmask_result *result;  // to be read and freed
    const char *classifier, *saliency;
    tagmask_status status;
    tagmask_error error;
    int different;  // results that were not the wanted ones
} worker;

static tagmask_status propose_once(worker *w, tagmask_engine *engine, tagmask_session *session, const question *q) {
    tagmask_result *result = NULL;
    tagmask_params params = params_of(q);
    tagmask_tag_info info = {.struct_size = sizeof info};
    tagmask_device_stats stats = {.struct_size = sizeof stats};
    tagmask_status status = tagmask_engine_resolve_tag(engine, q->tags[0], &info, &w->error);
    if (!status) status = tagmask_propose(session, q->tags, q->tag_count, &params, &result, &w->error);
    if (!status) w->different += !same(wanted[q - questions], result);
    if (!status) status = tagmask_device_get_stats(w->device, &stats);
    tagmask_result_free(result);
    return status;
}

// Each round begins with the next question, so that threads meet in different stages.
static tagmask_status run_sessions(worker *w, tagmask_engine *engine) {
    tagmask_image photo = tiny_photo();
    tagmask_status status = TAGMASK_OK;
    for (int round = 0; round < ROUNDS && !status; round++) {
        tagmask_session *session = NULL;
        status = tagmask_session_create(engine, &photo, &session, &w->error);
        for (int i = 0; i < THREADS && !status; i++)
            status = propose_once(w, engine, session, &questions[(w->number + round + i) % THREADS]);
        tagmask_session_free(session);
    }
    return status;
}

static void *propose(void *user) {
    worker *w = user;
    bool own_device = !w->device, own_engine = !w->engine;
    if (own_device) w->status = tagmask_device_open(NULL, &w->device, &w->error);
    if (!w->status && own_engine)
        w->status = tagmask_engine_create(w->device, w->classifier, w->saliency, &w->engine, &w->error);
    if (!w->status) w->status = run_sessions(w, w->engine);
    if (own_engine) tagmask_engine_free(w->engine);
    if (own_device) tagmask_device_close(w->device);
    return NULL;
}

static tagmask_status run_network(tagmask_device *device, const char *folder, float *logits, tagmask_error *error) {
    enum { WIDTH = 64, HEIGHT = 48 };
    char path[4200];
    tagmask_network *network = NULL;
    float *noise = test_noise(3, 3 * WIDTH * HEIGHT, -1, 1);
    tagmask_tensor input = {.struct_size = sizeof input,
                            .dtype = TAGMASK_FLOAT32,
                            .rank = 4,
                            .dims = {1, 3, HEIGHT, WIDTH},
                            .data = noise},
                   output = {.struct_size = sizeof output};
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    tagmask_status status = tagmask_network_load(device, path, NULL, 0, &network, error);
    if (!status) status = tagmask_network_run(network, &input, 1, &output, error);
    if (!status) memcpy(logits, output.data, TINY_CLASSES * sizeof *logits);
    if (!status) tagmask_tensor_release(&output);
    tagmask_network_free(network);
    free(noise);
    return status;
}

static void *infer(void *user) {
    worker *w = user;
    for (int round = 0; round < 3 * ROUNDS && !w->status; round++) {
        float logits[TINY_CLASSES];
        w->status = run_network(w->device, w->classifier, logits, &w->error);
        if (!w->status) w->different += memcmp(logits, wanted_logits, sizeof logits) != 0;
    }
    return NULL;
}

static void run_workers(tagmask_device *device, tagmask_engine *engine, bool networks) {
    worker workers[THREADS + 1] = {{0}};
    size_t count = THREADS + networks;
    for (size_t i = 0; i < count; i++) {
        workers[i] = (worker){.number = (int)i,
                              .device = device,
                              .engine = engine,
                              .classifier = tiny_classifier(),
                              .saliency = tiny_saliency()};
        void *(*start)(void *) = i < THREADS ? propose : infer;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, start, &workers[i]), 0);
    }
    for (size_t i = 0; i < count; i++) pthread_join(workers[i].thread, NULL);
    for (size_t i = 0; i < count; i++) {
        assert_ok(workers[i].status, &workers[i].error);
        assert_int_equal(workers[i].different, 0);
    }
}

// ---- Tests

static tagmask_device *device;
static tagmask_engine *engine;

// One thread alone: what all others are compared with.
static int ask_alone(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    static float logits[TINY_CLASSES];
    tagmask_image photo = tiny_photo();
    assert_ok(tagmask_device_open(NULL, &device, &err), &err);
    assert_ok(tagmask_engine_create(device, tiny_classifier(), tiny_saliency(), &engine, &err), &err);
    for (int i = 0; i < THREADS; i++) {
        tagmask_session *session = NULL;
        tagmask_params params = params_of(&questions[i]);
        assert_ok(tagmask_session_create(engine, &photo, &session, &err), &err);
        assert_ok(tagmask_propose(session, questions[i].tags, questions[i].tag_count, &params, &wanted[i], &err), &err);
        tagmask_session_free(session);
    }
    assert_ok(run_network(device, tiny_classifier(), logits, &err), &err);
    wanted_logits = logits;
    return 0;
}

static int close_device(void **state) {
    (void)state;
    for (int i = 0; i < THREADS; i++) tagmask_result_free(wanted[i]);
    tagmask_engine_free(engine);
    tagmask_device_close(device);
    return 0;
}

static void test_sessions_of_one_engine(void **state) {
    (void)state;
    run_workers(device, engine, true);
}

static void test_engines_of_one_device(void **state) {
    (void)state;
    run_workers(device, NULL, true);
}

// The first proposals on a new device: threads wait for each other's pipelines.
static void test_new_device(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_device *fresh = NULL;
    assert_ok(tagmask_device_open(NULL, &fresh, &err), &err);
    run_workers(fresh, NULL, false);
    tagmask_device_stats stats = {.struct_size = sizeof stats};
    assert_int_equal(tagmask_device_get_stats(fresh, &stats), TAGMASK_OK);
    assert_true(stats.pipelines > 0 && stats.validation_errors == 0);
    tagmask_device_close(fresh);
}

static void test_devices_of_their_own(void **state) {
    (void)state;
    run_workers(NULL, NULL, false);
}

// Results that share their probabilities with a session are read and freed elsewhere while the session goes on.
static void *read_and_free(void *user) {
    worker *w = user;
    w->different = !same(wanted[0], w->result);
    tagmask_result_free(w->result);
    return NULL;
}

static void test_results_elsewhere(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_session *session = NULL;
    tagmask_image photo = tiny_photo();
    assert_ok(tagmask_session_create(engine, &photo, &session, &err), &err);
    worker readers[6] = {{0}};
    for (size_t i = 0; i < TM_ARRAY_LEN(readers); i++) {
        tagmask_result *result = NULL;
        tagmask_params params = params_of(&questions[0]);
        assert_ok(tagmask_propose(session, questions[0].tags, 1, &params, &result, &err), &err);
        readers[i].result = result;
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_and_free, &readers[i]), 0);
        params.crf_iterations = 1;
        assert_ok(tagmask_propose(session, questions[0].tags, 1, &params, &result, &err), &err);
        tagmask_result_free(result);
    }
    tagmask_session_free(session);
    for (size_t i = 0; i < TM_ARRAY_LEN(readers); i++) {
        pthread_join(readers[i].thread, NULL);
        assert_int_equal(readers[i].different, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sessions_of_one_engine),
        cmocka_unit_test(test_engines_of_one_device),
        cmocka_unit_test(test_new_device),
        cmocka_unit_test(test_devices_of_their_own),
        cmocka_unit_test(test_results_elsewhere),
    };
    return cmocka_run_group_tests(tests, ask_alone, close_device);
}
