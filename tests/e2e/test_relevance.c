// The relevance of a vision transformer's tokens, and the affinity of its attention, against relevance.txt and
// attention.txt of data/gradients, which peers/compare_attention.py makes with PyTorch and numpy in double precision.
// The network is the pack vit-s-focus, as a classifier of one class whose score is the mean of its map.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mask/map_table.h"
#include "mask/session.h"
#include "support.h"

enum { WIDTH = 140, HEIGHT = 112, PLACES = 80 };

static void write_file(const char *folder, const char *name, const void *data, size_t size) {
    char *path = tm_path_join(folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    free(path);
}

static void write_text(const char *folder, const char *name, const char *text) {
    write_file(folder, name, text, strlen(text));
}

// NULL: the pack, which is optional, is not installed.
static char *make_pack(void) {
    const char *models = getenv("TAGMASK_MODELS");
    char *model = tm_format("%s/vit-s-focus/model.onnx", models && *models ? models : TEST_BUILD "/models"),
         *made = NULL;
    uint8_t *bytes = NULL;
    size_t size;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_non_null(model);
    if (tm_file_exists(model)) {
        made = test_temporary_dir();
        assert_ok(tm_read_file(model, 1 << 30, &bytes, &size, &err), &err);
        write_file(made, "model.onnx", bytes, size);
        write_text(made, "labels.json", "[{\"name\": \"focus\"}]");
        write_text(made, "pack.json",
                   "{\"format\": 1, \"name\": \"vit\", \"kind\": \"classifier\", \"model\": \"model.onnx\", "
                   "\"labels\": \"labels.json\", \"preprocess\": {\"mean\": [123.675, 116.28, 103.53], "
                   "\"scale\": [58.395, 57.12, 57.375], \"size\": [112, 140]}}");
    }
    free(bytes);
    free(model);
    return made;
}

// As large as the network wants it, so that both see the same numbers.
static tagmask_image picture(void) {
    static float planes[3 * WIDTH * HEIGHT];
    static uint8_t pixels[3 * WIDTH * HEIGHT];
    test_draw_picture(HEIGHT, WIDTH, planes);
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)planes[i % 3 * WIDTH * HEIGHT + i / 3];
    return (tagmask_image){sizeof(tagmask_image), WIDTH, HEIGHT, 0, pixels};
}

static void read_back(tagmask_session *session, const tm_view *view, size_t count, float *data) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_recorder *recorder = NULL;
    assert_non_null(view);
    assert_int_equal(view->outputs[0].slice.size, count * sizeof *data);
    assert_ok(tm_recorder_begin(session->engine->device->gpu, &recorder, &err), &err);
    assert_ok(tm_readback(recorder, view->outputs[0].slice, data, &err), &err);
    assert_ok(tm_recorder_finish(recorder, &err), &err);
}

static void read_numbers(const char *path, float *numbers, size_t count) {
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (size_t i = 0; i < count; i++) assert_int_equal(fscanf(file, "%f", &numbers[i]), 1);
    (void)fclose(file);
}

static tagmask_device *device;
static char *folder;

static tagmask_session *open_session(tagmask_engine **engine) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_session *session = NULL;
    tagmask_image photo = picture();
    assert_ok(tagmask_engine_create(device, folder, "none", engine, &err), &err);
    assert_ok(tagmask_session_create(*engine, &photo, &session, &err), &err);
    return session;
}

static void propose(tagmask_session *session, const char *method, const char *members) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = NULL;
    char *preset = tm_path_join(folder, "preset.json"),
         *text = tm_format("{\"preset\": \"fast\", \"scales\": [140], %s}", members);
    write_text(folder, "preset.json", text);
    const tagmask_params params = {.struct_size = sizeof params, .preset = preset, .method = method};
    assert_ok(tagmask_propose(session, (const char *const[]){"focus"}, 1, &params, &result, &err), &err);
    tagmask_result_free(result);
    free(preset);
    free(text);
}

static void relevance_agrees(void **state) {
    (void)state;
    float wanted[PLACES] = {0}, got[PLACES];
    const tm_view *view = NULL;
    tagmask_engine *engine = NULL;
    if (!folder) skip();
    tagmask_session *session = open_session(&engine);
    propose(session, "relevance", "\"affinity_size\": 0");
    for (size_t v = 0; v < session->view_count; v++)
        if (session->views[v]->method) view = session->views[v];
    read_back(session, view, PLACES, got);
    read_numbers(TEST_DATA "/gradients/relevance.txt", wanted, PLACES);
    assert_close(got, wanted, PLACES, 1e-3);
    tagmask_session_free(session);
    tagmask_engine_free(engine);
}

// Of all blocks and of the last three, times a pattern. The sum over blocks is all that is kept of their heads while
// the network runs.
static void affinity_agrees(void **state) {
    (void)state;
    static float wanted[2][PLACES], matrix[PLACES * PLACES];
    tagmask_engine *engine = NULL;
    if (!folder) skip();
    read_numbers(TEST_DATA "/gradients/attention.txt", wanted[0], 2 * PLACES);
    tagmask_session *session = open_session(&engine);
    for (int last = 0; last < 2; last++) {
        float got[PLACES] = {0};
        propose(session, "attention",
                last ? "\"affinity_size\": 140, \"affinity_from\": \"attention\", \"attention_blocks\": 3"
                     : "\"affinity_size\": 140, \"affinity_from\": \"attention\", \"attention_blocks\": 0");
        read_back(session, session->features_view, PLACES * PLACES, matrix);
        for (int j = 0; j < PLACES; j++)
            for (int i = 0; i < PLACES; i++) got[i] += matrix[j * PLACES + i] * (float)(j * 7 % 13) / 13;
        assert_close(got, wanted[last], PLACES, 1e-4);
    }
    tagmask_session_free(session);
    tagmask_engine_free(engine);
}

// At 518 px the probabilities of one block are 45 MB, those of all 540.
static void blocks_are_added_up_one_by_one(void **state) {
    (void)state;
    enum { SIDE = 518, TOKENS = 1370, HEADS = 6 };
    tm_error err = TAGMASK_ERROR_INIT;
    tm_graph *whole = NULL, *graph = NULL;
    tm_plan *plan;
    const char *const *names;
    const tm_host_tensor input = {TM_FLOAT32, {4, {1, 3, SIDE, SIDE}}, NULL};
    if (!folder) skip();
    char *path = tm_path_join(folder, "model.onnx");
    assert_ok(tm_graph_load(NULL, path, NULL, 0, &whole, &err), &err);
    size_t count = tm_graph_attentions(whole, &names);
    assert_int_equal(count, 12);
    assert_ok(tm_graph_load_attention(test_gpu(), TM_FP32, path, names, count, &graph, &err), &err);
    assert_ok(tm_graph_plan(graph, &input, 1, &plan, &err), &err);
    uint64_t block = (uint64_t)HEADS * TOKENS * TOKENS * 4;
    assert_true(tm_plan_get_stats(plan).activation_bytes < 3 * block);
    tm_graph_free(graph);
    tm_graph_free(whole);
    free(path);
}

static int open_device(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    folder = make_pack();
    assert_ok(tagmask_device_open(NULL, &device, &err), &err);
    return 0;
}

static int close_device(void **state) {
    (void)state;
    tagmask_device_close(device);
    free(folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(relevance_agrees), cmocka_unit_test(affinity_agrees),
                                       cmocka_unit_test(blocks_are_added_up_one_by_one)};
    return cmocka_run_group_tests(tests, open_device, close_device);
}
